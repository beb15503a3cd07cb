"""The commands and the links of the documents: each command line is one that the program accepts."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.core
import typer.main

from fabula.cli.app import app, globals_first

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GENERATED = {"reference.md", "rules.md"}
"""Written from the program; their usage lines and examples are not there to be pasted."""

COMMAND = re.compile(r"^(?:\S+=\S+ )*(?:torchrun .*-m )?(?:\.venv/bin/)?fabula ")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")


def commands(document: Path) -> Iterator[str]:
    """The command lines in a document's code, continued lines joined."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        code = line.strip()
        if line.startswith("    ") and COMMAND.match(code) and not code.endswith("..."):
            yield COMMAND.sub("", code)


LINES = [
    pytest.param(line, id=f"{document.name}: {line}")
    for document in DOCUMENTS
    if document.name not in GENERATED
    for line in commands(document)
]


def test_commands_are_found():
    assert len(LINES) > 20


@pytest.mark.parametrize("line", LINES)
def test_a_command_in_a_document_is_one_that_the_program_accepts(line: str):
    words = shlex.split(re.split(r" [|>&] | (?:&&|;) ", line)[0], comments=True)
    name, *arguments = globals_first(words)
    while name.startswith("-"):
        name, *arguments = [*arguments, name]
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    command = group.commands[name]
    command.make_context(name, arguments)  # raises where an option is unknown or a value is of the wrong type


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if path.name not in GENERATED], ids=lambda path: path.name
)
def test_a_link_leads_to_a_file(document: Path):
    text = document.read_text(encoding="utf-8")
    missing = [target for target in LINK.findall(text) if not (document.parent / target).exists()]
    assert not missing

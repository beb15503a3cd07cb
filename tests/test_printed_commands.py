"""Every command that the program prints or the documents show: the important ones are run as pasted, and all of them are
parsed, with the names in them looked up."""

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.core
import typer.main
from conftest import TINY_STORIES

import fabula
from fabula.cli.app import app, globals_first

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

COMMANDS = typer.main.get_command(app)
assert isinstance(COMMANDS, typer.core.TyperGroup)


def parse(line: str) -> None:
    """Parse a command as the program does. An unknown option or a value of the wrong type raises."""
    name, *arguments = globals_first(shlex.split(line))
    assert isinstance(COMMANDS, typer.core.TyperGroup)
    COMMANDS.commands[name].make_context(name, arguments)


def code_of(document: Path) -> list[str]:
    """The lines of code in a document, continued lines joined, and what stands in backticks."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return lines + [" ".join(quoted.split()) for quoted in re.findall(r"`([^`]+)`", text)]


CODE = [(document, line) for document in DOCUMENTS for line in code_of(document)]


def literals() -> list[tuple[str, str]]:
    """The text of each command in the source's strings; what is filled in stands as X."""
    found = []
    for path in sorted((ROOT / "src" / "fabula").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documentation = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        inner = {
            id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(
                    str(value.value) if isinstance(value, ast.Constant) else "X" for value in node.values
                )
            elif (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in inner | documentation
            ):
                text = node.value
            else:
                continue
            for quoted in re.findall(r"`fabula ([a-z]+(?: [^`]+)?)`|: fabula ([a-z]+(?: [^;.`]+)?)$", text):
                found.append((path.name, next(filter(None, quoted))))
    return found


@pytest.mark.parametrize(("module", "line"), literals())
def test_a_command_in_a_message_is_one_that_the_program_accepts(module: str, line: str):
    words = line.split()
    if len(words) == 1:  # the name of a command
        assert isinstance(COMMANDS, typer.core.TyperGroup)
        assert words[0] in COMMANDS.commands, module
    else:
        parse(line)


def built() -> list[tuple[str, str]]:
    """The commands that the source puts together with `command(...)`; what is filled in stands as 1."""
    found = []
    for path in sorted((ROOT / "src" / "fabula").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "command":
                words = [word for word in node.args if not isinstance(word, ast.Starred)]
                line = [word.value if isinstance(word, ast.Constant) else "1" for word in words]
                if line:
                    found.append((path.name, shlex.join(map(str, line))))
    return found


@pytest.mark.parametrize(("module", "line"), built())
def test_a_command_that_is_put_together_is_one_that_the_program_accepts(module: str, line: str):
    parse(line)


def test_commands_in_messages_are_found():
    assert len(built()) > 8
    assert len(literals()) > 8


MENTIONS = sorted(
    {
        (document.name, found[1], found[2])
        for document, line in CODE
        if (found := re.match(r"fabula ([a-z]+) ([^#]*--.*)", line)) and document.name != "reference.md"
    }
)


@pytest.mark.parametrize(("document", "name", "arguments"), MENTIONS)
def test_a_command_that_a_document_mentions_has_the_options(document: str, name: str, arguments: str):
    assert isinstance(COMMANDS, typer.core.TyperGroup)
    context = COMMANDS.commands[name].make_context(name, [], resilient_parsing=True)
    known = {option for each in context.command.params for option in (*each.opts, *each.secondary_opts)}
    assert set(re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", arguments)) <= known | {"--help", "--quiet"}, (
        document
    )


EXTRAS = [
    (document.name, name)
    for document, line in CODE
    for name in re.findall(r"fabula\[([\w,]+)\]|'\.\[([\w,]+)\]'", line)
]


def test_each_extra_that_a_document_names_exists():
    assert EXTRAS
    for document, names in EXTRAS:
        for name in next(filter(None, names)).lower().split(","):
            assert name == "name" or name in PROJECT["optional-dependencies"], document


def test_each_make_target_that_a_document_names_exists():
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    named = {found[1] for _, line in CODE if (found := re.match(r"make ([a-z]+)\b", line))}
    assert {"run", "test"} <= named <= targets


SCRIPTS = sorted(
    {
        (document.name, found[0])
        for document, line in CODE
        if (found := re.search(r"(?<![\w/])(?:benchmarks|tests|docs|\.ci)/[\w/.-]+\.py(?: .*)?$", line))
    }
)


@pytest.mark.parametrize(("document", "line"), SCRIPTS)
def test_a_script_in_a_document_exists_and_has_the_options(document: str, line: str):
    name, _, arguments = line.partition(" ")
    source = (ROOT / name).read_text(encoding="utf-8")
    if document == "benchmarks.md":
        return  # it names the command of the day on which it was measured
    options = re.findall(r"(?<!\S)(--[a-z-]+)", arguments.partition("#")[0])
    assert not [option for option in options if f'"{option}"' not in source], document


def test_the_python_of_the_readme_names_what_is_there():
    for document in DOCUMENTS:
        for block in re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
            for node in ast.walk(ast.parse(block)):
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == "fabula"
                ):
                    assert hasattr(fabula, node.attr), f"{document.name}: fabula.{node.attr}"


@pytest.mark.skipif(sys.platform == "win32", reason="it pastes into a shell of Linux and macOS")
def test_what_one_command_prints_as_the_next_works_as_pasted(tmp_path: Path):
    """From a file of stories to a story, with nothing typed but the first command. The folder's name has a space, and no
    PATH leads to fabula."""
    folder = tmp_path / "my stories"
    folder.mkdir()
    rows = "".join(f"<sos> {story.replace(chr(10), ' <nl> ')} <eos>\n" for story in TINY_STORIES)
    (folder / "low quay.txt").write_text(rows, encoding="utf-8")
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "COLUMNS": "80"}

    def paste(line: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        return done.stdout

    def next_command(shown: str) -> str:
        (line,) = re.findall(r"(?m)^(?:next|Next:)\s+(.+)$", shown)
        return line

    cleaned = paste(
        shlex.join([sys.executable, "-m", "fabula", "clean", "low quay.txt", "--out", "low quay"])
    )
    trained = paste(next_command(cleaned) + " --base tiny")
    story = paste(next_command(trained) + " --max-new-tokens 8")
    assert story.startswith("Once upon a time,")

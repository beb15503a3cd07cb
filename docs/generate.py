"""Writes docs/reference.md from the program itself; with --check, fails if the file is stale."""

import sys
from pathlib import Path

import typer.core
import typer.main

from fabula.cli.app import app

TARGET = Path(__file__).parent / "reference.md"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def command_reference(name: str, command: typer.core.TyperCommand) -> list[str]:
    context = command.make_context(f"fabula {name}", [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## `fabula {name}`", "", f"    fabula {name} {usage}", "", (command.help or "").strip(), ""]
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [record for record in records if record is not None and record[0] != "--help"]
    if rows:
        lines += ["| option | meaning |", "| --- | --- |"]
        lines += [f"| `{cell(option)}` | {cell(meaning)} |" for option, meaning in rows]
        lines.append("")
    return lines


def reference() -> str:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    lines = ["# Reference", "", "Written by `make docs` from the program; do not edit.", ""]
    for name, command in group.commands.items():
        assert isinstance(command, typer.core.TyperCommand)
        lines += command_reference(name, command)
    return "\n".join(lines).rstrip("\n") + "\n"


def main() -> None:
    text = reference()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text, encoding="utf-8", newline="\n")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
        sys.exit(f"{TARGET.name} is stale: run `make docs`")


if __name__ == "__main__":
    main()

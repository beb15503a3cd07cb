"""Writes docs/reference.md and docs/rules.md from the program itself; with --check, fails if one is stale."""

import sys
from pathlib import Path

import rules
import typer.core
import typer.main

from fabula.cli.app import app
from fabula.config import Record
from fabula.generation.settings import SamplingSettings
from fabula.training.recipe import Recipe, recipe_names


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
    lines += [
        "## Recipe fields",
        "",
        "A recipe is a TOML file with these fields; `--recipe` names it. Recipes that come with fabula: ",
    ]
    lines[-1] += ", ".join(f"`{name}`" for name in recipe_names()) + "."
    lines += ["", *fields(Recipe)]
    lines += ["## Sampling settings", "", "A model's own settings are in its `generation_config.json`.", ""]
    lines += fields(SamplingSettings)
    return "\n".join(lines).rstrip("\n") + "\n"


def fields(record: type[Record]) -> list[str]:
    lines = ["| field | default | meaning |", "| --- | --- | --- |"]
    for name, field in record.model_fields.items():
        default = "not set" if field.default is None else f"`{field.default!r}`"
        lines.append(f"| `{name}` | {default} | {cell(field.description or '')} |")
    return [*lines, ""]


def main() -> None:
    for name, text in (("reference.md", reference()), ("rules.md", rules.reference())):
        target = Path(__file__).parent / name
        if "--check" not in sys.argv[1:]:
            target.write_text(text, encoding="utf-8", newline="\n")
        elif not target.exists() or target.read_text(encoding="utf-8") != text:
            sys.exit(f"docs/{name} is stale: run `make docs`")


if __name__ == "__main__":
    main()

"""Typed settings: frozen records whose fields are documented once, read from and written to TOML."""

import reprlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from fabula.errors import FabulaError, did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Record(BaseModel):
    """A frozen record of settings. Unknown fields and values out of range are errors that name the field."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str | Path = "") -> Self:
        """The record with these `values`. `where` names their file or option in the error.

        Raises:
            FabulaError: an unknown field (the nearest known one is suggested) or a bad value (the range is stated).
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            place = where or cls.__name__
            if first["type"] == "extra_forbidden":
                raise FabulaError(
                    f"unknown field {name!r}", where=place, hint=did_you_mean(name, cls.model_fields)
                ) from None
            value = "" if first["type"] == "missing" else f" = {reprlib.repr(first['input'])}"
            raise FabulaError(f"field {name!r}{value} {describe_problem(first)}", where=place) from None

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The record in a TOML file."""
        return cls.parse(read_toml(path), where=path)

    def to_toml(self) -> str:
        """The record as TOML, each field under the sentence that documents it; fields that are None are left out."""
        lines = []
        for name, field in type(self).model_fields.items():
            value = self.model_dump(mode="json")[name]
            if field.description:
                lines.append(f"# {field.description}")
            lines.append(
                f"# {name} is not set" if value is None else tomli_w.dumps({name: value}).rstrip("\n")
            )
        return "\n".join(lines) + "\n"


PROBLEMS = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
    "tuple": "must be a list",
    "list": "must be a list",
    "missing": "is required",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} entries",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "finite_number": "must be a finite number",
}
"""What a field must be, by the type of pydantic's error, or by the part of that type before "_type", "_parsing" or
"_from_float"."""


def describe_problem(error: "ErrorDetails") -> str:
    """What is wrong with a value, as a phrase to put after its name and value: "must be a number"."""
    kind = error["type"]
    plain = PROBLEMS.get(kind) or PROBLEMS.get(
        kind.removesuffix("_type").split("_parsing")[0].split("_from_")[0]
    )
    if plain is not None:
        bounds = {
            name: f"{value:g}" if isinstance(value, float) else value
            for name, value in error.get("ctx", {}).items()
        }
        return plain.format_map(bounds)
    message = error["msg"].removeprefix("Value error, ").rstrip(".")
    if choices := message.partition(" is not one of ")[2]:
        return f"must be one of {choices}"
    return "is refused: " + message[:1].lower() + message[1:]


def read_toml(path: str | Path) -> dict[str, Any]:
    """The table in a TOML file.

    Raises:
        FabulaError: there is no such file, or it is not valid TOML (the error names the line).
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise FabulaError("no such file", where=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FabulaError(f"this is not valid TOML: {error}", where=path) from None

"""Command-line options from the fields of records, so that each name, default and description is defined once."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import annotated_types
import typer
from pydantic.fields import FieldInfo

from fabula.config import Record
from fabula.defaults import BASE

BASE_HELP = "The model to start from: a short name (`fabula bases`), another name on the Hugging Face hub, a folder or a GGUF file."
BASE_SHOWN = f"{BASE}, or tiny if that is not available"
"""Help and default of --base."""

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Folder of a model or of a run.", show_default=False)
]
"""The argument of commands that use one model."""

RECIPE_HELP = "How to train: default, full, notebook, or a TOML file; a comma and a field changes it: default,num_epochs=3."


@dataclass(frozen=True)
class Given:
    """Marks a parameter of a command that receives only the options that were typed, as a dict by field of `record`.

    Attributes:
        otherwise: where the value of an option comes from that was not typed ("the model's setting"), for help.
    """

    record: type[Record]
    otherwise: str


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of the records among its parameters; it is called with these records.

    A field that is itself a record is replaced by its fields. A field's description becomes the help, and its bounds are
    checked by the parser. A parameter `Annotated[dict[str, Any], Given(...)]` receives a dict instead of a record.
    Of a field's `json_schema_extra`, "shown" is shown instead of the default, "flags" are the option's names, and
    `"option": False` makes it none.
    """
    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    records = {name: hint for name, hint in hints.items() if _is_record(hint)}
    given = {
        name: mark for name, hint in hints.items() for mark in get_args(hint)[1:] if isinstance(mark, Given)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name in records:
            parameters += _parameters(records[name])
        elif name in given:
            parameters += _parameters(given[name].record, given[name].otherwise)
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def expanded(**values: Any) -> None:
        made: dict[str, Any] = {name: _build(record, values) for name, record in records.items()}
        for name, mark in given.items():
            made[name] = {
                field: values[field] for field in mark.record.model_fields if values[field] not in (None, [])
            }
        command(**made, **{name: values[name] for name in signature.parameters.keys() - made})

    # Arguments without a default come first only where the parameters have no keywords; these have.
    expanded.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
    expanded.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
    return expanded


def _is_record(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, Record)


def _build(record: type[Record], values: Mapping[str, Any]) -> Record:
    """The record of these option values."""
    fields = {
        name: _build(field.annotation, values) if _is_record(field.annotation) else values[name]  # pyright: ignore[reportArgumentType]
        for name, field in record.model_fields.items()
        if _extra(field).get("option", True)
    }
    return record.parse(fields, where="options")


def _parameters(record: type[Record], otherwise: str | None = None) -> list[inspect.Parameter]:
    found: list[inspect.Parameter] = []
    for name, field in record.model_fields.items():
        if _is_record(field.annotation):
            found += _parameters(field.annotation)  # pyright: ignore[reportArgumentType]
        elif _extra(field).get("option", True):
            found.append(
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=_default(field, otherwise),
                    annotation=Annotated[
                        _plain(field.annotation, otherwise), _option(name, field, otherwise)
                    ],
                )
            )
    return found


def _default(field: FieldInfo, otherwise: str | None) -> Any:
    if otherwise is not None:
        return None
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _plain(annotation: Any, otherwise: str | None) -> Any:
    """The type as the parser knows it: a tuple or a table of any length is an option that can be given several times."""
    if get_origin(annotation) in (tuple, dict):
        annotation = list[str]
    elif otherwise is not None:
        annotation = next((each for each in get_args(annotation) if each is not NoneType), annotation)
    return annotation if otherwise is None else annotation | None


def _option(name: str, field: FieldInfo, otherwise: str | None) -> Any:
    bounds: dict[str, Any] = {}
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Ge):
            bounds["min"] = bound.ge
        elif isinstance(bound, annotated_types.Le):
            bounds["max"] = bound.le
    extra = _extra(field)
    flags = extra.get("flags") or ([f"--{name.replace('_', '-')}"] if field.default is False else [])
    shown: Any = extra.get("shown", field.default not in (None, False, ()))
    if otherwise is not None:
        default = field.get_default(call_default_factory=True)
        default = ("off", "on")[default] if isinstance(default, bool) else default
        shown = otherwise if default in (None, "", (), {}) else f"{otherwise}, or {default}"
    return typer.Option(*flags, help=field.description, show_default=shown, **bounds)


def _extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}

"""Command-line options from the fields of records, so that a name, a default and a sentence stand in one place."""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import annotated_types
import typer
from pydantic.fields import FieldInfo

from fabula.config import Record


def options_of(
    parameter: str,
    record: type[Record],
    *,
    leave_out: tuple[str, ...] = (),
    unset: str | None = None,
    flags: Mapping[str, tuple[str, ...]] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command: its parameter `parameter` receives a dict of the options' values, by field name.

    Each field of `record` becomes an option. An option without a value is missing from the dict.

    Args:
        leave_out: fields that are no options.
        unset: where the value of an option comes from that was not given ("the model's setting"), for help; it is then
            missing from the dict. None means the field's default.
        flags: other names of an option than the field's, by field.
    """
    fields = {name: field for name, field in record.model_fields.items() if name not in leave_out}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapper(*args: Any, **given: Any) -> None:
            changes = {name: value for name in fields if (value := given.pop(name)) not in (None, [])}
            command(*args, **given, **{parameter: changes})

        signature = inspect.signature(command)
        own = [each for name, each in signature.parameters.items() if name != parameter]
        added = [
            _sparse_option(name, field, unset, (flags or {}).get(name)) for name, field in fields.items()
        ]
        wrapper.__signature__ = signature.replace(parameters=[*own, *added])  # pyright: ignore[reportAttributeAccessIssue]
        wrapper.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
        del wrapper.__wrapped__  # its signature would be taken
        return wrapper

    return decorate


def _sparse_option(
    name: str, field: FieldInfo, unset: str | None, flags: tuple[str, ...] | None
) -> inspect.Parameter:
    kind: Any = next((each for each in get_args(field.annotation) if each is not NoneType), field.annotation)
    kind = list[str] if get_origin(field.annotation) is tuple else kind
    spelled = name.replace("_", "-")
    default = ("off", "on")[bool(field.default)] if kind is bool else field.default
    option = typer.Option(
        *(flags or (f"--{spelled}/--no-{spelled}" if kind is bool else f"--{spelled}",)),
        help=field.description,
        show_default=f"{unset}, or {default}" if unset and default != () else field.default is not None,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if unset else field.default,
        annotation=Annotated[kind | None, option],
    )


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of the records among its parameters; it is called with these records.

    A field that is itself a record is replaced by its fields. A field's description becomes the help, its bounds are
    checked by the parser, and `json_schema_extra={"shown": ...}` is shown instead of a default of None. Where an option
    that was not given must be told from one with its default, see `options_of`.
    """
    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    records = {name: hint for name, hint in hints.items() if _is_record(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name in records:
            parameters += _parameters(records[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def expanded(**values: Any) -> None:
        built = {name: _build(record, values) for name, record in records.items()}
        command(**built, **{name: values[name] for name in signature.parameters.keys() - records})

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
    }
    return record.parse(fields, where="options")


def _parameters(record: type[Record]) -> list[inspect.Parameter]:
    found: list[inspect.Parameter] = []
    for name, field in record.model_fields.items():
        if _is_record(field.annotation):
            found += _parameters(field.annotation)  # pyright: ignore[reportArgumentType]
        else:
            found.append(
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=list(field.default) if isinstance(field.default, tuple) else field.default,
                    annotation=Annotated[_plain(field.annotation), _option(name, field)],
                )
            )
    return found


def _plain(annotation: Any) -> Any:
    """The type as the parser knows it: a tuple of any length is an option that can be given several times."""
    if get_origin(annotation) is tuple:
        return list[get_args(annotation)[0]]
    return annotation


def _option(name: str, field: FieldInfo) -> Any:
    bounds: dict[str, Any] = {}
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Ge):
            bounds["min"] = bound.ge
        elif isinstance(bound, annotated_types.Le):
            bounds["max"] = bound.le
    names = [f"--{name.replace('_', '-')}"] if field.default is False else []
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    shown: Any = extra.get("shown", field.default not in (None, False, ()))
    return typer.Option(*names, help=field.description, show_default=shown, **bounds)

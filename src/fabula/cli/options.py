"""Command-line options from the fields of records, so that a name, a default and a sentence stand in one place."""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any, get_args

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
            changes = {name: value for name in fields if (value := given.pop(name)) is not None}
            command(*args, **given, **{parameter: changes})

        signature = inspect.signature(command)
        own = [each for name, each in signature.parameters.items() if name != parameter]
        added = [_option(name, field, unset, (flags or {}).get(name)) for name, field in fields.items()]
        wrapper.__signature__ = signature.replace(parameters=[*own, *added])  # pyright: ignore[reportAttributeAccessIssue]
        wrapper.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
        del wrapper.__wrapped__  # its signature would be taken
        return wrapper

    return decorate


def _option(
    name: str, field: FieldInfo, unset: str | None, flags: tuple[str, ...] | None
) -> inspect.Parameter:
    kind: Any = next((each for each in get_args(field.annotation) if each is not NoneType), field.annotation)
    spelled = name.replace("_", "-")
    default = ("off", "on")[bool(field.default)] if kind is bool else field.default
    option = typer.Option(
        *(flags or (f"--{spelled}/--no-{spelled}" if kind is bool else f"--{spelled}",)),
        help=field.description,
        show_default=f"{unset}, or {default}" if unset else field.default is not None,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if unset else field.default,
        annotation=Annotated[kind | None, option],
    )

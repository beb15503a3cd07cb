"""Values in JSON, and rows in JSON that is not JSON Lines: an array, records one after another, or one object that
contains the rows."""

import ast
import json
from collections.abc import Iterator
from typing import Any

from fabula.errors import FabulaError

_FIELDS = {"text", "story", "content", "body", "prompt", "completion"}
"""Names of fields of a record: an object with long texts under other names maps titles to stories."""


def load_value(text: str) -> Any:
    """The value of JSON text, or of a Python literal of a list, dictionary or bytes.

    Raises:
        ValueError: it is neither. RecursionError: it is nested too deeply.
    """
    try:
        return json.loads(text)
    except ValueError:
        if not text.lstrip().startswith(("{'", '{"', "['", '["', "b'", 'b"', "[{'")):
            raise
    try:
        value = ast.literal_eval(text.strip())
    except (SyntaxError, MemoryError, TypeError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(value, bytes | list | dict):
        raise ValueError("neither JSON nor a list or dictionary of Python")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def values_of(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """The values of JSON text, each with its line: the items of a top-level array, or else values one after another.

    Raises:
        FabulaError: it is not JSON, or ends in the middle.
    """
    decoder = json.JSONDecoder()
    position = len(text) - len(text.lstrip("\ufeff \t\r\n"))
    line = 1 + text.count("\n", 0, position)
    in_array = text[position : position + 1] == "["
    position += in_array
    while True:
        start = position
        while position < len(text) and text[position] in " \t\r\n,\x1e":
            position += 1
        line += text.count("\n", start, position)
        if position == len(text) or (in_array and text[position] == "]"):
            break
        try:
            value, end = decoder.raw_decode(text, position)
        except RecursionError:
            raise FabulaError("this JSON is nested too deeply", where=name, line=line) from None
        except ValueError as error:
            raise _no_json(error, text, name) from None
        yield line, value
        line += text.count("\n", position, end)
        position = end
    if in_array and position == len(text):
        raise _cut_short(name, line)


def _no_json(error: ValueError, text: str, name: str) -> FabulaError:
    if not isinstance(error, json.JSONDecodeError):
        return FabulaError(f"this is not valid JSON ({error})", where=name)
    if "Unterminated" in error.msg or not text[error.pos :].strip():
        return _cut_short(name, error.lineno)
    return FabulaError(f"this is not valid JSON: {error.msg}", where=name, line=error.lineno)


def _cut_short(name: str, line: int) -> FabulaError:
    what = "this JSON ends in the middle; the file is incomplete"
    return FabulaError(what, where=name, line=line, hint="download or export it again")


def rows_of(value: Any) -> list[dict[str, Any]]:
    """The rows in a JSON value, whatever its structure.

    These structures are recognised: lists, {"data": [...]} under any name, {"1": {...}, "2": {...}}, the forms of
        pandas' `to_json` ("columns",
    "index", "split", "table"), Reddit's listings, and texts without a record around them.
    """
    if isinstance(value, str):
        return [{"text": value}]
    if isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            return [{"text": value}]
        return [row for item in value for row in rows_of(item)]
    if not isinstance(value, dict):
        return [{"value": value}]
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return [
            dict(zip(map(str, value["columns"]), row, strict=False))
            for row in value["data"]
            if isinstance(row, list)
        ]
    inner = list(value.values())
    if len(inner) > 0 and all(isinstance(item, dict) for item in inner):
        return _rows_by_key(value)
    texts = [item for item in inner if isinstance(item, str) and len(item.split()) >= 20]
    if len(inner) > 2 and len(texts) == len(inner) and not {key.casefold() for key in value} & _FIELDS:
        return [{"title": key, "text": item} for key, item in value.items()]
    lists = len(inner) > 1 and all(isinstance(item, list) for item in inner)
    if (
        lists
        and len({len(item) for item in inner}) == 1
        and not any(isinstance(one, dict) for item in inner for one in item)
    ):
        return [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)]
    return _wrapped(value)


def _rows_by_key(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of an object of objects: columns by name, each with its cells by row; or rows by their ids."""
    inner = list(value.values())
    keys = list(inner[0])
    same = all(list(item) == keys for item in inner)
    if (
        same
        and keys
        and all(key.isdigit() for key in keys)
        and not any(isinstance(cell, dict) for cell in inner[0].values())
    ):
        return [{name: cells[key] for name, cells in value.items()} for key in keys]
    if len(inner) == 1 and not any(isinstance(cell, str) for cell in inner[0].values()):
        return rows_of(inner[0])
    return [flat(item) for item in inner]


def _wrapped(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the only list in an object that is not a row itself, or else the object as a row."""
    lists = {
        key: item
        for key, item in value.items()
        if isinstance(item, list) and item and isinstance(item[0], dict | list)
    }
    texts = [item for item in value.values() if isinstance(item, str) and len(item.split()) >= 40]
    if len(lists) == 1 and not texts:
        key, rows = next(iter(lists.items()))
        is_talk = key.lower() in (
            "messages",
            "conversations",
            "conversation",
            "chapters",
            "turns",
            "dialog",
            "dialogue",
        )
        if not is_talk and isinstance(rows[0], dict):
            return [row for item in rows for row in rows_of(item)]
    inner = value.get("data")
    if isinstance(inner, dict) and not texts and ("kind" in value or len(value) == 1):
        return rows_of(inner)
    return [flat(value)]


def flat(row: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """A row with the fields of inner objects as separate columns: {"story": {"text": "..."}} has the column
    "story.text"."""
    if not any(isinstance(value, dict) for value in row.values()):
        return {prefix + key: value for key, value in row.items()} if prefix else row
    made: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict) and depth < 3:
            made |= flat(value, f"{prefix}{key}.", depth + 1)
        else:
            made[prefix + key] = value
    return made

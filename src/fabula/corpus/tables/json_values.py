"""Rows in JSON that is no JSON Lines: an array, records one after another, or one object with the rows somewhere in it."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from fabula.errors import FabulaError

_BETWEEN = re.compile(r"[\s,\x1e]*")
_CHUNK = 1 << 20
_MAX_VALUE_CHARACTERS = 256 << 20
"""The longest value (a row, or a whole object) that is parsed."""


def stream_values(read: Callable[[int], str], name: str) -> Iterator[tuple[int, Any]]:
    """The values of JSON text, each with its line: the items of an array at the top, or else values one after another.

    Args:
        read: gives up to that many characters, and "" at the end.

    Raises:
        FabulaError: it is no JSON, or ends in the middle.
    """
    decoder = json.JSONDecoder()
    buffer, line, at_end, need = read(_CHUNK).lstrip("\ufeff"), 1, False, _CHUNK
    opening = re.match(r"\s*", buffer)
    position = opening.end() if opening else 0
    line += buffer.count("\n", 0, position)
    in_array = buffer[position : position + 1] == "["
    position += in_array
    while True:
        gap = _BETWEEN.match(buffer, position)
        line += buffer.count("\n", position, gap.end())  # pyright: ignore[reportOptionalMemberAccess]
        position = gap.end()  # pyright: ignore[reportOptionalMemberAccess]
        closed = in_array and buffer[position : position + 1] == "]"
        if closed or (at_end and position == len(buffer)):
            break
        try:
            value, end = decoder.raw_decode(buffer, position)
            if not at_end and end >= len(buffer) - 1:  # a number may go on
                raise ValueError
        except RecursionError:
            raise FabulaError("this JSON is nested too deeply", where=name, line=line) from None
        except ValueError as error:
            if at_end or len(buffer) - position > _MAX_VALUE_CHARACTERS:
                raise _no_json(error, len(buffer) - position, at_end, name, line) from None
            more = read(need)
            at_end = len(more) < need and not (extra := read(_CHUNK)) or at_end
            buffer, position = buffer[position:] + more + ("" if at_end else extra), 0
            need *= 2
            continue
        yield line, value
        line += buffer.count("\n", position, end)
        position, need = end, _CHUNK
    if in_array and not closed:
        raise FabulaError(
            "this JSON array ends in the middle; the file is incomplete", where=name, line=line, hint="download it again"
        )


def _no_json(error: ValueError, rest: int, at_end: bool, name: str, line: int) -> FabulaError:
    if isinstance(error, json.JSONDecodeError):
        if at_end and error.pos >= rest - 1 or "Unterminated" in error.msg:
            what = "this JSON ends in the middle; the file is incomplete"
            return FabulaError(what, where=name, line=line, hint="download it again")
        return FabulaError(f"this is not valid JSON: {error.msg}", where=name, line=line + error.lineno - 1)
    return FabulaError("this JSON holds a value that is too large", where=name, line=line)


def rows_of(value: Any) -> list[dict[str, Any]]:
    """The rows in a value of JSON, whichever way they are wrapped up.

    Known are lists, {"data": [...]} under any name, {"1": {...}, "2": {...}}, the forms of pandas' `to_json` ("columns",
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
        return [dict(zip(map(str, value["columns"]), row, strict=False)) for row in value["data"] if isinstance(row, list)]
    inner = list(value.values())
    if len(inner) > 0 and all(isinstance(item, dict) for item in inner):
        return _rows_by_key(value)
    if len(inner) > 1 and all(isinstance(item, list) for item in inner) and len({len(item) for item in inner}) == 1:
        if not any(isinstance(entry, dict) for item in inner for entry in item):
            return [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)]
    return _wrapped(value)


def _rows_by_key(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of an object of objects: columns by name, each with its cells by row; or rows by their ids."""
    inner = list(value.values())
    keys = list(inner[0])
    same = all(list(item) == keys for item in inner)
    if same and keys and all(key.isdigit() for key in keys) and not any(isinstance(cell, dict) for cell in inner[0].values()):
        return [{name: cells[key] for name, cells in value.items()} for key in keys]
    if len(inner) == 1 and not any(isinstance(cell, str) for cell in inner[0].values()):
        return rows_of(inner[0])
    return [flat(item) for item in inner]


def _wrapped(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the one list in an object that is no row itself, or else the object as a row."""
    lists = {key: item for key, item in value.items() if isinstance(item, list) and item and isinstance(item[0], dict | list)}
    texts = [item for item in value.values() if isinstance(item, str) and len(item.split()) >= 40]
    if len(lists) == 1 and not texts:
        key, rows = next(iter(lists.items()))
        is_talk = key.lower() in ("messages", "conversations", "conversation", "chapters", "turns", "dialog", "dialogue")
        if not is_talk and isinstance(rows[0], dict):
            return [row for item in rows for row in rows_of(item)]
    inner = value.get("data")
    if isinstance(inner, dict) and not texts and ("kind" in value or len(value) == 1):
        return rows_of(inner)
    return [flat(value)]


def flat(row: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """A row whose inner objects are columns of their own: {"story": {"text": "..."}} has the column "story.text"."""
    if not any(isinstance(value, dict) for value in row.values()):
        return {prefix + key: value for key, value in row.items()} if prefix else row
    made: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict) and depth < 3:
            made |= flat(value, f"{prefix}{key}.", depth + 1)
        else:
            made[prefix + key] = value
    return made

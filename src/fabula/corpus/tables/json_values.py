"""Values in JSON, and rows in JSON that is not JSON Lines: an array, records one after another, or one object that
contains the rows."""

import ast
import json
from collections.abc import Iterator
from typing import IO, Any

from fabula.errors import FabulaError

READ_CHARS = 1 << 20
"""Characters of JSON that are read at once."""

MAX_VALUE_CHARS = 256 << 20
"""The longest value, such as an object that holds all stories. It is in memory as a whole."""

LONGEST_TOKEN = 16
"""An error in the last characters of what was read so far may only mean that a token is cut."""

_SPLITS = {"train", "training", "validation", "valid", "val", "dev", "eval", "test"}
"""Names of the parts of a dataset."""

_FIELDS = {"text", "story", "content", "body", "prompt", "completion"}
"""Names of fields of a record: an object with long texts under other names maps titles to stories."""


_OF_ONE_RECORD = {
    "messages", "chat_messages", "conversations", "conversation", "chapters", "sections", "parts", "episodes", "turns", "dialog", "dialogue", "paragraphs", "paras",
    "blocks", "lines", "sentences", "segments", "ops",
}  # fmt: skip
"""Names of lists whose items are parts of one record."""


def load_value(text: str) -> Any:
    """The value of JSON text (also of JSON that was written as a text of JSON), or of a Python literal of a list, dictionary
    or bytes.

    Raises:
        ValueError: it is neither. RecursionError: it is nested too deeply.
    """
    try:
        value = json.loads(text)
        return json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[") else value
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


class _Buffer:
    """The part of a JSON text that is being parsed: `text` from `position` on, which is in line `line`."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.text, self.position, self.line = "", 0, 1
        self.is_end = False

    def read(self, size: int) -> None:
        """Read more characters, and forget those that were parsed."""
        part = self._file.read(size)
        self.text, self.position = self.text[self.position :] + part, 0
        self.is_end = not part

    def move_to(self, position: int) -> None:
        self.line += self.text.count("\n", self.position, position)
        self.position = position

    def next(self, between: str) -> str:
        """The next character that is not in `between`; "" at the end."""
        while True:
            place = self.position
            while place < len(self.text) and self.text[place] in between:
                place += 1
            self.move_to(place)
            if place < len(self.text) or self.is_end:
                return self.text[place : place + 1]
            self.read(READ_CHARS)


def values_of(file: IO[str], name: str) -> Iterator[tuple[int, Any]]:
    """The values of JSON text, each with its line: the items of a top-level array, or else values one after another. No
    more than one value is in memory.

    Raises:
        FabulaError: it is not JSON, ends in the middle, or has a value of more than `MAX_VALUE_CHARS`.
    """
    buffer = _Buffer(file)
    if buffer.next("\ufeff \t\r\n") and buffer.text.startswith(("['", "[{'", "{'"), buffer.position):
        yield from ((1, value) for value in _python_values(buffer, name))
        return
    in_array = buffer.next("\ufeff \t\r\n") == "["
    buffer.move_to(buffer.position + in_array)
    while (first := buffer.next(" \t\r\n,\x1e")) and not (in_array and first == "]"):
        value, end = _next_value(buffer, name)
        yield buffer.line, value
        buffer.move_to(end)
    if in_array and not first:
        raise _cut_short(name, buffer.line)


def _python_values(buffer: _Buffer, name: str) -> list[Any]:
    """The items of a list, or the dictionary, that Python printed."""
    buffer.read(MAX_VALUE_CHARS)
    try:
        value = load_value(buffer.text)
    except (ValueError, RecursionError):
        what = "this is neither JSON nor a list or dictionary of Python"
        raise FabulaError(what, where=name, hint="write the stories with json.dump") from None
    return value if isinstance(value, list) else [value]


def _next_value(buffer: _Buffer, name: str) -> tuple[Any, int]:
    """The value at the buffer's position, and where it ends."""
    decoder = json.JSONDecoder()
    while True:
        try:
            value, end = decoder.raw_decode(buffer.text, buffer.position)
            if end < len(buffer.text) or buffer.is_end:  # else a number might go on
                return value, end
        except RecursionError:
            raise FabulaError("this JSON is nested too deeply", where=name, line=buffer.line) from None
        except json.JSONDecodeError as error:
            is_cut = "Unterminated" in error.msg or error.pos > len(buffer.text) - LONGEST_TOKEN
            if buffer.is_end or not is_cut:
                raise _no_json(error, buffer, name) from None
        except ValueError as error:  # a number with thousands of digits
            raise FabulaError(f"this is not valid JSON ({error})", where=name, line=buffer.line) from None
        if len(buffer.text) - buffer.position > MAX_VALUE_CHARS:
            what = f"a value in this JSON has more than {MAX_VALUE_CHARS:,} characters"
            hint = "save the stories as an array of objects, or as JSON Lines"
            raise FabulaError(what, where=name, line=buffer.line, hint=hint)
        buffer.read(max(READ_CHARS, len(buffer.text)))


def _no_json(error: json.JSONDecodeError, buffer: _Buffer, name: str) -> FabulaError:
    line = buffer.line + buffer.text.count("\n", buffer.position, error.pos)
    if "Unterminated" in error.msg or not buffer.text[error.pos :].strip():
        return _cut_short(name, line)
    return FabulaError(f"this is not valid JSON: {error.msg}", where=name, line=line)


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
    if (
        value
        and {key.lower() for key in value} <= _SPLITS
        and all(isinstance(item, list) for item in value.values())
    ):
        return [{**row, "split": key} for key, item in value.items() for row in rows_of(item)]
    if "gamestarted" in value and isinstance(value.get("actions"), list):  # a story of KoboldAI
        return [{"text": "".join(map(str, [value.get("prompt", ""), *value["actions"]]))}]
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
    if len(inner) > 2 and lists and all(isinstance(one, str) for item in inner for one in item):
        long = all(sum(map(len, item)) >= 100 for item in inner)
        if long and not {key.casefold() for key in value} & _FIELDS:  # titles, each with its paragraphs
            return [{"title": key, "text": item} for key, item in value.items()]
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
    if len(inner) == 1:
        return rows_of(inner[0])
    largest = max(inner, key=_num_chars)
    if largest and all(isinstance(item, dict) for item in largest.values()):  # collections of records
        return rows_of(largest)
    if not same and _is_most(largest, value) and any(isinstance(item, list) for item in largest.values()):
        return rows_of(largest)
    return [flat(item) for item in inner]


def _num_chars(value: Any) -> int:
    """Number of characters of all texts in a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_num_chars, value.values()))
    return sum(map(_num_chars, value)) if isinstance(value, list) else 0


def _is_most(part: Any, value: Any) -> bool:
    """Whether nearly all texts of a value are in a part of it."""
    return _num_chars(part) > 0.8 * _num_chars(value)


def _wrapped(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the only list in an object that is not a row itself, or else the object as a row. A list with items of
    the type "paragraph" is rich text, and no list of rows."""
    lists = {
        key: item
        for key, item in value.items()
        if isinstance(item, list) and item and isinstance(item[0], dict | list)
    }
    texts = [item for item in value.values() if isinstance(item, str) and len(item.split()) >= 40]
    key = max(lists, key=lambda name: _num_chars(lists[name]), default="")
    if (
        lists
        and not texts
        and (
            2 * _num_chars(lists[key]) > _num_chars(value) if len(lists) == 1 else _is_most(lists[key], value)
        )
    ):
        rows = lists[key]
        is_rich = any(isinstance(item, dict) and item.get("type") in ("paragraph", "p") for item in rows)
        if not is_rich and key.lower() not in _OF_ONE_RECORD and isinstance(rows[0], dict):
            return [row for item in rows for row in rows_of(item)]
    inner = value.get("data")
    if isinstance(inner, dict) and not texts and ("kind" in value or len(value) == 1):
        return rows_of(inner)
    return [flat(value)]


def flat(row: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """A row with the fields of inner objects as separate columns: {"story": {"text": "..."}} has the column
    "story.text"; the texts of {"chapters": {"One": "...", "Two": "..."}} are a list."""
    if not any(isinstance(value, dict) for value in row.values()):
        return {prefix + key: value for key, value in row.items()} if prefix else row
    made: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict) and key.lower() in _OF_ONE_RECORD and (parts := _parts(value)):
            made[prefix + key] = parts
        elif isinstance(value, dict) and depth < 3:
            made |= flat(value, f"{prefix}{key}.", depth + 1)
        else:
            made[prefix + key] = value
    return made


def _parts(value: dict[str, Any]) -> list[Any]:
    """The parts of one record that an object has by their names or numbers; empty if these are no parts."""
    inner = list(value.values())
    if inner and all(isinstance(item, dict) for item in inner):
        return inner
    if any(not isinstance(item, str) or len(item.split()) < 20 for item in inner):
        return []
    return [{"title": title, "text": text} for title, text in value.items()]

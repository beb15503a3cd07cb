"""Turns a cell of a table into text: strings, HTML, lists of paragraphs, chapters, chat messages."""

import html
import itertools
import re
from collections.abc import Sequence
from statistics import median
from typing import Any, Literal, NamedTuple

from fabula.corpus.tables.json_values import load_value
from fabula.corpus.tables.templates import is_template, turns

FieldFormat = Literal["plain", "html", "markdown", "template", "list", "chapters", "messages", "log"]
"""How a cell is written: plain text; HTML; Markdown; prompts and answers in a template for fine-tuning; a list of paragraphs; a list of chapters; messages of a chat with a model, whose
answers are the story; or a log of messages that people wrote."""

_BLOCK_TAG = re.compile(r"<(?:p|div|br|h[1-6]|li|blockquote|section|article|hr|span)\b[^<>]*>", re.IGNORECASE)
_LINE_TAG = re.compile(r"[ \t]*<br\b[^<>]*>\s*", re.IGNORECASE)
_INLINE_TAG = re.compile(
    r"</?(?:i|b|em|strong|u|s|a|span|sup|sub|small|big|font|strike|del|ins|cite|q)\b[^<>]*>", re.IGNORECASE
)
_MARKDOWN_HEADING = re.compile(r"(?m)^#{1,6} \S")
_ENTITY = re.compile(r"&(?:\w{2,8}|#\d{2,6}|#x[\da-fA-F]{2,5});")
_MODEL = {"assistant", "gpt", "model", "ai", "bot", "chatgpt", "character", "char", "output"}
_OTHER_ROLES = {"user", "human", "system", "prompter", "input", "tool", "function", "developer"}
_TIME_KEYS = ("timestamp", "timestamp_ms", "date", "created_at", "ts")
_ROLE_KEYS = ("role", "from", "author", "speaker", "sender")
_CONTENT_KEYS = ("content", "value", "text", "message", "body", "parts", "output")
_PAGE_KEY = re.compile(r"page(?:[_ ]?(?:no|num|number|id|index|nr))?", re.IGNORECASE)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


class CellText(NamedTuple):
    """A text in a cell, and its title or ""."""

    text: str
    title: str = ""


def words(text: str) -> int:
    """Number of words; of Chinese and Japanese two characters count as one."""
    return len(text.split()) + len(_CJK.findall(text)) // 2


def find_format(values: Sequence[Any]) -> FieldFormat:
    """The format of a column's cells, from a sample of cells that are not empty."""
    sample = [decoded(value) for value in values[:200]]
    lists = [value for value in sample if isinstance(value, list) and value]
    if lists and 2 * len(lists) >= len(sample):
        return _list_format([item for value in lists for item in value[:50]])
    texts = [value for value in sample if isinstance(value, str)]
    marked = sum(bool(_BLOCK_TAG.search(text)) for text in texts)
    if texts and marked >= max(1, 0.1 * len(texts)):
        return "html"
    if texts and sum(is_template(text, 1) for text in texts[:20]) >= 0.8 * len(texts[:20]):
        return "template"
    headed = sum(bool(_MARKDOWN_HEADING.search(text)) for text in texts)
    return "markdown" if len(texts) > 2 and 2 * headed >= len(texts) else "plain"


def _list_format(items: Sequence[Any]) -> FieldFormat:
    records = [item for item in items if isinstance(item, dict)]
    if 2 * len(records) < len(items):
        lengths = [words(item) for item in items if isinstance(item, str)] or [0]
        return "chapters" if median(lengths) >= 150 else "list"
    roles = [_role(record) for record in records]
    if sum(role in _MODEL or role in _OTHER_ROLES for role in roles) >= 0.9 * len(records):
        return "messages"
    lengths = [words(_longest(record)) for record in records] or [0]
    times = sum(any(key in record for key in _TIME_KEYS) for record in records)
    if times > 0.9 * len(records) and median(lengths) < 60:
        return "log"
    if any(_PAGE_KEY.fullmatch(key) for key in records[0]):
        return "list"
    return (
        "chapters" if median(lengths) >= 60 or any("chapter" in key.lower() for key in records[0]) else "list"
    )


def decoded(value: Any) -> Any:
    """A list or bytes from a cell that holds them as text (JSON or a Python literal), as a list or text."""
    if not isinstance(value, str):
        return value
    is_bytes = value[:2] in ("b'", 'b"') and value.rstrip()[-1:] == value[1]
    if not is_bytes and not (value[:1] == "[" and value.rstrip()[-1:] == "]"):
        return value
    try:
        found = load_value(value)
    except (ValueError, RecursionError):
        return value
    if isinstance(found, list):
        return found if found and isinstance(found[0], str | dict) else value
    return found if isinstance(found, str) else value


def plain_text(value: Any, format: FieldFormat) -> str:
    """The text of a cell; its pieces are separated by a newline."""
    return "\n".join(piece.text for piece in cell_texts(value, format))


def cell_texts(value: Any, format: FieldFormat) -> list[CellText]:
    """The texts in a cell: one, or each chapter of a list of chapters."""
    value = decoded(value)
    if isinstance(value, str):
        if format == "template" and (answers := [turn.text for turn in turns(value) if turn.is_answer]):
            return _joined(answers)
        if format == "markdown":
            return [CellText(_markdown_text(value))] if value.strip() else []
        return [CellText(field_text(value) if format == "html" else value)] if value.strip() else []
    if isinstance(value, dict):
        return _texts_of_record(value)
    if not isinstance(value, list):
        return []
    if format == "messages":
        answers = [_content(item) for item in value if isinstance(item, dict) and _role(item) in _MODEL]
        return _joined(answers)
    if format == "chapters":
        return [piece for item in value for piece in _chapter(item)]
    if format == "log":
        return _joined(
            [_content(item) or _longest(item) for item in _oldest_first(value) if isinstance(item, dict)]
        )
    return _joined(
        [_longest(item) if isinstance(item, dict) else item for item in value if isinstance(item, str | dict)]
    )


def _oldest_first(messages: list[Any]) -> list[Any]:
    """The messages of a log, which some programs write from the newest to the oldest."""
    times = [
        message.get(key)
        for message in messages
        if isinstance(message, dict)
        for key in _TIME_KEYS
        if key in message
    ]
    is_turned = len(times) > 1 and type(times[0]) is type(times[-1]) and str(times[0]) > str(times[-1])
    return messages[::-1] if is_turned else messages


def _markdown_text(text: str) -> str:
    from fabula.corpus.documents.markdown import markdown_blocks

    blocks = markdown_blocks(text.replace("\r\n", "\n"))
    return "\n\n".join("* * *" if block.kind == "divider" else block.text for block in blocks)


def _joined(texts: Sequence[str]) -> list[CellText]:
    text = _together([_any_text(text) for text in texts])
    return [CellText(text)] if text else []


def _together(texts: Sequence[str]) -> str:
    """Pieces of a text as one: paragraphs, or parts of paragraphs if there is white space between most of them already and
    some end within a sentence."""
    borders = list(itertools.pairwise(texts))
    loose = sum(here[-1:].isspace() or after[:1].isspace() for here, after in borders)
    filled = [stripped for text in texts if (stripped := text.strip())]
    within = sum(text[-1].isalnum() or text[-1] == "," for text in filled)
    if 2 * loose > len(borders) and 5 * within >= len(filled):
        return "".join(texts).strip()
    joined = filled[:1]
    for here, after in itertools.pairwise(filled):  # a page may end within a sentence
        goes_on = (
            after[0].islower() and (here[-1].isalnum() or here[-1] == ",") and words(here) >= _PAGE_WORDS
        )
        joined += [" " if goes_on else "\n", after]
    return "".join(joined)


_PAGE_WORDS = 25


def _chapter(item: Any) -> list[CellText]:
    if isinstance(item, str):
        return [CellText(_any_text(item))] if item.strip() else []
    if not isinstance(item, dict) or item.get("type") == "service":  # a message of the program (Telegram)
        return []
    title = next(
        (
            item[key]
            for key in ("title", "name", "heading", "chapter_title", "chapter")
            if isinstance(item.get(key), str)
        ),
        "",
    )
    return [CellText(_longest(item), title)] if _longest(item).strip() else []


def _texts_of_record(record: dict[str, Any]) -> list[CellText]:
    text = _longest(record)
    return [CellText(text)] if text.strip() else []


def _longest(record: dict[str, Any]) -> str:
    """The longest text in a record; of a paragraph of rich text (Slate), its runs."""
    runs = record.get("children")
    if isinstance(runs, list) and any(
        isinstance(one, dict) and "text" in one and "type" not in one for one in runs
    ):
        return "".join(map(_text_of, runs))
    texts = [_text_of(value) for value in record.values()]
    return max(texts, key=len, default="")


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return _any_text(value)
    if isinstance(value, list):
        return _together([_text_of(item) for item in value])
    return _longest(value) if isinstance(value, dict) else ""


def _any_text(text: str) -> str:
    return field_text(text) if _BLOCK_TAG.search(text) else text


def _role(message: dict[str, Any]) -> str:
    for key in _ROLE_KEYS:
        value = message.get(key)
        if isinstance(value, dict):
            value = value.get("role") or value.get("name")
        if isinstance(value, str):
            return value.lower()
    label = message.get("label")  # of axolotl's segments: whether the model learns it
    return "" if not isinstance(label, bool) else "assistant" if label else "user"


def _content(message: dict[str, Any]) -> str:
    for key in _CONTENT_KEYS:
        if key in message and (text := _text_of(message[key])).strip():
            return text
    return ""


def field_text(markup: str) -> str:
    """The text of a cell that holds HTML; a newline between paragraphs."""
    if re.search(r"<(?:p|div|h[1-6]|li|blockquote|section|article)\b", markup, re.IGNORECASE):
        from fabula.corpus.documents.html import html_to_text

        return html_to_text(markup)
    text = _INLINE_TAG.sub(
        "", _LINE_TAG.sub("\n", re.sub(r"<hr\b[^<>]*>", "\n* * *\n", markup, flags=re.IGNORECASE))
    )
    return html.unescape(text) if _ENTITY.search(text) else text

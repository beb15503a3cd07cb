"""Records what was removed from a story, with its position and its text, so that it can be read, counted and restored.

`restore` is the inverse of `apply`: story + removals = the text in which the spans were found.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from fabula.errors import FabulaError
from fabula.results import Result
from fabula.story import Span


@dataclass(frozen=True, slots=True)
class Removal:
    """Characters that were removed from a story's text.

    Attributes:
        start, end: their position in the text before all removals (`end` exclusive).
        rule: why.
        confidence: 0 to 1; also 1 if a person confirmed the removal.
        text: the characters, with the surrounding white space that was also removed.
    """

    start: int
    end: int
    rule: str
    confidence: float
    text: str


def apply(text: str, spans: Iterable[Span]) -> tuple[str, list[Removal]]:
    """Remove spans from a text.

    White space that would be left over is removed too: at the ends of the text, and on one side in its middle.
    Overlapping spans become one removal, under the rule of the most confident.

    Returns:
        The text that is left, and the removals in order.
    """
    merged: list[Span] = []
    for span in sorted(spans):
        last = merged[-1] if merged else None
        if span.end <= span.start:
            continue
        if last and span.start < last.end:
            surer = last if last.confidence >= span.confidence else span
            merged[-1] = Span(last.start, max(last.end, span.end), surer.rule, surer.confidence)
        elif last and not text[last.end : span.start].strip():
            merged[-1] = replace(last, end=span.start)  # white space between two removals is removed too
            merged.append(span)
        else:
            merged.append(span)
    if not merged:
        return text, []
    kept, removals, position = [], [], 0
    first = 0
    for number, span in enumerate(merged):
        if number + 1 < len(merged) and merged[number + 1].start == span.end:
            continue
        start, end = _with_space(text, merged[first].start, span.end)
        bounds = [start, *(one.end for one in merged[first:number]), end]
        kept.append(text[position:start])
        for one, (left, right) in zip(merged[first : number + 1], pairwise(bounds), strict=True):
            removals.append(Removal(left, right, one.rule, one.confidence, text[left:right]))
        position, first = end, number + 1
    kept.append(text[position:])
    return "".join(kept), removals


def _with_space(text: str, start: int, end: int) -> tuple[int, int]:
    """The span, extended by the white space that must be removed with it."""
    left, right = start, end
    while left > 0 and text[left - 1].isspace():
        left -= 1
    while right < len(text) and text[right].isspace():
        right += 1
    if left == 0 or right == len(text):
        return left, right
    if left == start or right == end:
        return start, end
    if "\n" in text[left:start] or "\n" not in text[end:right]:
        return start, right
    return left, end


def restore(text: str, removals: Sequence[Removal]) -> str:
    """The text before `apply`."""
    parts, position, length = [], 0, 0
    for removal in removals:
        keep = removal.start - length
        parts += [text[position : position + keep], removal.text]
        position += keep
        length = removal.end
    return "".join([*parts, text[position:]])


class RemovalRow(Result):
    """A ledger row for a removal. `start` and `end` count characters of the story after reading and repair."""

    story: str
    """Id of the story."""
    source: str
    source_line: int
    start: int
    end: int
    rule: str
    confidence: float
    text: str


class DroppedRow(Result):
    """A ledger row for a story that was not kept."""

    story: str
    """Id of the story."""
    source: str
    source_line: int
    dropped: str
    """The reason: "empty", "exact_copy", "near_copy", or the name of a filter."""
    copy_of: str = ""
    """Of a copy: id of the story that is kept in its place."""
    similarity: float | None = None
    """Of a copy: Jaccard index of the two stories."""
    title: str
    text: str | None
    """The whole story; None if the story `copy_of` has the same id, and so the same text."""


class LeftOutRow(Result):
    """A ledger row for input that was left out while reading: front matter, page numbers, rows, files."""

    left_out: str
    """The reason."""
    source: str
    source_line: int
    """0 for a whole file."""
    text: str


class RepairRow(Result):
    """A ledger row for lines broken at one width that were joined, in a file or in a story, and for page numbers and
    running heads that were taken out of a story's lines."""

    repaired: str
    """The name of the repair, as in the manifest."""
    source: str
    source_line: int
    count: int
    """Number of line ends, or of lines with page numbers and running heads, that were taken out."""


LedgerRow = RemovalRow | DroppedRow | LeftOutRow | RepairRow


def parse_row(value: Any, where: str | Path = "", line: int | None = None) -> LedgerRow:
    """The record of a row of the ledger.

    Raises:
        FabulaError: it is not a row of the ledger.
    """
    kinds = {"dropped": DroppedRow, "left_out": LeftOutRow, "repaired": RepairRow}
    keys = kinds.keys() & (value if isinstance(value, dict) else {})
    kind = kinds[keys.pop()] if keys else RemovalRow
    return kind.of(value, where, line)


Decision = Literal["undo", "confirm"]


@dataclass(frozen=True, slots=True)
class Decided:
    """A person's decision about characters `start` to `end` of a story's text before removal."""

    start: int
    end: int
    decision: Decision


def read_decisions(path: str | Path) -> dict[str, list[Decided]]:
    """A review file, by story id: JSON Lines with `story`, `start`, `end` and `decision` ("undo": this is story, keep
    it; "confirm": this is not story, remove it).

    Raises:
        FabulaError: there is no such file, or a row is not a decision (with its line).
    """
    decisions: dict[str, list[Decided]] = {}
    try:
        rows = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise FabulaError("no such file", where=path) from None
    except (OSError, UnicodeDecodeError):
        raise FabulaError("this review file cannot be read", where=path) from None
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        try:
            value: Mapping[str, Any] = json.loads(row)
            story, one = value["story"], Decided(int(value["start"]), int(value["end"]), value["decision"])
            if not isinstance(story, str) or one.decision not in ("undo", "confirm"):
                raise ValueError
        except (ValueError, KeyError, TypeError, OverflowError):
            raise FabulaError(
                "this row is not a decision",
                where=path,
                line=number,
                hint='write rows like {"story": "...", "start": 0, "end": 9, "decision": "undo"}',
            ) from None
        decisions.setdefault(story, []).append(one)
    return decisions


def decide(spans: Sequence[Span], decided: Iterable[Decided], length: int) -> list[Span]:
    """The spans in a text of `length` characters after a person's decisions.

    A span that overlaps an undone one is dropped. A confirmed one becomes a span of rule "confirmed", unless a span was
    found there, which gets confidence 1.
    """
    spans = list(spans)
    for one in decided:
        start, end = one.start, min(one.end, length)
        touching = [span for span in spans if span.start < end and span.end > start]
        spans = [span for span in spans if span.start >= end or span.end <= start]
        if one.decision == "confirm" and start < end:
            rule = touching[0].rule if touching else "confirmed"
            first = min([start, *(span.start for span in touching)])
            last = max([end, *(span.end for span in touching)])
            spans.append(Span(first, last, rule, 1.0))
    return sorted(spans)

"""What was taken out of a story, with its place and its text, so that it can be read, counted and put back.

`apply` and `restore` are each other's inverse: story + removals = the text that the spans were found in.
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
    """Characters that were taken out of a story's text.

    Attributes:
        start, end: where they stood in the text before anything was taken out (`end` exclusive).
        rule: why.
        confidence: 0 to 1; 1 also for what a person confirmed.
        text: the characters, with the white space around them that went too.
    """

    start: int
    end: int
    rule: str
    confidence: float
    text: str


def apply(text: str, spans: Iterable[Span]) -> tuple[str, list[Removal]]:
    """Take spans out of a text.

    White space that would be left over goes with them: at the ends of the text, and on one side in its middle.
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
            merged[-1] = replace(last, end=span.start)  # what stands between two removals goes too
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
    """The place with the white space that must go with it."""
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
    """The text as it was before `apply`."""
    parts, position, length = [], 0, 0
    for removal in removals:
        keep = removal.start - length
        parts += [text[position : position + keep], removal.text]
        position += keep
        length = removal.end
    return "".join([*parts, text[position:]])


class RemovalRow(Result):
    """A row of the ledger for a removal. `start` and `end` count characters of the story as it was read and repaired."""

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
    """A row of the ledger for a story that was not kept."""

    story: str
    """Id of the story."""
    source: str
    source_line: int
    dropped: str
    """The reason: "empty", "exact_copy", "near_copy", or the name of a filter."""
    copy_of: str = ""
    """Of a copy: id of the story that stands for it."""
    similarity: float | None = None
    """Of a copy: Jaccard index of the two stories."""
    title: str
    text: str | None
    """The whole story; None where the story `copy_of` has the same id, and so the same text."""


class LeftOutRow(Result):
    """A row of the ledger for what the reader left out before there was a story: front matter, page numbers, rows, files."""

    left_out: str
    """The reason."""
    source: str
    source_line: int
    """0 for a whole file."""
    text: str


LedgerRow = RemovalRow | DroppedRow | LeftOutRow


def parse_row(value: Any, where: str | Path = "", line: int | None = None) -> LedgerRow:
    """The record of a row of the ledger.

    Raises:
        FabulaError: it is no such row.
    """
    kinds = {"dropped": DroppedRow, "left_out": LeftOutRow}
    keys = kinds.keys() & (value if isinstance(value, dict) else {})
    kind = kinds[keys.pop()] if keys else RemovalRow
    return kind.of(value, where, line)


Decision = Literal["undo", "confirm"]


@dataclass(frozen=True, slots=True)
class Decided:
    """What a person decided about the characters `start` to `end` of a story's text before removal."""

    start: int
    end: int
    decision: Decision


def read_decisions(path: str | Path) -> dict[str, list[Decided]]:
    """A review file, by story id: JSON Lines with `story`, `start`, `end` and `decision` ("undo": this is story, leave
    it in; "confirm": this is no story, take it out).

    Raises:
        FabulaError: no such file, or a row that is none of this, with its line.
    """
    decisions: dict[str, list[Decided]] = {}
    try:
        rows = Path(path).read_text(encoding="utf-8").splitlines()
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
                "this row is no decision",
                where=path,
                line=number,
                hint='write rows like {"story": "...", "start": 0, "end": 9, "decision": "undo"}',
            ) from None
        decisions.setdefault(story, []).append(one)
    return decisions


def decide(spans: Sequence[Span], decided: Iterable[Decided], length: int) -> list[Span]:
    """The spans of a text of `length` characters after a person's decisions.

    A span that touches an undone place is left out; a confirmed place is a span of rule "confirmed" unless one was
    found there, which then is certain.
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

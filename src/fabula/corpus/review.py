"""Makes one page that shows what cleaning removed, so that the user can see whether it removed story text.

It has a limited number of examples of each kind, whatever the size of the corpus: what may be a note and stays, the
least certain removals, the stories that lost the largest share, and the first dropped stories for each reason.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from fabula.corpus.boilerplate import RULES
from fabula.corpus.ledger import DroppedRow, Removal
from fabula.corpus.normalise import REPAIRS
from fabula.corpus.options import Filters
from fabula.corpus.stages import CleanedStory
from fabula.formatting import format_percent
from fabula.results import CleaningCounts
from fabula.story import Story, count_words

MAX_REMOVALS = 60
"""Number of examples for each rule."""

MAX_DROPPED = 25
MAX_CHANGED = 10
CONTEXT = 240
"""Number of characters shown on either side of a removal."""

CERTAINTY = {"doubtful": 0.0, "likely": 0.9, "clear": 0.999}
"""Words for confidences, each with the least confidence for it. The confidence combines classifier and rules, and is
not calibrated."""

_REASONS = {
    "empty": "nothing was left of it",
    "deleted": "Reddit or its author took the text away",
    "exact_copy": "another story has the same words",
    "near_copy": "another story has nearly the same words",
}


@dataclass(frozen=True)
class Example:
    """A removal with the text around it."""

    story: str
    place: str
    start: int
    end: int
    rule: str
    confidence: float
    before: str
    text: str
    after: str


@dataclass(frozen=True)
class DroppedExample:
    """A story that was not kept, with the beginning of its text."""

    story: str
    place: str
    copy_of: str
    similarity: float | None
    text: str


@dataclass(frozen=True)
class ChangedExample:
    """A story that lost this share of its words."""

    story: str
    place: str
    share: float
    words: int


class Least:
    """The `limit` items with the smallest keys."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: list[tuple[Any, Any]] = []

    def wants(self, key: Any) -> bool:
        return len(self._items) < self._limit or key < self._items[self._limit - 1][0]

    def add(self, key: Any, item: Any) -> None:
        if self.wants(key):
            self._items.append((key, item))
            self._items.sort(key=lambda pair: pair[0])
            del self._items[self._limit :]

    def __iter__(self) -> Iterator[Any]:
        return (item for _, item in self._items)


class Review:
    """Collects the examples for the page while stories are written. `own_rules`: a line about each of the user's
    rules."""

    def __init__(self, own_rules: Mapping[str, str]) -> None:
        self._rules = RULES | {"confirmed": "taken out by the review file"} | dict(own_rules)
        self._removals: defaultdict[str, Least] = defaultdict(lambda: Least(MAX_REMOVALS))
        self._certainty: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._dropped: defaultdict[str, list[DroppedExample]] = defaultdict(list)
        self._doubts: list[Example] = []
        self._changed = Least(MAX_CHANGED)
        self._before: Counter[int] = Counter()
        self._after: Counter[int] = Counter()

    def add_kept(self, one: CleanedStory) -> None:
        story, num_words = one.story, one.num_words
        before = num_words + sum(count_words(removal.text) for removal in one.removals)
        self._before[_bin(before)] += 1
        self._after[_bin(num_words)] += 1
        if before > num_words:
            share = (before - num_words) / before
            key = (-share, story.id, story.source_line)
            place = _place(story)
            self._changed.add(key, ChangedExample(story.id, place, share, before - num_words))
        for doubt in one.doubts[: MAX_REMOVALS - len(self._doubts)]:
            shift = sum(
                removal.end - removal.start for removal in one.removals if removal.start < doubt.start
            )
            at = doubt.start - shift
            self._doubts.append(_example(story, doubt, at, at + len(doubt.text)))
        removed = 0
        for removal in one.removals:
            self._certainty[removal.rule][certainty(removal.confidence)] += 1
            key = (round(removal.confidence, 4), story.id, story.source_line, removal.start)
            least = self._removals[removal.rule]
            at = removal.start - removed
            removed += removal.end - removal.start
            if least.wants(key):
                least.add(key, _example(story, removal, at, at))

    def add_dropped(self, row: DroppedRow, text: str) -> None:
        """Add a story that is not kept. `text` is what was left of it after cleaning."""
        if row.text is not None:
            self._before[_bin(count_words(row.text))] += 1
        if len(self._dropped[row.dropped]) < MAX_DROPPED:
            example = DroppedExample(
                story=row.story,
                place=f"{row.source}:{row.source_line}",
                copy_of=row.copy_of,
                similarity=row.similarity,
                text=_cut_right(row.text or text, 400),
            )
            self._dropped[row.dropped].append(example)

    def render(self, title: str, counts: CleaningCounts) -> str:
        """The page, as HTML."""
        import jinja2

        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["code"] = _code
        environment.filters["certainty"] = certainty
        environment.filters["percent"] = format_percent
        words = counts.words_kept + counts.words_removed
        rules = [
            {
                "name": rule,
                "doc": self._rules[rule],
                "count": count,
                "words": counts.words_by_rule[rule],
                "certainty": [
                    (self._certainty[rule][name], name) for name in CERTAINTY if self._certainty[rule][name]
                ],
                "examples": list(self._removals[rule]),
            }
            for rule, count in counts.removals_by_rule.items()
        ]
        rules.sort(key=lambda rule: (-rule["words"], rule["name"]))
        return environment.get_template("review.html").render(
            title=title,
            counts=counts,
            share=counts.words_removed / words if words else 0.0,
            num_dropped=sum(counts.num_dropped.values()),
            doubts=self._doubts,
            rules=rules,
            most_words=max((rule["words"] for rule in rules), default=0) or 1,
            changed=list(self._changed),
            dropped=[
                {
                    "reason": reason,
                    "doc": _why(reason),
                    "count": counts.num_dropped[reason],
                    "examples": rows,
                }
                for reason, rows in sorted(self._dropped.items())
            ],
            repairs=[(count, REPAIRS[name]) for name, count in counts.repairs.items()],
            plot=_plot(self._before, self._after),
        )


def certainty(confidence: float) -> str:
    """A confidence as a word: its digits mean little near 1, and the user needs to know where to look first."""
    return next(name for name, least in reversed(CERTAINTY.items()) if confidence >= least)


def _example(story: Story, removal: Removal, start: int, end: int) -> Example:
    """A removal, or a doubt, between the text before `start` and after `end`."""
    return Example(
        story.id,
        _place(story),
        removal.start,
        removal.end,
        removal.rule,
        removal.confidence,
        _cut_left(story.text[:start]),
        removal.text,
        _cut_right(story.text[end:]),
    )


def _code(text: str) -> Any:
    """HTML of a line that has some words in backticks."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    marks = [
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    ]
    return Markup("").join(marks)


def _why(reason: str) -> str:
    if reason in _REASONS:
        return _REASONS[reason]
    return f"filter: {Filters.model_fields[reason].description}"


def _place(story: Story) -> str:
    return f"{story.source}:{story.source_line}"


def _cut_left(text: str, size: int = CONTEXT) -> str:
    return text if len(text) <= size else "…" + text[-size:].partition(" ")[2]


def _cut_right(text: str, size: int = CONTEXT) -> str:
    return text if len(text) <= size else text[:size].rpartition(" ")[0] + "…"


def _bin(num_words: int) -> int:
    """The bin of a length: bins are a third of an octave wide, and start at 2 ** (bin / 3) words."""
    return math.floor(3 * math.log2(num_words)) if num_words else -3


def _plot(before: Counter[int], after: Counter[int]) -> dict[str, Any]:
    """Coordinates of the two step lines and the axis labels of the plot of story lengths, in a box of 640 by 220."""
    if not before and not after:
        return {}
    low, high = min([*before, *after]) - 1, max([*before, *after]) + 2
    most = max([*before.values(), *after.values()])
    width, height = 640, 180

    def x(bin_: float) -> float:
        return round(40 + (width - 50) * (bin_ - low) / (high - low), 1)

    def y(count: float) -> float:
        return round(10 + (height - 10) * (1 - count / most), 1)

    def steps(counts: Counter[int]) -> str:
        points = [(x(low), y(0))]
        for one, following in pairwise(range(low, high + 1)):
            points += [(x(one), y(counts[one])), (x(following), y(counts[one]))]
        points.append((x(high), y(0)))
        return " ".join(f"{across},{down}" for across, down in points)

    octaves = [octave for octave in range(math.ceil(low / 3), high // 3 + 1) if octave >= 0]
    spacing = max(1, math.ceil(len(octaves) / 9))
    return {
        "before": steps(before),
        "after": steps(after),
        "ticks": [(x(3 * octave), f"{2**octave:,}") for octave in octaves[::spacing]],
        "levels": [(y(most), f"{most:,}"), (y(most / 2), f"{most // 2:,}")] if most > 1 else [(y(1), "1")],
        "base": y(0),
    }

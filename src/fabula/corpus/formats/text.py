"""Plain text, cut into stories in the way that was found or named."""

from collections.abc import Callable, Iterator

from fabula.corpus import lines as limits
from fabula.corpus.formats.base import FilePlan, Format, ReadingLog, Sample, make_story
from fabula.corpus.lines import Begins, FileRange, Lines, begins_anywhere, decode, too_long
from fabula.corpus.text_records import (
    Raw,
    begins_after_blank,
    begins_after_separator,
    begins_at_marker,
    blank_records,
    line_records,
    marked_records,
    separated_records,
    text_stories,
)
from fabula.story import Story


class Text(Format):
    name = "text"
    description = "plain text"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        return b"\0" not in sample.head or not sample.encoding.startswith("utf-8")

    def can_cut(self, plan: FilePlan) -> bool:
        return plan.split.kind != "file"

    def stories(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Story]:
        if plan.split.kind == "file":
            with plan.open_lines(part, log) as lines:
                yield from whole_story(lines)
            return
        begins, records = _records(plan)
        with plan.open_lines(part, log, begins) as lines:
            yield from text_stories(records(lines), plan.name, marked=plan.split.kind == "markers")


def _records(plan: FilePlan) -> tuple[Begins, Callable[[Lines], Iterator[Raw]]]:
    split = plan.split
    if split.kind == "markers":
        return begins_at_marker, marked_records
    if split.kind == "blank-lines":
        return begins_after_blank(split.num_blank), blank_records(split.num_blank)
    if split.kind == "separator":
        separator = split.separator.encode()
        return begins_after_separator(separator), separated_records(separator)
    return begins_anywhere, line_records


def whole_story(lines: Lines) -> Iterator[Story]:
    """One story a file."""
    raw, size = [], 0
    for line in lines:
        raw.append(line)
        size += len(line)
        if size > limits.MAX_STORY_BYTES:
            raise too_long(lines.name, 1)
    if text := decode(b"".join(raw), lines.name, 1, 0).strip():
        yield make_story(text, lines.name, 1)

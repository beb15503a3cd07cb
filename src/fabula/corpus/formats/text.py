"""Plain text, cut into stories in the way that was detected or named."""

import re
from collections.abc import Callable, Iterator

from fabula.corpus import lines as limits
from fabula.corpus.formats.base import LINE_WRAPS, FilePlan, Format, ReadingLog, Sample, part_stories
from fabula.corpus.lines import Begins, FileRange, Lines, begins_anywhere, decode, too_long
from fabula.corpus.splitting.cut import Part, cut_blocks, without_last_divider
from fabula.corpus.splitting.split import Split
from fabula.corpus.splitting.text_blocks import text_blocks, whole_text
from fabula.corpus.text_records import (
    Raw,
    begins_after,
    begins_after_blank,
    begins_after_separator,
    begins_at,
    blank_records,
    line_records,
    marked_records,
    parted_records,
    separated_records,
    text_stories,
)
from fabula.story import Story

_STREAMED = ("markers", "lines", "blank-lines", "separator")


class Text(Format):
    name = "text"
    description = "plain text"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        head = sample.text[:4096]
        controls = len(re.findall("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]", head))
        return controls <= 0.01 * len(head)

    def can_cut(self, plan: FilePlan) -> bool:
        return plan.split.kind in _STREAMED and not plan.split.any_case

    def stories(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Story]:
        if plan.split.kind in _STREAMED:
            begins, records = _records(plan.split)
            with plan.open_lines(part, log, begins) as lines:
                yield from text_stories(records(lines), plan.name, plan.split, log)
        else:
            with plan.open_lines(part, log) as lines:
                text = _whole(lines, plan.split)
            yield from part_stories(_parts(text, plan, log), plan, log)


def _records(split: Split) -> tuple[Begins, Callable[[Lines], Iterator[Raw]]]:
    start, end = split.start.encode(), split.end.encode()
    if split.kind == "markers" and start and end:
        return begins_at(start), marked_records(start, end, split.any_case)
    if split.kind == "markers":
        begins = begins_at(start) if start else begins_after(end)
        return begins, parted_records(start or end, split.any_case)
    if split.kind == "blank-lines":
        return begins_after_blank(split.num_blank), blank_records(split.num_blank)
    if split.kind == "separator":
        return begins_after_separator(end), separated_records(end)
    return begins_anywhere, line_records


def _parts(text: str, plan: FilePlan, log: ReadingLog) -> list[Part]:
    """The stories in a whole text; what is not story goes to the log."""
    split = plan.split
    if split.kind == "file":
        body, removed, num_joined = whole_text(text, split.unwrap)
        parts = [Part("", without_last_divider(body), 1)]
    else:
        found = text_blocks(text, split.pattern)
        parts, left_out = cut_blocks(found.blocks, split)
        removed, num_joined = [*found.removed, *left_out], found.num_joined
    if num_joined:
        removed.append((1, LINE_WRAPS, str(num_joined)))
    log.leave_out(plan.name, removed)
    return parts


def _whole(lines: Lines, split: Split) -> str:
    raw, size = [], 0
    most = limits.MAX_STORY_BYTES * (1 if split.kind == "file" else 8)
    for line in lines:
        raw.append(line)
        size += len(line)
        if size > most:
            raise too_long(lines.name, 1)
    text = decode(b"".join(raw), lines.name, 1, 0)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text

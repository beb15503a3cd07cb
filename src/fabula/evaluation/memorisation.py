"""Exact search for passages that a text copies from the training stories, with suffix arrays, in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fabula.corpus.copies import MIN_CHARS
from fabula.evaluation.intervals import mean_estimate, share_estimate
from fabula.progress import OnProgress, Progress, silent
from fabula.results import CopiedSpan, Memorisation
from fabula.story import Story

BLOCK_BYTES = 32 << 20
"""Training text that is indexed at a time. The index takes about 17 bytes for each byte of it."""

CONTEXT_CHARS = 160
"""Characters of a training story that are kept on each side of a passage, for the reader."""

END_OF_TRAINING = b"\xff"
END_OF_TEXT = b"\xfe"
"""Neither byte occurs in UTF-8, so no match crosses the boundary of a story."""


@dataclass(frozen=True, slots=True)
class Copying:
    """The copied passages of one text.

    Attributes:
        longest: characters of its longest passage that stands in a training story.
        spans: passages of `MIN_CHARS` or more, in order, without overlap; together they cover all that is copied.
        copied_chars: characters in `spans`.
    """

    longest: int
    spans: list[CopiedSpan]

    @property
    def copied_chars(self) -> int:
        return sum(span.end - span.start for span in self.spans)


def measure_memorisation(texts: Sequence[str], copying: Sequence[Copying]) -> Memorisation:
    """Sum up what `find_copied_passages` found in `texts`."""
    return Memorisation(
        num_stories=len(texts),
        copied_share=mean_estimate(
            [copy.copied_chars / max(1, len(text)) for text, copy in zip(texts, copying, strict=True)]
        ),
        copying_share=share_estimate([bool(copy.spans) for copy in copying]),
        mean_longest=mean_estimate([float(copy.longest) for copy in copying]),
        longest=max(copy.longest for copy in copying),
    )


def find_copied_passages(
    texts: Sequence[str],
    training: Callable[[], Iterator[Story]],
    *,
    min_chars: int = MIN_CHARS,
    block_bytes: int = BLOCK_BYTES,
    on_progress: OnProgress = silent,
) -> list[Copying]:
    """For each text, its longest passage and all passages of `min_chars` or more that stand in a training story.

    The training stories are taken a block at a time. The suffix array of a block and all texts together puts each
    suffix of a text next to those of the block that share most with it; the longest common prefix of neighbours then
    gives, for each position of a text, the longest match that starts there.

    Args:
        texts: any number, in memory.
        training: gives the training stories anew each time it is called.
        min_chars: shortest passage that counts as copied.
        block_bytes: bounds the memory; the result does not depend on it.
    """
    text = Text(texts)
    best = Matches(
        length=np.zeros(text.size, dtype=np.int64),
        story=np.full(text.size, -1, dtype=np.int64),
        offset=np.zeros(text.size, dtype=np.int64),
    )
    num_stories = 0
    for block in blocks_of(training(), block_bytes):
        match_block(text, block, num_stories, best)
        num_stories += len(block)
        on_progress(Progress("evaluate", num_stories, unit="training stories searched for copies"))
    return text.copying(best, training, min_chars)


def blocks_of(stories: Iterator[Story], block_bytes: int) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    for story in stories:
        data = story.text.encode()
        if block and size + len(data) > block_bytes:
            yield block
            block, size = [], 0
        block.append(data)
        size += len(data) + 1
    if block:
        yield block


@dataclass(slots=True)
class Matches:
    """For each byte of the texts, the longest match that starts there: bytes, training story, byte offset in it."""

    length: np.ndarray
    story: np.ndarray
    offset: np.ndarray


def match_block(text: "Text", block: list[bytes], first_story: int, best: Matches) -> None:
    """Put into `best` what `block`, whose first story has number `first_story`, does better."""
    from pydivsufsort import divsufsort, kasai

    story_starts = np.cumsum([0, *(len(data) + 1 for data in block)])
    # A bytearray, because the library wants memory that can be written to.
    joined = np.frombuffer(
        bytearray().join([*(data + END_OF_TRAINING for data in block), text.data]), dtype=np.uint8
    )
    border = int(story_starts[-1])
    suffixes = divsufsort(joined)
    common = kasai(joined, suffixes)  # common[r]: bytes that the suffixes of ranks r and r + 1 share
    ranks = np.flatnonzero(suffixes >= border)
    positions = suffixes[ranks] - border
    for before in (True, False):
        length, neighbour = nearest_training(ranks, suffixes, common, before=before)
        better = (length > best.length[positions]) & (neighbour >= 0)
        where, source = positions[better], neighbour[better]
        number = np.searchsorted(story_starts, source, side="right") - 1
        best.length[where] = length[better]
        best.story[where] = first_story + number
        best.offset[where] = source - story_starts[number]


def nearest_training(
    ranks: np.ndarray, suffixes: np.ndarray, common: np.ndarray, *, before: bool
) -> tuple[np.ndarray, np.ndarray]:
    """For each text suffix (by its rank), the nearest training suffix in sorted order on one side.

    Returns:
        The bytes that both share, which is the least of `common` between them, and the training suffix's position (-1
        where there is none).
    """
    num_suffixes = len(suffixes)
    step = -1 if before else 1
    order = ranks if before else ranks[::-1]
    first_of_run = np.ones(len(order), dtype=bool)
    first_of_run[1:] = order[1:] != order[:-1] - step
    run = np.maximum.accumulate(np.where(first_of_run, np.arange(len(order)), 0))
    length = common[np.clip(order - 1 if before else order, 0, num_suffixes - 1)].astype(np.int64)
    # The least since the start of the run, by doubling: after k rounds, over the last 2^k.
    reach, longest_run = 1, int((np.arange(len(order)) - run).max(initial=0)) + 1
    while reach < longest_run:
        inside = np.flatnonzero(np.arange(len(order)) - run >= reach)
        length[inside] = np.minimum(length[inside], length[inside - reach])
        reach *= 2
    neighbour_rank = order[run] + step
    exists = (neighbour_rank >= 0) & (neighbour_rank < num_suffixes)
    neighbour = np.where(exists, suffixes[np.clip(neighbour_rank, 0, num_suffixes - 1)], -1)
    length[~exists] = 0
    return (length, neighbour) if before else (length[::-1], neighbour[::-1])


class Text:
    """The texts as bytes one after the other, and the way back to characters."""

    def __init__(self, texts: Sequence[str]) -> None:
        encoded = [text.encode() for text in texts]
        self.data = END_OF_TEXT.join(encoded) + END_OF_TEXT
        self.size = len(self.data)
        self.lengths = [len(data) for data in encoded]

    def copying(
        self, best: Matches, training: Callable[[], Iterator[Story]], min_chars: int
    ) -> list[Copying]:
        """Cut what was found into spans of characters, and look up the stories that they come from."""
        starts_character = (np.frombuffer(self.data, dtype=np.uint8) & 0xC0) != 0x80
        character = np.cumsum(starts_character) - 1
        positions = np.arange(self.size)
        # Whole characters only: one of which the match has just the first bytes is left out.
        ends = np.minimum(positions + best.length, self.size - 1)
        chars = np.where(starts_character, character[ends] - character, 0)
        found: list[tuple[int, list[tuple[int, int, int, int]]]] = []
        begin = 0
        for length in self.lengths:
            here = slice(begin, begin + length)
            spans: list[tuple[int, int, int, int]] = []
            covered = 0
            for position in begin + np.flatnonzero(chars[here] >= min_chars):
                start = int(character[position] - character[begin])
                end = start + int(chars[position])
                if end > covered:
                    skipped = max(covered - start, 0)
                    spans.append((start, end, int(position), skipped))
                    covered = end
            found.append((int(chars[here].max(initial=0)), spans))
            begin += length + 1
        wanted = {int(best.story[position]) for _, spans in found for *_, position, _ in spans}
        sources = (
            {number: story for number, story in enumerate(training()) if number in wanted} if wanted else {}
        )
        return [
            Copying(
                longest,
                [
                    self.span(
                        start, end, skipped, sources[int(best.story[position])], int(best.offset[position])
                    )
                    for start, end, position, skipped in spans
                ],
            )
            for longest, spans in found
        ]

    @staticmethod
    def span(start: int, end: int, skipped: int, story: Story, offset: int) -> CopiedSpan:
        source_start = len(story.text.encode()[:offset].decode()) + skipped
        source_end = source_start + end - start - skipped
        return CopiedSpan(
            start=start + skipped,
            end=end,
            story_id=story.id,
            source=story.source,
            source_line=story.source_line,
            title=story.title,
            source_start=source_start,
            before=story.text[max(0, source_start - CONTEXT_CHARS) : source_start],
            after=story.text[source_end : source_end + CONTEXT_CHARS],
        )

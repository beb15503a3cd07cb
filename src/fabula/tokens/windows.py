"""Windows: rows of `context_length` positions that stories are packed into, so that hardly any position is spent on padding.

A story of n tokens (start and end included) has n - 1 positions; position i reads token i and has token i + 1 as its
target. A story with more positions than a window continues in another window, which repeats some of its tokens as left
context. Those are masked out of the loss, so that each story token is a target exactly once in an epoch.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fabula.tokens.cache import TokenisedStories

IGNORED = -100
"""Label of a position that does not count in the loss (torch's cross_entropy ignores it by default)."""


@dataclass(frozen=True)
class Segments:
    """Parts of stories, each at most a window long.

    Attributes:
        begin: int64 [num_segments], index into the tokens of the first position.
        length: int64 [num_segments], number of positions.
        masked: int64 [num_segments], number of leading positions that are context only.
    """

    begin: np.ndarray
    length: np.ndarray
    masked: np.ndarray

    def __len__(self) -> int:
        return len(self.begin)


@dataclass(frozen=True)
class WindowBatch:
    """Windows as arrays, all [batch, positions].

    Attributes:
        input_ids: what each position reads.
        labels: its target, or `IGNORED`.
        position_ids: position in the segment, from 0.
        segment_ids: number of the segment in its window, from 1, or 0 for padding; a position attends to its own
            segment only.
    """

    input_ids: np.ndarray
    labels: np.ndarray
    position_ids: np.ndarray
    segment_ids: np.ndarray

    @property
    def num_targets(self) -> int:
        return int((self.labels != IGNORED).sum())


def cut(stories: TokenisedStories, context_length: int, left_context: int) -> Segments:
    """Cut stories into segments of at most `context_length` positions; a continued one begins with `left_context`
    positions (fewer than `context_length`) that are already targets in the segment before it.

    A prompt is read before the first segment and never learned; of a long one its last tokens, half a window at most."""
    if not 0 <= left_context < context_length:
        raise ValueError(f"left_context {left_context} must be less than context_length {context_length}")
    begins, lengths, masks = [], [], []
    prompts = stories.num_prompt_tokens
    prompts = [0] * stories.num_stories if prompts is None else prompts.tolist()
    ends = zip(stories.offsets[:-1].tolist(), stories.offsets[1:].tolist(), prompts, strict=True)
    for begin, end, prompt in ends:
        positions, done = end - begin - 1, prompt
        while done < positions:
            masked = min(left_context, done) if done > prompt else min(prompt, context_length // 2)
            length = min(context_length, positions - done + masked)
            begins.append(begin + done - masked)
            lengths.append(length)
            masks.append(masked)
            done += length - masked
    return Segments(*(np.array(column, dtype=np.int64) for column in (begins, lengths, masks)))


def pack(lengths: np.ndarray, context_length: int) -> list[list[int]]:
    """Put segments into as few windows as best-fit decreasing manages: each segment, the longest first, goes where it
    leaves the least room. Returns the segment numbers of each window. O(n log n).

    Best-fit packing of text: Ding et al. 2024, https://arxiv.org/abs/2404.10830.
    """
    windows: list[list[int]] = []
    by_room: dict[int, list[int]] = {}
    rooms: list[int] = []  # the keys of by_room, sorted
    for segment in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[segment])
        place = bisect_left(rooms, length)
        if place == len(rooms):
            window, room = len(windows), context_length
            windows.append([])
        else:
            room = rooms[place]
            window = by_room[room].pop()
            if not by_room[room]:
                del by_room[room]
                rooms.pop(place)
        windows[window].append(segment)
        left = room - length
        if left > 0:
            if left not in by_room:
                by_room[left] = []
                insort(rooms, left)
            by_room[left].append(window)
    return windows


class Windows:
    """The training windows of a corpus. It holds tables of segments; the tokens stay on disk.

    Args:
        stories: the tokenised stories.
        context_length: positions of a window.
        left_context: positions of left context of a continued segment.
        packed: fill windows with several segments; False puts each segment into a window of its own.
        continued_start: token that replaces the first one of a continued segment, which is context only; None for none.
    """

    def __init__(
        self,
        stories: TokenisedStories,
        context_length: int,
        *,
        left_context: int,
        packed: bool = True,
        continued_start: int | None = None,
    ) -> None:
        if continued_start is not None and left_context < 1:
            raise ValueError("a start token in continued segments needs a left_context of 1 or more")
        self.continued_start = continued_start
        self.stories = stories
        self.context_length = context_length
        self.segments = cut(stories, context_length, left_context)
        if packed:
            self._windows = pack(self.segments.length, context_length)
        else:
            self._windows = [[segment] for segment in range(len(self.segments))]
        self.num_targets = int((self.segments.length - self.segments.masked).sum())
        """Target tokens in an epoch."""

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def padding(self) -> float:
        """Fraction of all positions that hold no segment."""
        size = len(self) * self.context_length
        return 1.0 - float(self.segments.length.sum()) / size if size else 0.0

    def targets(self, windows: Sequence[int]) -> int:
        """Number of target tokens in these windows."""
        rows = [segment for window in windows for segment in self._windows[window]]
        return int((self.segments.length[rows] - self.segments.masked[rows]).sum())

    def batch(self, windows: Sequence[int], pad_id: int) -> WindowBatch:
        """These windows as arrays, as wide as the longest of them."""
        rows = [self._windows[window] for window in windows]
        width = max(int(self.segments.length[row].sum()) for row in rows)
        shape = (len(rows), width)
        input_ids = np.full(shape, pad_id, dtype=np.int64)
        labels = np.full(shape, IGNORED, dtype=np.int64)
        position_ids = np.zeros(shape, dtype=np.int64)
        segment_ids = np.zeros(shape, dtype=np.int64)
        for i, row in enumerate(rows):
            at = 0
            for number, segment in enumerate(row, start=1):
                begin, length, masked = (
                    int(column[segment])
                    for column in (self.segments.begin, self.segments.length, self.segments.masked)
                )
                here = slice(at, at + length)
                tokens = np.asarray(self.stories.tokens[begin : begin + length + 1], dtype=np.int64)
                input_ids[i, here] = tokens[:-1]
                if masked and self.continued_start is not None:
                    input_ids[i, at] = self.continued_start
                labels[i, here] = tokens[1:]
                labels[i, at : at + masked] = IGNORED
                position_ids[i, here] = np.arange(length)
                segment_ids[i, here] = number
                at += length
        return WindowBatch(input_ids, labels, position_ids, segment_ids)

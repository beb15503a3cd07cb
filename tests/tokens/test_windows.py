"""Windows: every story token is a target once, nothing is lost, and little is wasted."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.tokens.cache import TokenisedStories
from fabula.tokens.windows import IGNORED, Windows, cut, pack

lengths = st.lists(st.integers(2, 60), min_size=1, max_size=30)


def stories_of(sizes: list[int]) -> TokenisedStories:
    """Stories of these sizes whose tokens are all different, so that each can be followed."""
    tokens = np.arange(1, sum(sizes) + 1, dtype=np.uint16)
    return TokenisedStories(tokens, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def expected_targets(stories: TokenisedStories) -> Counter:
    """Each token of each story but its first."""
    return Counter(np.delete(stories.tokens, stories.offsets[:-1]).tolist())


@given(lengths, st.integers(4, 24), st.integers(0, 3), st.booleans())
def test_every_story_token_is_a_target_exactly_once(sizes: list[int], context: int, left: int, packed: bool):
    stories = stories_of(sizes)
    windows = Windows(stories, context, left_context=left, packed=packed)
    found: Counter = Counter()
    for window in range(len(windows)):
        batch = windows.batch([window], pad_id=0)
        assert batch.num_targets == windows.targets([window])
        found.update(batch.labels[batch.labels != IGNORED].tolist())
    assert found == expected_targets(stories)
    assert windows.num_targets == sum(found.values())


@given(lengths, st.integers(4, 24), st.integers(0, 3))
def test_a_window_holds_segments_of_stories_in_order(sizes: list[int], context: int, left: int):
    stories = stories_of(sizes)
    windows = Windows(stories, context, left_context=left)
    story_of = np.repeat(np.arange(len(sizes)), sizes)
    batch = windows.batch(range(len(windows)), pad_id=0)
    assert batch.input_ids.shape[1] <= context
    for ids, labels, positions, segments in zip(
        batch.input_ids, batch.labels, batch.position_ids, batch.segment_ids, strict=True
    ):
        assert (labels[segments == 0] == IGNORED).all()
        for number in range(1, segments.max() + 1):
            here = segments == number
            segment = ids[here]
            assert positions[here].tolist() == list(range(len(segment)))
            assert len(set(story_of[segment - 1])) == 1
            assert (np.diff(segment) == 1).all()
            counted = labels[here] != IGNORED
            assert (labels[here][counted] == segment[counted] + 1).all()


def test_a_long_story_goes_on_with_left_context_that_does_not_count():
    segments = cut(stories_of([21]), context_length=8, left_context=3)
    assert segments.begin.tolist() == [0, 5, 10, 15]
    assert segments.length.tolist() == [8, 8, 8, 5]
    assert segments.masked.tolist() == [0, 3, 3, 3]


def test_left_context_must_leave_room():
    with pytest.raises(ValueError, match="left_context"):
        cut(stories_of([5]), context_length=8, left_context=8)


@given(st.lists(st.integers(1, 50), max_size=200))
def test_packing_puts_each_segment_once_and_fills_windows(sizes: list[int]):
    packed = pack(np.array(sizes, dtype=np.int64), 50)
    assert sorted(segment for window in packed for segment in window) == list(range(len(sizes)))
    rooms = [50 - sum(sizes[segment] for segment in window) for window in packed]
    assert all(room >= 0 for room in rooms)
    assert sum(room >= 25 for room in rooms) <= 1  # two such windows would have been one


def test_padding_of_real_lengths_is_small():
    draw = np.random.default_rng(0)
    sizes = draw.lognormal(6.5, 0.8, 500).astype(int) + 2  # a median of 665 tokens
    windows = Windows(stories_of([int(size) % 60_000 for size in sizes[:80]]), 512, left_context=32)
    assert windows.padding < 0.03

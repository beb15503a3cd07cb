"""Training stories that stand out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.evaluation.likelihood import TextScores
from fabula.evaluation.unusual import MAX_SHOWN, MIN_STORIES, find_unusual
from fabula.story import Story


def scores_of(bits: list[float], num_bytes: int = 2000) -> TextScores:
    sizes = np.full(len(bits), num_bytes)
    return TextScores(np.array(bits) * np.log(2) * num_bytes, sizes, sizes)


def stories(number: int) -> list[Story]:
    return [Story(f"{index:02d}", f"Story {index}\nMore.", "s.txt", index + 1) for index in range(number)]


def test_stories_far_from_the_median_are_named_farthest_first():
    bits = [1.4, 1.5, 1.6, 1.45, 1.55, 1.5, 1.52, 1.48, 1.58, 1.42, 4.0, 3.0, 0.6]
    median, found = find_unusual(stories(13), scores_of(bits))
    assert median == pytest.approx(1.5, abs=0.02)
    assert [(each.id, each.first_line, each.source_line) for each in found] == [
        ("10", "Story 10", 11),
        ("12", "Story 12", 13),
        ("11", "Story 11", 12),
    ]
    assert found[1].robust_z < -5
    assert found[0].bits_per_byte == pytest.approx(4.0)
    assert found[0].robust_z > found[2].robust_z > 5


def test_nothing_is_said_of_few_or_of_very_short_stories():
    bits = [1.5] * (MIN_STORIES - 2) + [9.0]
    assert find_unusual(stories(len(bits)), scores_of(bits))[1] == []
    bits = [1.4, 1.5, 1.6] * 4 + [9.0]
    assert find_unusual(stories(13), scores_of(bits, num_bytes=100))[1] == []
    assert find_unusual([], scores_of([])) == (0.0, [])


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(30, 200))
def test_stories_of_one_kind_are_hardly_ever_named(seed: int, number: int):
    draw = np.random.default_rng(seed)
    bits = 1.5 * np.exp(0.08 * draw.standard_normal(number))
    assert len(find_unusual(stories(number), scores_of(bits.tolist()))[1]) <= 1


def test_only_the_worst_are_shown():
    bits = [1.4, 1.5, 1.6] * 20 + [4.0 + index for index in range(MAX_SHOWN + 3)]
    _, found = find_unusual(stories(len(bits)), scores_of(bits))
    assert len(found) == MAX_SHOWN
    assert found[0].bits_per_byte == pytest.approx(4.0 + MAX_SHOWN + 2)

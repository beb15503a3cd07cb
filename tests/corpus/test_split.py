"""The split: by content, stable when stories are added, and never empty without need."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.corpus.split import assign, hold_out_ends, parse_ratios, position
from fabula.errors import FabulaError

NONE = np.int8(-1)


def split_of(ids: list[str], ratios: str = "90/10") -> list[int]:
    places = np.array([position(name) for name in ids])
    return assign(places, parse_ratios(ratios), np.full(len(ids), NONE)).tolist()


def test_ratios() -> None:
    assert parse_ratios("90/10") == (0.9, 0.1)
    assert parse_ratios("8/1/1") == (0.8, 0.1, 0.1)
    assert parse_ratios("100") == (1.0,)
    for bad in ("", "a/b", "0/10", "-1/2", "1/2/3/4", "nan/1", "inf/1"):
        with pytest.raises(FabulaError, match="is not a split"):
            parse_ratios(bad)


def test_the_shares_are_as_asked_for() -> None:
    ids = [f"{number:032x}" for number in range(20_000)]
    assert np.bincount(split_of(ids)) / 20_000 == pytest.approx([0.9, 0.1], abs=0.01)
    assert np.bincount(split_of(ids, "80/10/10")) / 20_000 == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


def test_stable_when_stories_are_added() -> None:
    ids = [f"{number:032x}" for number in range(500)]
    assert split_of(ids)[:200] == split_of(ids[:200])


@given(st.integers(2, 30), st.integers(0, 1000))
def test_few_stories_still_give_one_of_each(count: int, start: int) -> None:
    splits = split_of([f"{start + number:032x}" for number in range(count)])
    assert set(splits) == {0, 1}


def test_everything_for_training() -> None:
    assert split_of(["00"], "100") == [0]


def test_the_split_of_the_input_is_kept() -> None:
    places = np.array([0.1, 0.2, 0.99])
    assert assign(places, (0.9, 0.1), np.array([1, NONE, 0], np.int8)).tolist() == [1, 0, 0]


def test_the_end_of_a_book_is_held_out() -> None:
    lengths = np.full(12, 100)
    book = np.zeros(12, np.int64)
    assert hold_out_ends(book, lengths, (0.9, 0.1)).tolist() == [0] * 11 + [1]
    assert hold_out_ends(book, lengths, (0.5, 0.25, 0.25)).tolist() == [0] * 6 + [1] * 3 + [2] * 3
    assert hold_out_ends(book[:2], lengths[:2], (0.9, 0.1)).tolist() == [0, 1]
    assert hold_out_ends(book, lengths, (1.0,)).tolist() == [0] * 12
    none = np.full(12, -1)
    assert hold_out_ends(none, lengths, (0.9, 0.1)).tolist() == [-1] * 12
    short_books = np.arange(12) // 2  # a tenth of none of them is a part: all are split as stories are
    assert hold_out_ends(short_books, lengths, (0.9, 0.1)).tolist() == [-1] * 12

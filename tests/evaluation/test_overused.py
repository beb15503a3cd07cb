"""Phrases that a model overuses compared with the author."""

import math

import pytest

from fabula.evaluation.overused import log_likelihood_ratio, overused_phrases, phrases_of
from fabula.story import Story


def training(*texts: str) -> list[Story]:
    return [
        Story(id=str(i), text=text, title="", source="a.txt", source_line=1) for i, text in enumerate(texts)
    ]


def test_a_phrase_ends_at_a_mark():
    assert list(phrases_of("The cat sat, and 3 dogs.")) == [
        ("the", "cat"),
        ("cat", "sat"),
        ("the", "cat", "sat"),
    ]


def test_what_the_author_says_as_often_is_not_overused():
    filler = "Nobody knew what the miller had told his wife about it, or why. "
    author = training(*[filler * 5 + "She opened the door."] * 40)
    habit = [
        f"{filler}{who} took a deep breath and left. She opened the door."
        for who in ("Tom", "Ada", "He", "Jim")
    ]
    [found] = overused_phrases(habit, author)
    assert found.phrase == "took a deep breath and left"
    assert (found.num_written, found.num_expected) == (4, 0)
    assert overused_phrases(habit[:2], author) == []  # too few stories to tell
    assert overused_phrases([], author) == []


def test_phrases_of_only_common_words_are_left_out():
    author = training(*["Nobody knew that it was so. The one is here."] * 40)
    found = overused_phrases(["It is. The big one."] * 4, author)
    assert [each.phrase for each in found] == ["the big one"]  # and not "it is"


def test_the_statistic_of_known_tables():
    assert log_likelihood_ratio(10, 1000, 50, 5000) == pytest.approx(0)
    assert log_likelihood_ratio(10, 1000, 0, 1000) == pytest.approx(20 * math.log(2))
    assert log_likelihood_ratio(0, 1000, 10, 1000) == pytest.approx(20 * math.log(2))

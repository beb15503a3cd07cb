"""Copied passages are found exactly, wherever the training text is divided into blocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.evaluation.memorisation import find_copied_passages, measure_memorisation
from fabula.story import Story


def stories(*texts: str) -> list[Story]:
    return [
        Story(id=f"{n:032x}", text=text, source="s.txt", source_line=n + 1) for n, text in enumerate(texts)
    ]


def longest_by_hand(text: str, start: int, training: list[Story]) -> int:
    length = 0
    while start + length < len(text) and any(
        text[start : start + length + 1] in story.text for story in training
    ):
        length += 1
    return length


# A small alphabet makes long matches likely; "é" and "“" are two and three bytes, and share their first with others.
ALPHABET = "ab é è “ ”"


@given(
    texts=st.lists(st.text(ALPHABET, max_size=40), min_size=1, max_size=4),
    training=st.lists(st.text(ALPHABET, max_size=40), max_size=5),
    block_bytes=st.sampled_from([1, 30, 10_000]),
)
def test_finds_what_a_search_by_hand_finds(texts: list[str], training: list[str], block_bytes: int):
    source = stories(*training)
    found = find_copied_passages(texts, lambda: iter(source), min_chars=4, block_bytes=block_bytes)
    for text, copying in zip(texts, found, strict=True):
        longest = [longest_by_hand(text, start, source) for start in range(len(text))]
        assert copying.longest == max(longest, default=0)
        covered = {i for start, n in enumerate(longest) if n >= 4 for i in range(start, start + n)}
        assert {i for span in copying.spans for i in range(span.start, span.end)} == covered
        for span in copying.spans:
            origin = next(story for story in source if story.id == span.story_id)
            assert (
                text[span.start : span.end]
                == origin.text[span.source_start : span.source_start + span.end - span.start]
            )


def test_a_copied_passage_is_marked_with_its_story():
    training = stories(
        "Nothing here.", "Once there was a goose that laid an egg every day of the week, and two on Sundays."
    )
    text = "He said: there was a goose that laid an egg every day of the week, and left."
    [copying] = find_copied_passages([text], lambda: iter(training))
    [span] = copying.spans
    assert text[span.start : span.end] == " there was a goose that laid an egg every day of the week, and "
    assert (span.source, span.source_line, span.source_start) == ("s.txt", 2, 4)
    measures = measure_memorisation([text], [copying])
    assert measures.longest == span.end - span.start
    assert measures.copied_share.value == pytest.approx((span.end - span.start) / len(text))
    assert measures.copying_share.value == 1


def test_a_match_does_not_cross_the_boundary_of_two_stories():
    training = stories("the end of the first", "and the second begins")
    [copying] = find_copied_passages(
        ["the end of the firstand the second begins"], lambda: iter(training), min_chars=5
    )
    assert [span.end - span.start for span in copying.spans] == [20, 21]

"""Story + ledger = the text before, on any text; and what people decide about removals."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.corpus.ledger import Decided, apply, decide, read_decisions, restore
from fabula.errors import FabulaError
from fabula.story import Span

TEXT = st.text(st.sampled_from("ab \n\t\u00a0é😀-"), max_size=60)
SPANS = st.lists(
    st.builds(Span, st.integers(0, 60), st.integers(0, 60), st.sampled_from(["x", "y"]), st.floats(0, 1)),
    max_size=6,
)


def within(text: str, spans: list[Span]) -> list[Span]:
    return [
        Span(one.start, min(one.end, len(text)), one.rule, one.confidence)
        for one in spans
        if one.start < len(text)
    ]


@given(TEXT, SPANS)
@settings(max_examples=1000, deadline=None)
def test_story_and_ledger_give_the_text_back(text: str, spans: list[Span]) -> None:
    spans = within(text, spans)
    story, removals = apply(text, spans)
    assert restore(story, removals) == text
    taken = set()
    assert all(one.end <= other.start for one, other in itertools.pairwise(removals))
    for removal in removals:
        assert text[removal.start : removal.end] == removal.text
        taken |= set(range(removal.start, removal.end))
    proposed = {place for span in spans for place in range(span.start, span.end)}
    assert proposed <= taken
    assert all(text[place].isspace() for place in taken - proposed)
    assert story == "".join(text[place] for place in range(len(text)) if place not in taken)


@given(TEXT, SPANS)
@settings(max_examples=500, deadline=None)
def test_no_white_space_is_left_over(text: str, spans: list[Span]) -> None:
    text = text.strip()
    story, _ = apply(text, within(text, spans))
    assert story == story.strip()


@pytest.mark.parametrize(
    ("text", "note", "story"),
    [
        ("One.\n\nTwo.\n\nEDIT: hi", "EDIT: hi", "One.\n\nTwo."),
        ("[WP] hi\n\nOne.\nTwo.", "[WP] hi", "One.\nTwo."),
        ("One.\n\nnote\n\nTwo.", "note", "One.\n\nTwo."),
        ("One (note) two.", "(note)", "One two."),
        ("One.(note)\nTwo.", "(note)", "One.\nTwo."),
        ("note One.", "note", "One."),
    ],
)
def test_paragraphs_stay_apart(text: str, note: str, story: str) -> None:
    start = text.index(note)
    assert apply(text, [Span(start, start + len(note), "x")])[0] == story


def test_two_notes_in_a_row_are_two_removals() -> None:
    text = "One.\n\nEDIT: hi\n\nr/me"
    story, removals = apply(text, [Span(6, 14, "edit", 0.9), Span(16, 20, "promo", 0.8)])
    assert story == "One."
    assert [(removal.rule, removal.text) for removal in removals] == [
        ("edit", "\n\nEDIT: hi\n\n"),
        ("promo", "r/me"),
    ]


def test_overlapping_spans_are_one_removal_of_the_surer_rule() -> None:
    _, removals = apply("abcdef", [Span(0, 3, "x", 0.2), Span(2, 4, "y", 0.9)])
    assert [(removal.start, removal.end, removal.rule) for removal in removals] == [(0, 4, "y")]


def test_decisions() -> None:
    spans = [Span(0, 5, "head", 0.4), Span(10, 20, "tail", 0.6)]
    assert decide(spans, [Decided(2, 3, "undo")], 30) == [spans[1]]
    confirmed = decide(spans, [Decided(10, 20, "confirm")], 30)
    assert [(span.start, span.end, span.rule, span.confidence) for span in confirmed] == [
        (0, 5, "head", 0.4),
        (10, 20, "tail", 1.0),
    ]
    added = decide([], [Decided(7, 99, "confirm")], 30)
    assert [(span.start, span.end, span.rule) for span in added] == [(7, 30, "confirmed")]


def test_review_file(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    row = {"story": "ab", "start": 0, "end": 9, "decision": "undo", "rule": "extra fields are fine"}
    path.write_text(json.dumps(row) + "\n\n")
    assert read_decisions(path) == {"ab": [Decided(0, 9, "undo")]}
    for bad in (
        "{",
        "[]",
        '{"story": "ab"}',
        json.dumps(row | {"decision": "maybe"}),
        json.dumps(row | {"end": "x"}),
    ):
        path.write_text(json.dumps(row) + "\n" + bad + "\n")
        with pytest.raises(FabulaError, match=r"decisions.jsonl:2: this row is not a decision"):
            read_decisions(path)
    with pytest.raises(FabulaError, match="no such file"):
        read_decisions(tmp_path / "none")

"""The copy guard: no passage as long as its limit is copied, and the rest of the distribution is unchanged."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.corpus.copies import CopyIndex
from fabula.errors import FabulaError
from fabula.evaluation.memorisation import find_copied_passages
from fabula.generation.copy_guard import MARGIN, CopyGuard
from fabula.generation.draft import make_drafts
from fabula.generation.settings import SamplingSettings
from fabula.generation.transformers_engine import TransformersEngine
from fabula.generation.write import Writer
from fabula.story import Story


def story(text: str) -> Story:
    return Story(id="a", text=text, title="", source="a.txt", source_line=1)


def test_words_and_characters_of_a_copied_passage():
    guard = CopyGuard(CopyIndex([story("One two three four five six seven eight.")]), 20)
    assert not guard.forbids("One", " two")
    assert guard.forbids(
        "One two", " three"
    )  # a word that begins less than MARGIN characters before the limit
    assert not guard.forbids("One two", " thread")
    assert not guard.forbids("One two thr", "ee")
    assert guard.forbids("One two three four f", "i")
    assert guard.forbids("ne two three four", " fives")  # the passage ends within the piece
    assert not guard.forbids("we two three four", " hives")
    assert MARGIN < 20


@given(
    text=st.text("ab ", min_size=40, max_size=200),
    pieces=st.lists(st.text("ab ", min_size=1, max_size=6), max_size=60),
)
@settings(max_examples=100, deadline=None)
def test_what_the_guard_allows_copies_nothing(text: str, pieces: list[str]):
    guard = CopyGuard(CopyIndex([story(text)]), 20)
    written = ""
    for piece in pieces:
        if not guard.forbids(written, piece):
            written += piece
    [found] = find_copied_passages([written], lambda: iter([story(text)]), min_chars=20)
    assert found.longest < 20


def test_a_model_that_memorised_a_story_departs_from_it(tiny_gpt2_dir: Path, tmp_path: Path):
    engine = TransformersEngine(tiny_gpt2_dir)
    writer = Writer(engine)
    greedy = {"temperature": 0.0, "max_new_tokens": 60, "whole_sentences": False}
    known = writer.write("The", **greedy)
    engine.copies = CopyIndex([story(str(known))])
    guarded = writer.write("The", copy_guard=24, **greedy)
    assert guarded.text != known.text
    [found] = find_copied_passages([str(guarded)], lambda: iter([story(str(known))]), min_chars=24)
    assert found.longest < 24
    assert writer.write("The", copy_guard=24, **greedy) == guarded


def test_the_guard_needs_stories_and_a_sensible_limit(tiny_gpt2_dir: Path, tmp_path: Path):
    alone = tmp_path / "model"
    shutil.copytree(tiny_gpt2_dir, alone)
    with pytest.raises(FabulaError, match="training stories"):
        make_drafts(TransformersEngine(alone), [""], SamplingSettings(copy_guard=50), 0)
    with pytest.raises(FabulaError, match="at least 20"):
        SamplingSettings.parse({"copy_guard": 5})

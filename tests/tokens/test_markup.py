"""How a story is written for the model."""

from hypothesis import given
from hypothesis import strategies as st

from fabula.tokens.markup import render, story_characters


@given(st.text(alphabet="ab\n"))
def test_story_characters_mark_all_but_newlines_and_markers(text: str):
    for markup in ("newline", "notebook"):
        rendered, mask = render(text, markup), story_characters(text, markup)
        assert len(rendered) == len(mask)
        assert "".join(c for c, story in zip(rendered, mask, strict=True) if story) == text.replace("\n", "")


def test_notebook_markup_spells_its_markers_out():
    assert render("One.\nTwo.", "notebook") == "<sos> One. <nl> Two. <eos>"

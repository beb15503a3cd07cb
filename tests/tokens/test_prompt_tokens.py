"""Prompts: read before a story, never learned, and no part of the bytes that losses are counted over."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.tokens.cache import TokenisedStories, tokenise
from fabula.tokens.prompts import learned_prompt, prompt_text
from fabula.tokens.story_tokens import story_tokens
from fabula.tokens.tokenizer import load_tokenizer
from fabula.tokens.windows import IGNORED, Windows


@given(
    st.lists(st.tuples(st.integers(2, 60), st.integers(0, 40)), min_size=1, max_size=20),
    st.integers(4, 24),
    st.integers(0, 3),
)
def test_the_story_is_learned_once_and_its_prompt_never(
    sizes: list[tuple[int, int]], context: int, left: int
):
    """Sizes: tokens of the story with start and end, and of its prompt."""
    lengths = [story + prompt for story, prompt in sizes]
    tokens = np.arange(1, sum(lengths) + 1, dtype=np.uint16)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    stories = TokenisedStories(tokens, offsets, 0, np.array([prompt for _, prompt in sizes]))
    windows = Windows(stories, context, left_context=left)
    batch = windows.batch(range(len(windows)), pad_id=0)
    found = sorted(batch.labels[batch.labels != IGNORED].tolist())
    wanted = [
        tokens[place]
        for begin, (story, prompt) in zip(offsets, sizes, strict=False)
        for place in range(begin + prompt + 1, begin + prompt + story)
    ]
    assert found == sorted(wanted)
    first = batch.position_ids == 0
    assert (
        batch.labels[first & (batch.segment_ids > 0)] == batch.input_ids[first & (batch.segment_ids > 0)] + 1
    ).sum() >= sum(prompt == 0 for _, prompt in sizes)


def test_a_prompt_is_read_before_the_story_and_counts_nothing(tiny_gpt2_dir: Path):
    tokenizer = load_tokenizer(tiny_gpt2_dir)
    [plain] = story_tokens(tokenizer, ["The fox ran."], "newline", start=0, end=1)
    [with_prompt] = story_tokens(tokenizer, ["The fox ran."], "newline", start=0, end=1, prompts=["A fox"])
    count = with_prompt.num_prompt_tokens
    assert count > 0
    assert with_prompt.num_bytes == plain.num_bytes
    assert with_prompt.input_ids[1 + count :].tolist() == plain.input_ids[1:].tolist()
    assert not with_prompt.is_text[:count].any()
    assert with_prompt.is_text[count:].tolist() == plain.is_text.tolist()
    assert with_prompt.ends[count:].tolist() == plain.ends.tolist()
    assert tokenizer.decode(with_prompt.input_ids[1 : 1 + count]) == "A fox\n\n"


@pytest.mark.parametrize("prompts", [None, ["", ""], ["A fox\n\n", ""]])
def test_the_cache_knows_where_prompts_end(tiny_gpt2_dir: Path, prompts: list[str] | None):
    tokenizer = load_tokenizer(tiny_gpt2_dir)
    found = tokenise(
        f"prompts-{prompts}",
        lambda: ["The fox ran.", "The gull flew."],
        tokenizer,
        start=0,
        end=1,
        prompts=None if prompts is None else lambda: prompts,
    )
    if prompts is None or not any(prompts):
        assert found.num_prompt_tokens is None
    else:
        assert found.num_prompt_tokens is not None
        assert found.num_prompt_tokens.tolist()[1] == 0
        assert found.num_prompt_tokens[0] > 0


def test_long_prompts_are_cut_and_some_stories_learned_without():
    assert prompt_text("  a \n b ") == "a b\n\n"
    assert prompt_text(" ") == ""
    assert len(prompt_text("word " * 1000).split()) == 60
    assert len(prompt_text("字" * 5000)) == 402
    ids = [f"{number * 2654435761 % 2**32:08x}" for number in range(1000)]
    assert 50 < sum(learned_prompt("A fox", story_id) == "" for story_id in ids) < 150

"""Stories as token sequences for scoring: which tokens hold story text, and how many bytes that text has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fabula.tokens.markup import render, story_characters
from fabula.tokens.prompts import prompt_text
from fabula.tokens.tokenizer import encode_with_spans


@dataclass(frozen=True, slots=True)
class StoryTokens:
    """One story of T tokens, including the start token.

    Attributes:
        input_ids: int64 [T].
        is_text: bool [T - 1], which of the tokens after the first hold at least one character of the story that is not
            a newline.
        ends: int64 [T - 1], number of characters of the story, newlines not counted, up to the end of each of these
            tokens.
        num_bytes: UTF-8 bytes of the story without its newlines, whatever the tokenizer.
        num_prompt_tokens: tokens after the first that are the story's prompt, and no text of it.
    """

    input_ids: np.ndarray
    is_text: np.ndarray
    ends: np.ndarray
    num_bytes: int
    num_prompt_tokens: int


def story_tokens(
    tokenizer: Any,
    texts: Sequence[str],
    markup: str,
    *,
    start: int,
    end: int | None,
    prompts: Sequence[str] | None = None,
) -> list[StoryTokens]:
    """The tokens of each story, after the token `start` and before the token `end` (None for none).

    Args:
        markup: how the model sees stories; see `Recipe`.
        prompts: what each story was written to, which the model reads before it (see `tokens.prompts`). Where the model
            sees stories as the notebook's did, there are none.
    """
    read = (
        [prompt_text(prompt) for prompt in prompts] if prompts and markup == "newline" else [""] * len(texts)
    )
    before = [ids for ids, _ in encode_with_spans(tokenizer, read)]
    tail = [] if end is None else [end]
    stories = []
    encoded = encode_with_spans(tokenizer, [render(text, markup) for text in texts])
    for text, prompt, (ids, spans) in zip(texts, before, encoded, strict=True):
        story_before = np.concatenate([[0], np.cumsum(story_characters(text, markup))])
        ends = story_before[spans[:, 1]]
        is_text = ends > story_before[spans[:, 0]]
        stories.append(
            StoryTokens(
                input_ids=np.concatenate([[start], prompt, ids, tail]).astype(np.int64),
                is_text=np.concatenate([[False] * len(prompt), is_text, [False] * len(tail)]).astype(bool),
                ends=np.concatenate([[0] * len(prompt), ends, [story_before[-1]] * len(tail)]).astype(
                    np.int64
                ),
                num_bytes=len(text.replace("\n", "").encode()),
                num_prompt_tokens=len(prompt),
            )
        )
    return stories

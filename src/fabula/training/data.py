"""What a training reads: a fresh base model if it needs one, and the training and validation stories as ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fabula.corpus.store import Corpus
from fabula.files import atomic_folder, fingerprint
from fabula.models.fresh import fresh_model, fresh_vocab_size, read_config
from fabula.models.load import context_length_of
from fabula.models.openings import Openings, first_words
from fabula.models.quiet import quiet
from fabula.models.story_format import StoryFormat, story_format_by_rule
from fabula.progress import OnProgress, Progress
from fabula.tokens.cache import TokenisedStories, tokenise
from fabula.tokens.markup import render
from fabula.tokens.prompts import learned_prompt
from fabula.tokens.story_tokens import StoryTokens, story_tokens
from fabula.tokens.tokenizer import train_tokenizer

MAX_OPENINGS = 256
"""Most stories of which the first words are kept, evenly spread over the corpus."""

OPENING_TOKENS = 24
"""Tokens that are decoded to find these words."""

MAX_VALIDATION_STORIES = 5000
"""Most stories that validation scores, so that they fit in memory with any corpus."""


@dataclass(frozen=True)
class ValidationStories:
    """Held-out stories as ids, ready to be scored.

    Attributes:
        input_ids: ids of each story, as the model reads it in training (start and end tokens included).
        is_text: for each story, which tokens after the first hold story text (not newlines, not the end token).
        num_bytes: UTF-8 bytes of each story's text without newlines.
        num_prompt_tokens: of each story, tokens after the first that are its prompt.
    """

    input_ids: list[np.ndarray]
    is_text: list[np.ndarray]
    num_bytes: list[int]
    num_prompt_tokens: list[int]

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def num_tokens(self) -> int:
        return sum(len(ids) - 1 for ids in self.input_ids)

    def first(self, num_stories: int) -> "ValidationStories":
        """The first `num_stories` of these stories."""
        return ValidationStories(
            self.input_ids[:num_stories],
            self.is_text[:num_stories],
            self.num_bytes[:num_stories],
            self.num_prompt_tokens[:num_stories],
        )

    def num_fitting(self, num_tokens: float) -> int:
        """How many of these stories, from the first, hold about `num_tokens` tokens; at least one."""
        ends = np.cumsum([len(ids) for ids in self.input_ids])
        return max(1, int(np.searchsorted(ends, num_tokens, side="right")))


def make_fresh_base(folder: Path, corpus: Corpus, init: str, seed: int, on_progress: OnProgress) -> None:
    """Write a model with random weights, and a tokenizer learned from the training stories, to `folder`.

    Does nothing if the folder already holds one.
    """
    if (folder / "config.json").is_file():
        return
    config = read_config(init)
    num_bytes = sum(len(story.text.encode()) for story in corpus.stories("train"))
    tokenizer = train_tokenizer(
        (story.text for story in corpus.stories("train")),
        fresh_vocab_size(config, num_bytes),
        context_length=context_length_of(config),
    )
    story_format = story_format_by_rule(tokenizer)
    model = fresh_model(config, vocab_size=len(tokenizer), end_of_text=story_format.end_id, seed=seed)
    with atomic_folder(folder) as partial, quiet():
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        story_format.write(partial)
    on_progress(
        Progress(
            "train",
            message=f"a fresh {config.model_type} model of {model.num_parameters() / 1e6:.1f} million parameters, and"
            f" a vocabulary of {len(tokenizer):,} tokens learned from the stories",
        )
    )


def training_tokens(
    corpus: Corpus, tokenizer: Any, story_format: StoryFormat, markup: str, on_progress: OnProgress
) -> TokenisedStories:
    """The training stories as ids, from the cache if it has them."""
    start, end = (story_format.start_id, story_format.end_id) if markup == "newline" else (None, None)
    key = fingerprint([corpus.fingerprint, tokenizer.backend_tokenizer.to_str(), markup, start, end])
    return tokenise(
        key,
        lambda: (render(story.text, markup) for story in corpus.stories("train")),
        tokenizer,
        start=start,
        end=end,
        total=corpus.num_stories("train"),
        prompts=(lambda: (learned_prompt(story.prompt, story.id) for story in corpus.stories("train")))
        if markup == "newline"
        else None,
        on_progress=on_progress,
    )


def validation_stories(
    corpus: Corpus,
    tokenizer: Any,
    story_format: StoryFormat,
    markup: str,
    seed: int,
    most_tokens: int | None = None,
) -> ValidationStories:
    """The held-out stories, at most `MAX_VALIDATION_STORIES`, in an order drawn from `seed`, so that the first few of
    them are a fair sample; of each, if wanted, only the first `most_tokens` tokens."""
    total = corpus.num_stories("validation")
    order = np.random.default_rng(seed).permutation(total)[:MAX_VALIDATION_STORIES].tolist()
    rank_of = {index: rank for rank, index in enumerate(order)}
    texts, prompts = [""] * len(order), [""] * len(order)
    for index, story in enumerate(corpus.stories("validation")):
        if index in rank_of:
            texts[rank_of[index]] = story.text
            prompts[rank_of[index]] = story.prompt
    end = story_format.end_id if markup == "newline" else None
    stories = story_tokens(tokenizer, texts, markup, start=story_format.start_id, end=end, prompts=prompts)
    if most_tokens is not None:
        stories = [_beginning(*pair, most_tokens) for pair in zip(stories, texts, strict=True)]
    return ValidationStories(
        [story.input_ids for story in stories],
        [story.is_text for story in stories],
        [story.num_bytes for story in stories],
        [story.num_prompt_tokens for story in stories],
    )


def _beginning(story: StoryTokens, text: str, num_tokens: int) -> StoryTokens:
    """The first `num_tokens` tokens of a story, behind its prompt."""
    num_tokens += story.num_prompt_tokens
    if len(story.is_text) <= num_tokens:
        return story
    read = text.replace("\n", "")[: story.ends[num_tokens - 1]]
    return StoryTokens(
        input_ids=story.input_ids[: num_tokens + 1],
        is_text=story.is_text[:num_tokens],
        ends=story.ends[:num_tokens],
        num_bytes=len(read.encode()),
        num_prompt_tokens=story.num_prompt_tokens,
    )


def openings_of(stories: TokenisedStories, tokenizer: Any) -> Openings:
    """The first words of training stories."""
    chosen = np.unique(np.linspace(0, stories.num_stories - 1, MAX_OPENINGS).astype(int)).tolist()
    prompts = stories.num_prompt_tokens
    found = []
    for story in chosen:
        begin = int(stories.offsets[story]) + 1 + (0 if prompts is None else int(prompts[story]))
        ids = stories.tokens[begin : min(begin + OPENING_TOKENS, int(stories.offsets[story + 1]) - 1)]
        found.append(first_words(tokenizer.decode(ids)))
    return Openings(openings=tuple(opening for opening in found if opening))

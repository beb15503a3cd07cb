"""How well a model predicts held-out stories, as figures that no tokenizer can change, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fabula.evaluation.intervals import Bootstrap
from fabula.progress import OnProgress, silent
from fabula.results import Likelihood

if TYPE_CHECKING:
    from fabula.models.story_format import StoryFormat

NATS, TOKENS, BYTES, WORDS = range(4)
NUM_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class TextScores:
    """How well a model predicts S texts. Only story text counts: newlines and markers are context.

    Attributes:
        nats: [S] float64, the sum of -ln p over each text's counted tokens.
        num_tokens: [S] int64, counted tokens.
        num_bytes: [S] int64, UTF-8 bytes of each text without its newlines.
    """

    nats: np.ndarray
    num_tokens: np.ndarray
    num_bytes: np.ndarray

    @property
    def bits_per_byte(self) -> float | None:
        """Of all texts together; None where they hold no text."""
        num_bytes = self.num_bytes.sum()
        return float(self.nats.sum() / np.log(2) / num_bytes) if num_bytes else None


@dataclass(frozen=True, slots=True)
class ScoredText:
    """One text of T tokens and what each costs a model.

    Attributes:
        nats: [T] float64, -ln p of each token.
        is_text: [T] bool, which tokens count: those that hold a character of the story that is no newline.
        ends: [T] int64, characters of the story, newlines not counted, up to the end of each token.
    """

    text: str
    nats: np.ndarray
    is_text: np.ndarray
    ends: np.ndarray


def score_texts(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    story_format: "StoryFormat",
    *,
    markup: str = "newline",
    context_length: int | None = None,
    stride: int | None = None,
    prompts: Sequence[str] | None = None,
    on_progress: OnProgress = silent,
) -> list[ScoredText]:
    """Score each text as a story of its own, after the token that a story begins after.

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        texts: stories, newlines between paragraphs.
        story_format: how they begin.
        markup: how the model saw stories in training; see `Recipe`.
        context_length, stride: see `score_tokens`.
        prompts: what each story was written to, which the model reads before it; see `tokens.prompts`.
    """
    from fabula.models.scoring import score_tokens
    from fabula.tokens.story_tokens import story_tokens

    stories = story_tokens(tokenizer, texts, markup, start=story_format.start_id, end=None, prompts=prompts)
    losses = score_tokens(
        model,
        [story.input_ids for story in stories],
        story_format,
        context_length=context_length,
        stride=stride,
        on_progress=on_progress,
    )
    return [
        ScoredText(text, nats, story.is_text, story.ends)
        for text, nats, story in zip(texts, losses, stories, strict=True)
    ]


def sum_scores(scored: Sequence[ScoredText], num_characters: Sequence[int] | None = None) -> TextScores:
    """The sums over each text.

    Bytes are those of the text, so the tokenizer cannot change what bits per byte are counted over.

    Args:
        num_characters: count only the tokens that end within so many characters of each text; None counts all. The
            beginning of a text is read no differently for what follows it, so it need not be scored by itself.
    """
    rows = []
    for index, each in enumerate(scored):
        limit = len(each.text) if num_characters is None else num_characters[index]
        counted = each.is_text & (each.ends <= len(each.text[:limit].replace("\n", "")))
        covered = each.text.replace("\n", "")
        if num_characters is not None:
            covered = covered[: int(each.ends[counted].max(initial=0))]
        rows.append((float(each.nats[counted].sum()), int(counted.sum()), len(covered.encode())))
    nats, num_tokens, num_bytes = zip(*rows, strict=True) if rows else ((), (), ())
    return TextScores(
        nats=np.array(nats, dtype=np.float64),
        num_tokens=np.array(num_tokens, dtype=np.int64),
        num_bytes=np.array(num_bytes, dtype=np.int64),
    )


def summarise_scores(
    scores: Sequence[TextScores], num_words: Sequence[int], clusters: Sequence[str]
) -> list[Likelihood]:
    """The figures of several models on the same S stories.

    Args:
        scores: for each model, the scores of the S stories.
        num_words: [S] words of each story.
        clusters: [S] near-duplicates share a cluster; whole clusters are resampled.
    """
    columns = np.concatenate(
        [
            np.stack([each.nats, each.num_tokens, each.num_bytes, np.array(num_words)], axis=1)
            for each in scores
        ],
        axis=1,
    )
    bootstrap = Bootstrap(clusters, columns)

    def ratio(sums: np.ndarray, model: int, below: int) -> np.ndarray:
        return sums[..., model * NUM_COLUMNS + NATS] / sums[..., model * NUM_COLUMNS + below]

    def bits_per_byte(sums: np.ndarray, model: int) -> np.ndarray:
        return ratio(sums, model, BYTES) / np.log(2)

    return [
        Likelihood(
            bits_per_byte=bootstrap.estimate(lambda sums, m=model: bits_per_byte(sums, m)),
            perplexity_per_token=bootstrap.estimate(lambda sums, m=model: np.exp(ratio(sums, m, TOKENS))),
            perplexity_per_word=bootstrap.estimate(lambda sums, m=model: np.exp(ratio(sums, m, WORDS))),
            num_tokens=int(each.num_tokens.sum()),
            num_bytes=int(each.num_bytes.sum()),
            bits_per_byte_difference=bootstrap.estimate(
                lambda sums, m=model: bits_per_byte(sums, m) - bits_per_byte(sums, 0)
            )
            if model
            else None,
        )
        for model, each in enumerate(scores)
    ]

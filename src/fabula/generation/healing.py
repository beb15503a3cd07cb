"""Token healing: a prompt may end anywhere, and the model continues its text rather than its tokens.

A prompt that ends in a space or in half a word gives tokens that hardly ever occurred in training: a space is usually
    part of the next word's token. So the last tokens are removed, and the first tokens that are drawn must spell their
    text again. The probability of a text is the sum over all token sequences that spell it and whatever follows. Each
    such sequence
ends with the first token that reaches the end of the prompt or goes beyond it (Phan et al. 2024, arXiv:2410.09303; Hayase et
al. 2025, arXiv:2506.14123). `covers` finds these sequences and their probabilities; one is drawn, and writing continues
from there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fabula.generation.engine import Engine

MAX_TAKEN_BACK = 4
"""Most tokens of a prompt that are removed: only rare, long words have more."""

MAX_PATHS = 16
SMALLEST_PATH = 1e-5
"""Most incomplete sequences that are extended at once, and the smallest probability of one, as a share of all that was
found."""


@dataclass(frozen=True, slots=True)
class Covers:
    """The token sequences that spell the end of a prompt and may continue beyond it.

    Attributes:
        scores: [N] natural log probabilities of the sequences, float32.
        paths: the tokens of each sequence before its last one.
        last_ids: [N] their last tokens.
        path_of: [N] the index in `paths` of each.
    """

    scores: NDArray[np.float32]
    paths: list[tuple[int, ...]]
    last_ids: NDArray[np.int64]
    path_of: NDArray[np.int64]

    def sequence(self, index: int) -> tuple[int, ...]:
        return (*self.paths[self.path_of[index]], int(self.last_ids[index]))


def take_back(engine: Engine, prompt: str) -> tuple[list[int], str]:
    """The tokens of a prompt without the last ones, and the text of the removed ones, which is at most its last word,
    or its last run of spaces or punctuation.

    Returns:
        All tokens and "" if the tokens do not spell the prompt, as with a tokenizer that changes the text.
    """
    ids = engine.encode(prompt)
    spell = engine.vocabulary.spell
    best = (ids, "")
    if spell(ids) != prompt.encode():
        return best
    for num_taken in range(1, min(MAX_TAKEN_BACK, len(ids)) + 1):
        try:
            end = spell(ids[-num_taken:]).decode()
        except UnicodeDecodeError:  # a token begins within a character
            continue
        best = (ids[:-num_taken], end)
        before = prompt[: len(prompt) - len(end)]
        # A space may be part of the token of the word after it.
        if not before or (before[-1] != " " and _kind(before[-1]) != _kind(end[0])):
            break
    return best


def covers(engine: Engine, ids: list[int], end: str, logits_V: NDArray[np.float32]) -> Covers:
    """The token sequences after `ids` that spell `end`, with their probabilities.

    Args:
        ids: the tokens before, not empty.
        end: the text to spell, not empty.
        logits_V: the model's logits after `ids`.
    """
    vocabulary = engine.vocabulary
    paths: list[tuple[int, ...]] = [()]
    scores, last_ids, path_of = [], [], []
    # Path, its log probability, the text left to spell, the log probabilities of the next token.
    frontier = [(0, 0.0, end.encode(), log_softmax(logits_V))]
    batch = None
    while frontier:
        followed: list[tuple[float, int, int, bytes, int]] = []
        for row, (path, score, left, log_V) in enumerate(frontier):
            reaching = vocabulary.beginning_with(left)
            scores.append(score + log_V[reaching])
            last_ids.append(reaching)
            path_of.append(np.full(len(reaching), path))
            followed += [
                (score + float(log_V[token]), path, token, left[len(vocabulary.token_bytes[token]) :], row)
                for token in vocabulary.proper_prefixes(left)
            ]
        found = np.concatenate(scores)
        least = np.logaddexp.reduce(found) + np.log(SMALLEST_PATH) if len(found) else -np.inf
        followed = sorted((each for each in followed if each[0] > least), reverse=True)[:MAX_PATHS]
        if not followed:
            break
        followed.sort(key=lambda each: each[4])
        batch = batch or engine.read([ids[-engine.context_length + len(end.encode()) + 1 :]])
        batch.step([row for *_, row in followed], [token for _, _, token, _, _ in followed])
        frontier = []
        for (score, path, token, left, _), logits in zip(followed, batch.logits_BV, strict=True):
            paths.append((*paths[path], token))
            frontier.append((len(paths) - 1, score, left, log_softmax(logits)))
    return Covers(
        np.concatenate(scores).astype(np.float32), paths, np.concatenate(last_ids), np.concatenate(path_of)
    )


def _kind(char: str) -> str:
    return "space" if char.isspace() else "word" if char.isalnum() else "other"


def log_softmax(logits_V: NDArray[np.float32]) -> NDArray[np.float64]:
    """Natural log probabilities of these logits."""
    shifted = logits_V.astype(np.float64) - logits_V.max()
    return shifted - np.log(np.exp(shifted).sum())

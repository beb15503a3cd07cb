"""The words that a model would write at a place, with their probabilities.

A word may have several tokens, and several token sequences may spell it. Its probability is the sum over these sequences of
the product of their tokens' probabilities and of the probability that the word ends there, which is that the next token
begins with something else than a letter or digit. The probabilities are those of the model, before temperature and the
other sampling settings.
"""

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fabula.errors import FabulaError
from fabula.generation.draft import Draft
from fabula.generation.engine import Batch, Engine
from fabula.generation.healing import log_softmax
from fabula.generation.vocabulary import is_letter

NUM_WORDS = 8
MAX_TOKENS = 8
"""Most tokens of a word; a longer one has no probability here."""

MAX_PATHS = 24
"""Most unfinished words that are extended at once. What follows the others is lost, so a probability may be a little too
small."""

MAX_WORD_CHARS = 60


@dataclass(slots=True)
class LikelyWord:
    """A word that may stand at the place.

    Attributes:
        probability: that the model writes this word there, and then ends it.
        tokens: the text and the probability of each token of its shortest sequence, without those before the word.
    """

    text: str
    probability: float = 0.0
    tokens: list[tuple[str, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Path:
    """The beginning of a word: its tokens, their log probabilities, and what they spell."""

    ids: tuple[int, ...] = ()
    logs: tuple[float, ...] = ()
    text: bytes = b""

    @property
    def log(self) -> float:
        return sum(self.logs)


def likely_words(draft: Draft, written: str) -> list[LikelyWord]:
    """The likeliest words after a draft's prompt.

    Args:
        draft: a draft that has written nothing; its prompt is the story before the word, with the space.
        written: the word that stands there.

    Returns:
        `written` first, then the `NUM_WORDS` likeliest others, the likeliest first.

    Raises:
        FabulaError: `written` is not one word, or the text of the model's tokens is not known.
    """
    if len(written) > MAX_WORD_CHARS or not is_word(written):
        raise FabulaError("this is not one word", where="word")
    search = Search(draft.engine, draft.to_spell, written)
    search.run(draft.window())
    for word in search.found.values():
        word.probability /= search.share_before
    others = sorted(
        (word for word in search.found.values() if word.text != written), key=lambda word: -word.probability
    )
    return [search.found.get(written, LikelyWord(written)), *others[:NUM_WORDS]]


class Search:
    """Extends the likeliest beginnings of words, a token at a time, until no unfinished one can become likely.

    Args:
        before: the end of the story before the word that the first tokens spell again, or "".
    """

    def __init__(self, engine: Engine, before: str, written: str) -> None:
        engine.vocabulary.check_spelled("showing likely words")
        self.engine, self.vocabulary = engine, engine.vocabulary
        self.before, self.written = before.encode(), written.encode()
        self.found: dict[str, LikelyWord] = {}
        self.share_before = 0.0 if before else 1.0
        """The probability that the next tokens spell `before`: what is found is given that they do."""
        self._ends_V = self.vocabulary.ends_word_V

    def run(self, window: list[int]) -> None:
        paths, batch = [Path()], self.engine.read([window[-self.engine.context_length + MAX_TOKENS :]])
        for num_tokens in range(MAX_TOKENS + 1):
            grown = self._grow(paths, batch)
            rows = self._most_promising(grown) if num_tokens < MAX_TOKENS else []
            if not rows:
                return
            batch.step([row for row, _ in rows], [path.ids[-1] for _, path in rows])
            paths = [path for _, path in rows]

    def _grow(self, paths: list[Path], batch: Batch) -> list[tuple[int, Path]]:
        """Finish each path's word, if it is one, and return its extensions with their rows of the batch."""
        grown = []
        for row, (path, logits_V) in enumerate(zip(paths, batch.logits_BV, strict=True)):
            log_V = log_softmax(logits_V)[: len(self._ends_V)]
            if left := self.before[len(path.text) :]:
                share = np.logaddexp.reduce(log_V[self.vocabulary.beginning_with(left)], initial=-np.inf)
                self.share_before += float(np.exp(path.log + share))
            text = _without_apostrophe(self._word(path))
            if is_word(text):
                share = path.log + float(np.logaddexp.reduce(log_V[self._ends_V[: len(log_V)]]))
                word = self.found.setdefault(text, LikelyWord(text, tokens=self._tokens(path)))
                word.probability += float(np.exp(share))
            for token in self._next_tokens(path, log_V):
                spelled = path.text + self.vocabulary.token_bytes[token]
                longer = Path((*path.ids, token), (*path.logs, float(log_V[token])), spelled)
                if len(spelled) <= len(self.before) or is_word(_without_apostrophe(self._word(longer))):
                    grown.append((row, longer))
        return grown

    def _next_tokens(self, path: Path, log_V: NDArray[np.float64]) -> list[int]:
        """The tokens that may follow: those that spell the text before the word, else the likeliest in a word."""
        wanted = (self.before + self.written)[len(path.text) :]
        left = self.before[len(path.text) :]
        if left:
            return [
                *self.vocabulary.proper_prefixes(left),
                *_likeliest(self.vocabulary.beginning_with(left), log_V),
            ]
        spelling = self.vocabulary.prefixes(wanted) if self._is_wanted(path) else []
        return list({*spelling, *_likeliest(np.flatnonzero(~self._ends_V[: len(log_V)]), log_V)})

    def _most_promising(self, grown: list[tuple[int, Path]]) -> list[tuple[int, Path]]:
        """Those that may still become one of the likeliest words, and those that spell the written word."""
        shares = sorted((word.probability for word in self.found.values()), reverse=True)
        least = np.log(max(shares[NUM_WORDS], 1e-30)) if len(shares) > NUM_WORDS else -np.inf
        ranked = sorted(grown, key=lambda each: -each[1].log)
        kept = [each for each in ranked if each[1].log > least][:MAX_PATHS]
        kept += [each for each in ranked if each not in kept and self._is_wanted(each[1])][:MAX_PATHS]
        return sorted(kept, key=lambda each: each[0])

    def _is_wanted(self, path: Path) -> bool:
        return (self.before + self.written).startswith(path.text)

    def _word(self, path: Path) -> str:
        return path.text[len(self.before) :].decode(errors="ignore")

    def _tokens(self, path: Path) -> list[tuple[str, float]]:
        """The text and the probability of each token, without those before the word."""
        parts, end = [], 0
        for token, log in zip(path.ids, path.logs, strict=True):
            end += len(self.vocabulary.token_bytes[token])
            if end > len(self.before):
                parts.append(
                    (self.vocabulary.token_bytes[token].decode(errors="replace"), float(np.exp(log)))
                )
        return parts


def is_word(text: str) -> bool:
    """Whether a text is one word: letters, digits and marks on them, with apostrophes only within."""
    return all(part and all(map(is_letter, part)) for part in re.split("['’]", text))


def _without_apostrophe(text: str) -> str:
    return text[:-1] if text.endswith(("'", "’")) else text


def _likeliest(ids: NDArray[np.int64], log_V: NDArray[np.float64]) -> list[int]:
    ids = ids[ids < len(log_V)]
    if len(ids) > MAX_PATHS:
        ids = ids[np.argpartition(-log_V[ids], MAX_PATHS)[:MAX_PATHS]]
    return ids.tolist()

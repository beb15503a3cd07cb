"""Authorship of a passage from its function words and punctuation: a measure that does not use a language model.

How often somebody writes "the", "but" or a comma hardly depends on the subject, and tells authors apart (Mosteller and
Wallace 1964; Burrows 2002). The classifier is a logistic regression over these frequencies.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fabula.evaluation.intervals import share_estimate
from fabula.evaluation.writing import words_of
from fabula.results import Estimate

WORD_LIST = """
a about after again against all almost along also always am among an and another any are around as at away
back be because been before behind being both but by came can could did do does done down each even ever every
few first for from get go had has have he her here herself him himself his how i if in into is it its itself
just last least less like little made many may me might more most much must my never no none nor not nothing
now of off often on once one only or other our out over own perhaps quite rather said same shall she should
since so some something still such than that the their them then there these they this those though through
till to too toward towards under until up upon us very was we well were what when where whether which while
who whom whose why will with within without would yet you your
"""
FUNCTION_WORDS = frozenset(WORD_LIST.split())
MARKS = (",", ".", ";", ":", "!", "?", '"', "'", "-", "(", ")", "…")
ALIKE = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "—": "-", "–": "-", "*": " ", "_": " "})
"""Equivalent punctuation marks, so that an editor's typography does not identify an author."""

FEATURES = (*sorted(FUNCTION_WORDS), *MARKS)

PASSAGE_WORDS = 300
MIN_WORDS = 100
"""Words of the passages that are judged, and of the shortest that is."""

REGULARISATION = 0.02
"""Weight of the L2 penalty, for each passage."""

MIN_PASSAGES = 16
"""Of each side, to learn from."""

PASSAGES_OF_A_STORY = 3
"""Passages that are taken from each story by the author."""

MIN_STORIES, NUM_FOLDS = 40, 5
"""Stories of each set that can be told apart with a figure worth having, and the parts that take turns as the test."""


@dataclass(frozen=True, slots=True)
class StyleScores:
    """Shares of passages that the classifier takes for the author's.

    Attributes:
        author: of held-out stories by the author.
        others: of stories by authors that it did not learn from.
        sets: of each set of stories that was asked about.
    """

    author: Estimate
    others: Estimate
    sets: list[Estimate | None]


def passages_of(text: str) -> list[list[str]]:
    """The words and marks of a text in passages of about `PASSAGE_WORDS`."""
    words = words_of(text.translate(ALIKE).replace("...", "…").replace("--", "-"))
    parts = [words[start : start + PASSAGE_WORDS] for start in range(0, len(words), PASSAGE_WORDS)]
    return [part for part in parts if len(part) >= MIN_WORDS]


def frequencies(passages: Sequence[Sequence[str]]) -> np.ndarray:
    """[N, F] the square root of the share of each of the F `FEATURES` in each of N passages. The root makes the spread of
    rare and frequent words alike."""
    counts = [Counter(passage) for passage in passages]
    rows = [
        [count[name] / len(passage) for name in FEATURES]
        for count, passage in zip(counts, passages, strict=True)
    ]
    return np.sqrt(np.array(rows, dtype=np.float64).reshape(len(passages), len(FEATURES)))


@dataclass(frozen=True, slots=True)
class StyleClassifier:
    """A logistic regression over standardised frequencies.

    Attributes:
        weights: [F + 1], the last one the bias.
        mean, scale: [F] of the passages that it learned from.
    """

    weights: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, author: np.ndarray, others: np.ndarray) -> "StyleClassifier":
        """Learn from [N, F] frequencies of the author's passages and [M, F] of others', each side with the same weight.

        Newton's method on the penalised likelihood, which is convex.
        """
        rows = np.concatenate([author, others])
        mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-3
        x = np.concatenate([(rows - mean) / scale, np.ones((len(rows), 1))], axis=1)
        y = np.repeat([1.0, 0.0], [len(author), len(others)])
        importance = np.repeat([0.5 / len(author), 0.5 / len(others)], [len(author), len(others)])
        penalty = np.full(x.shape[1], REGULARISATION)
        penalty[-1] = 1e-6
        weights = np.zeros(x.shape[1])
        for _ in range(20):
            p = sigmoid(x @ weights)
            gradient = x.T @ (importance * (p - y)) + penalty * weights
            curvature = (x * (importance * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
            weights = weights - np.linalg.solve(curvature, gradient)
        return cls(weights, mean, scale)

    def score(self, rows: np.ndarray) -> np.ndarray:
        """[N] log odds that passages of [N, F] frequencies are the author's."""
        return ((rows - self.mean) / self.scale) @ self.weights[:-1] + self.weights[-1]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return np.exp(-np.logaddexp(0, -x))


def tell_apart(one: Sequence[str], other: Sequence[str]) -> Estimate | None:
    """How often a classifier tells whether a story is from one set or another, when it has learned from other stories of
    both: 0.5 if there is nothing to tell them by. A two-sample test by classifier (Lopez-Paz and Oquab 2017).

    Returns:
        None where a set has fewer than `MIN_STORIES` stories that are long enough.
    """
    sides = [
        frequencies([part for text in texts for part in passages_of(text)[:1]]) for texts in (one, other)
    ]
    if min(map(len, sides)) < MIN_STORIES:
        return None
    right: list[bool] = []
    for fold in range(NUM_FOLDS):
        is_test = [np.arange(len(rows)) % NUM_FOLDS == fold for rows in sides]
        classifier = StyleClassifier.fit(*(rows[~test] for rows, test in zip(sides, is_test, strict=True)))
        first, second = (classifier.score(rows[test]) > 0 for rows, test in zip(sides, is_test, strict=True))
        right += [*first, *~second]
    return share_estimate(right)


def judge_style(
    training: Sequence[str],
    held_out: Sequence[str],
    others: Sequence[tuple[str, str]],
    sets: Sequence[Sequence[str]],
) -> StyleScores | None:
    """Learn to tell an author from others, and ask whose style sets of stories have.

    The other authors are dealt out to `NUM_FOLDS` classifiers, each of which leaves its own out and is tested on them; all
    else is judged by all together.

    Args:
        training, held_out: stories by the author.
        others: author and text of stories by others.
        sets: stories of models.

    Returns:
        None where there are too few passages to learn from or to test on.
    """
    own = frequencies([part for text in training for part in passages_of(text)[:PASSAGES_OF_A_STORY]])
    test = frequencies([part for text in held_out for part in passages_of(text)[:PASSAGES_OF_A_STORY]])
    authors = {author: index for index, author in enumerate(dict.fromkeys(author for author, _ in others))}
    passages = [(authors[author] % NUM_FOLDS, part) for author, text in others for part in passages_of(text)]
    folds = np.array([fold for fold, _ in passages])
    rows = frequencies([part for _, part in passages])
    if len(authors) < NUM_FOLDS or min(len(own), len(rows)) < MIN_PASSAGES or not len(test):
        return None
    classifiers = [StyleClassifier.fit(own, rows[folds != fold]) for fold in range(NUM_FOLDS)]

    def recognised(rows: np.ndarray) -> Estimate:
        return share_estimate(list(np.sum([each.score(rows) for each in classifiers], axis=0) > 0))

    mistakes = [classifier.score(rows[folds == fold]) > 0 for fold, classifier in enumerate(classifiers)]
    asked = [frequencies([part for text in texts for part in passages_of(text)[:1]]) for texts in sets]
    return StyleScores(
        author=recognised(test),
        others=share_estimate(list(np.concatenate(mistakes))),
        sets=[recognised(each) if len(each) else None for each in asked],
    )

"""Pairs of stories from several runs, shown without names for a blind comparison."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from fabula.evaluation.votes import share_of_votes
from fabula.files import fingerprint
from fabula.formatting import format_estimate, format_number, shorten
from fabula.results import Evaluation, Sample, Vote, add_vote, read_votes

MAX_CHARS = 1200
"""Characters of a story that are shown: enough to judge it, and the same for both."""


@dataclass(frozen=True, slots=True)
class BlindPair:
    """Stories of two runs from the same prompt and seed, in the order in which they are shown.

    Attributes:
        authors: names of the runs.
        key: prompt and seed.
    """

    authors: tuple[str, str]
    key: str
    texts: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Ballot:
    """The pairs to vote on, and the file that keeps the votes.

    Attributes:
        fingerprint: of the evaluations whose stories are compared.
    """

    pairs: list[BlindPair]
    path: Path
    fingerprint: str

    @classmethod
    def of(cls, runs: Sequence[tuple[str, Evaluation, Sequence[Sample]]], path: Path) -> "Ballot":
        """All pairs of stories that two runs wrote to the same prompt and seed, shuffled alike each time.

        Args:
            runs: name, evaluation and stories of each.
            path: of the votes.
        """
        mark = fingerprint([[name, metrics.fingerprint] for name, metrics, _ in runs])
        draw = random.Random(mark)
        told = [
            (name, {(row.prompt, row.seed): row for row in samples if row.model == metrics.models[-1].name})
            for name, metrics, samples in runs
        ]
        pairs = []
        for (one, first), (other, second) in combinations(told, 2):
            for prompt, seed in first.keys() & second.keys():
                sides = [(one, first[prompt, seed]), (other, second[prompt, seed])]
                draw_sides = random.Random(f"{mark} {one} {other} {prompt} {seed}")
                draw_sides.shuffle(sides)
                (left, left_story), (right, right_story) = sides
                texts = (str(left_story).strip(), str(right_story).strip())
                pairs.append(BlindPair((left, right), f"{seed} {prompt}", texts))
        pairs.sort(key=lambda pair: (pair.key, sorted(pair.authors)))
        draw.shuffle(pairs)
        return cls(pairs, path, mark)

    @property
    def votes(self) -> list[Vote]:
        """The votes so far."""
        return read_votes(self.path, self.fingerprint)

    def left(self) -> Iterator[BlindPair]:
        """The pairs without a vote."""
        done = {(vote.passages, frozenset(vote.authors)) for vote in self.votes}
        return (pair for pair in self.pairs if ((pair.key, pair.key), frozenset(pair.authors)) not in done)

    def add(self, pair: BlindPair, chosen: int | None) -> None:
        """Keep a vote on a pair; None for no difference."""
        vote = {"question": "better", "authors": pair.authors, "passages": (pair.key, pair.key)}
        add_vote(self.path, Vote.of({**vote, "chosen": chosen, "fingerprint": self.fingerprint}))

    def results(self) -> list[str]:
        """A sentence for each two runs that were voted on."""
        votes = self.votes
        names = sorted({frozenset(vote.authors) for vote in votes}, key=sorted)
        return [describe(votes, *sorted(pair)) for pair in names]


def describe(votes: Sequence[Vote], one: str, other: str) -> str:
    """The result of the votes on two runs, the preferred one first."""
    votes = [vote for vote in votes if set(vote.authors) == {one, other}]
    decided = [vote for vote in votes if vote.chosen is not None]
    same = len(votes) - len(decided)
    undecided = f"; no difference in {format_number(same)}" if same else ""
    share = share_of_votes(decided, one)
    if share is None:
        return f"{one} and {other}: no difference in {format_number(same)} pairs."
    if share.value < 0.5:
        return describe(votes, other, one)
    times = f"{format_number(round(share.value * len(decided)))} of {format_number(len(decided))} pairs"
    is_certain = share.low is not None and share.low > 0.5
    return (
        f"{one} was preferred to {other} in {times} ({format_estimate(share, percent=True)}{undecided}):"
        f" {'more often than by chance' if is_certain else 'which may be chance'}."
    )


def show(pair: BlindPair) -> str:
    """Both stories under A and B."""
    return "\n\n".join(
        f"{letter}\n\n{shorten(text, MAX_CHARS)}" for letter, text in zip("AB", pair.texts, strict=True)
    )

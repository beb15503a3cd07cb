"""Guess which: pairs of passages, one by a person and one by the model, for people to tell apart."""

import re
import secrets
from collections import OrderedDict
from pathlib import Path
from typing import Any

from fabula.corpus.store import open_corpus
from fabula.evaluation.votes import describe_guesses
from fabula.generation.sentences import last_sentence_end
from fabula.models.records import ModelRecords
from fabula.results import PEOPLE, VOTES, Evaluation, Sample, Vote, add_vote, read_votes
from fabula.serving.requests import Refusal
from fabula.story import Story

MAX_WORDS = 90
"""Words of a passage. Both of a pair are cut to the same number."""

MIN_WORDS = 25
MAX_OPEN = 1000
"""Pairs that were shown and not answered yet that are remembered."""


class Guesses:
    """The pairs of a run, and the votes on them.

    A story of the model that continues the beginning of a held-out story is paired with what that story really goes on
    with; one that the model began by itself, with the beginning of a held-out story.

    Args:
        metrics: the run's evaluation, and `samples`: what its model wrote in it.
        held_out: the held-out stories.
        votes: the file of votes, `votes.jsonl` in the run's folder.
    """

    def __init__(
        self, metrics: Evaluation, samples: list[Sample], held_out: list[Story], votes: Path
    ) -> None:
        self._fingerprint, self._votes = metrics.fingerprint, votes
        self._open: OrderedDict[str, Vote] = OrderedDict()
        self._pairs = [
            pair
            for number, sample in enumerate(samples)
            if (pair := make_pair(sample, held_out, number)) is not None
        ]
        self._next = 0

    @classmethod
    def of(cls, records: ModelRecords) -> "Guesses | None":
        """The pairs of a model's run; None where it has no evaluation or no corpus beside it."""
        if records.metrics is None or records.corpus_folder is None:
            return None
        corpus = open_corpus(records.corpus_folder)
        held_out = list(corpus.stories(records.metrics.held_out.split))
        guesses = cls(records.metrics, records.samples, held_out, records.corpus_folder.parent / VOTES)
        return guesses if guesses._pairs else None

    def ask(self) -> dict[str, Any]:
        """A pair to show: `id`, `opening` of both (or ""), `passages` in any order, and `said`: the result so far."""
        opening, by_person, by_model, names = self._pairs[self._next % len(self._pairs)]
        self._next += 1
        shown = [(PEOPLE, by_person, names[0]), ("model", by_model, names[1])]
        if secrets.randbelow(2):
            shown.reverse()
        vote = Vote(
            question="person",
            authors=(shown[0][0], shown[1][0]),
            passages=(shown[0][2], shown[1][2]),
            chosen=None,
            fingerprint=self._fingerprint,
        )
        key = secrets.token_urlsafe(12)
        self._open[key] = vote
        while len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)
        return {
            "id": key,
            "opening": opening,
            "passages": [text for _, text, _ in shown],
            "said": self.said(),
        }

    def answer(self, key: str, chosen: int | None) -> dict[str, Any]:
        """Keep a vote.

        Args:
            chosen: index of the passage that is taken for a person's; None for "I cannot tell".

        Returns:
            `person`: index of the passage that a person wrote; `said`: the result so far.

        Raises:
            Refusal: there is no such pair, or it was answered.
        """
        if key not in self._open or chosen not in (0, 1, None):
            raise Refusal("This pair was already answered or is too old. Choose the next one.", 409)
        vote = self._open.pop(key)
        add_vote(self._votes, vote.model_copy(update={"chosen": chosen}))
        return {"person": vote.authors.index(PEOPLE), "said": self.said()}

    def said(self) -> str:
        """The result so far in a sentence, or ""."""
        return describe_guesses(read_votes(self._votes, self._fingerprint)) or ""


def make_pair(
    sample: Sample, held_out: list[Story], number: int
) -> tuple[str, str, str, tuple[str, str]] | None:
    """Opening, the person's passage, the model's passage, and what each is called; None where one is too short.

    Args:
        number: of the sample, which chooses the held-out story where the model began by itself.
    """
    if not held_out:
        return None
    opening = sample.prompt.strip()
    continued = [story for story in held_out if opening and story.text.startswith(opening)]
    if opening and not continued:
        return None
    story = continued[0] if continued else held_out[number % len(held_out)]
    # Paragraphs are shown alike: blank lines would tell them apart.
    by_person, by_model = (
        re.sub(r"\s*\n\s*", "\n", text.strip()) for text in (story.text[len(opening) :], sample.text)
    )
    num_words = min(MAX_WORDS, len(by_person.split()), len(by_model.split()))
    if num_words < MIN_WORDS:
        return None
    return (
        opening,
        cut(by_person, num_words),
        cut(by_model, num_words),
        (story.id, f"{opening[:60]} {sample.seed}".strip()),
    )


def cut(text: str, num_words: int) -> str:
    """The first words of a text, up to the end of a sentence where one comes in the second half of them."""
    parts = text.split(" ")
    while len(" ".join(parts).split()) > num_words:
        parts.pop()
    shown = " ".join(parts)
    end = last_sentence_end(shown + " ")
    return shown[:end] if end > len(shown) // 2 else shown

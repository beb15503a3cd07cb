"""The verdict on a training: what it achieved, how far the figures can be believed, and what would help next.

Everything is decided here, from `metrics.json` alone, so that the terminal, the report, the page and the card agree.
"""

from typing import Literal

from fabula.config import Record
from fabula.formatting import format_interval, format_number, format_percent
from fabula.results import Evaluation, ModelEvaluation, TrainingSummary, Writing

FEW_CLUSTERS = 10
"""Held-out stories, near-duplicates counted once, below which an interval is itself uncertain."""

REPEATED_SHARE = 0.1
"""Share of held-out text that also occurs in training stories from which bits per byte measure memory. Stories by people
that have nothing in common share far below 1 % in passages of 50 characters."""

COPIED_SHARE = 0.02
"""A model that copies no more of its text than this, or than people do, is not said to copy."""

LOW_BITS_PER_BYTE = 0.6
"""Prose that a model has not seen takes more than this, whatever the model."""

SMALL_MODEL = 50_000_000
"""Parameters below which a larger base model helps more than anything else."""

Outcome = Literal["untrained", "unchanged", "no better", "uncertain", "better", "not compared"]


class Verdict(Record):
    """What an evaluation says about its last model."""

    outcome: Outcome
    """ "untrained": no step was done. "unchanged": no step gave better weights than the base model's, which were kept.
    "uncertain": better, but perhaps by chance. "not compared": there is no base model to compare with."""
    headline: str
    """The outcome in one sentence, with its figures."""
    learned: list[str]
    """Sentences on what the model writes like."""
    copied: str | None
    """A sentence on what it copies; None where it wrote nothing."""
    doubts: list[str]
    """Why the figures may mislead."""
    advice: str | None
    """What would help most next, and why."""

    @property
    def is_success(self) -> bool:
        """Whether the training achieved something that can be believed."""
        return self.outcome == "better" and not self.doubts

    @property
    def details(self) -> list[str]:
        """What it writes like, what it copies, and the advice."""
        return [*self.learned, *(each for each in (self.copied, self.advice) if each)]

    @property
    def sentences(self) -> list[str]:
        """The verdict in short: the outcome, the doubts, and the advice."""
        return [self.headline, *self.doubts, *([self.advice] if self.advice else [])]


def judge(evaluation: Evaluation) -> Verdict:
    """The verdict on the last model of an evaluation, which is compared with the first one."""
    outcome = outcome_of(evaluation)
    doubts = find_doubts(evaluation)
    return Verdict(
        outcome=outcome,
        headline=headline_of(evaluation, outcome),
        learned=describe_writing(evaluation),
        copied=describe_copying(evaluation),
        doubts=doubts,
        advice=advise(evaluation, outcome),
    )


def training_outcome(training: TrainingSummary) -> Outcome | None:
    """What is known from the training alone: that it did nothing, or that nothing it did helped."""
    if training.num_steps == 0:
        return "untrained"
    return "unchanged" if training.best_step == 0 else None


def describe_failure(training: TrainingSummary, base: str) -> str | None:
    """A sentence on a training that changed nothing; None for one that did. `base` names the model that it began with."""
    outcome = training_outcome(training)
    if outcome == "untrained":
        return f"Nothing was trained: not one step was done, and the model is a copy of {base}."
    if outcome == "unchanged":
        return (
            f"Training did not help: after none of {format_number(training.num_steps)} steps did the model predict"
            f" held-out stories better than {base}, and it is a copy of {base}."
        )
    return None


def outcome_of(evaluation: Evaluation) -> Outcome:
    """Which of the outcomes it is."""
    last = evaluation.models[-1]
    if last.training and (known := training_outcome(last.training)):
        return known
    change = last.likelihood.bits_per_byte_difference
    if change is None:
        return "not compared"
    if change.value >= 0:
        return "no better"
    return "uncertain" if change.high is None or change.high >= 0 else "better"


def headline_of(evaluation: Evaluation, outcome: Outcome) -> str:
    """The outcome in one sentence."""
    first, last = evaluation.models[0], evaluation.models[-1]
    stories = f"the {format_number(evaluation.held_out.num_stories)} held-out stories"
    after = last.likelihood.bits_per_byte.value
    if last.training and (failure := describe_failure(last.training, first.name)):
        return failure
    if outcome == "not compared":
        return f"{last.name} takes {format_number(after, 3)} bits per byte for {stories}."
    before = first.likelihood.bits_per_byte.value
    figures = f"{format_number(before, 3)} bits per byte before, {format_number(after, 3)} after"
    if outcome == "no better":
        return f"{last.name} predicts {stories} no better than {first.name}: {figures}."
    fewer = f"{format_percent(1 - after / before, 1 if after > 0.9 * before else 0)} fewer"
    sentence = f"{last.name} predicts {stories} better than {first.name}: {figures}, {fewer}"
    return f"{sentence}, which may be chance." if outcome == "uncertain" else f"{sentence}."


def find_doubts(evaluation: Evaluation) -> list[str]:
    """Why the figures may mislead, one sentence each."""
    doubts = []
    last, held_out = evaluation.models[-1], evaluation.held_out
    bits = last.likelihood.bits_per_byte.value
    if repeated := repeated_share(evaluation.human):
        doubts.append(
            f"The figures measure memory: {format_percent(repeated, 0)} of the held-out text also occurs in the"
            " training stories."
        )
    elif bits < LOW_BITS_PER_BYTE:
        doubts.append(
            f"{format_number(bits, 3)} bits per byte is less than new prose takes: the held-out stories probably"
            " follow a template, or repeat the training stories in other words."
        )
    if held_out.num_clusters < FEW_CLUSTERS:
        doubts.append(
            f"Only {held_out.num_clusters} different {'story' if held_out.num_clusters == 1 else 'stories'} were held"
            " out, too few to be sure of a figure."
        )
    change = last.likelihood.bits_per_byte_difference
    if change and change.low is not None and change.high is not None and change.low < change.value < 0:
        width = change.high - change.low
        if change.high < 0 and width > -change.value:
            doubts.append(
                f"How much better it is remains unclear: by {format_interval(change)} bits per byte, in 95 % of"
                " resamples."
            )
    return doubts


def repeated_share(human: Writing | None) -> float:
    """Share of held-out text that occurs in training stories, where it is large enough to matter; else 0."""
    share = human.memorisation.copied_share.value if human else 0.0
    return share if share >= REPEATED_SHARE else 0.0


def describe_writing(evaluation: Evaluation) -> list[str]:
    """What the model's stories are like beside people's."""
    writing, human = evaluation.models[-1].writing, evaluation.human
    if writing is None or human is None:
        return []
    ended, looping = writing.measures.ended_share, writing.measures.looping_share
    sentences = [
        f"{format_percent(ended.value, 0)} of its stories end by themselves within the length allowed (people's:"
        f" {format_percent(human.measures.ended_share.value, 0)})."
    ]
    if looping.low is not None and looping.low > human.measures.looping_share.value:
        sentences.append(f"{format_percent(looping.value, 0)} get stuck and repeat themselves.")
    return sentences


def describe_copying(evaluation: Evaluation) -> str | None:
    """How much the model copies beside people."""
    writing, human = evaluation.models[-1].writing, evaluation.human
    if writing is None or human is None:
        return None
    own, people = writing.memorisation.copied_share, human.memorisation.copied_share
    figures = f"{format_percent(own.value)} of its text, {format_percent(people.value)} of people's"
    if copies_too_much(writing, human):
        return f"It copies from the training stories, word for word: {figures}."
    return f"It copies no more than people do: {figures}."


def copies_too_much(writing: Writing, human: Writing) -> bool:
    """Whether a model copies more than people do, by more than chance."""
    own, people = writing.memorisation.copied_share, human.memorisation.copied_share
    least = own.value if own.low is None else own.low
    return least > max(COPIED_SHARE, people.value if people.high is None else people.high)


def advise(evaluation: Evaluation, outcome: Outcome) -> str | None:
    """The one thing that would help most, and why."""
    last, human = evaluation.models[-1], evaluation.human
    training = last.training
    if outcome == "untrained":
        return "Give it more time (--max-minutes): what it had was over before the first step."
    if repeated_share(human):
        return "Take out what the stories share, such as a template or boilerplate, and measure again."
    if evaluation.held_out.num_clusters < FEW_CLUSTERS:
        return "Add stories: both the training and the figures need more of them."
    if outcome in ("unchanged", "no better"):
        return "Try a lower learning_rate, or add stories: with these, the base model is not improved."
    if last.writing and human and copies_too_much(last.writing, human):
        return "Add stories or train for fewer epochs: the model begins to recite what it has read."
    if last.num_parameters < SMALL_MODEL:
        return (
            f"Take a larger base model: {_millions(last)} parameters are few for stories that hold together."
        )
    if training and 0 < training.best_step < training.num_steps:
        return "Add stories: the held-out stories were predicted best before training ended."
    return "Train longer: the held-out stories were still predicted better and better at the end."


def _millions(model: ModelEvaluation) -> str:
    return f"{format_number(model.num_parameters / 1e6, 1)} million"

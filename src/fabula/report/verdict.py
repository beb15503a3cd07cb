"""The verdict on a training: what it achieved, how far the figures can be believed, and what would help next.

All of it is decided here, from `metrics.json` alone, so that the terminal, the report, the page and the card agree.
"""

from typing import Literal

from fabula.config import Record
from fabula.formatting import format_number, format_percent
from fabula.results import Evaluation, Writing

FEW_CLUSTERS = 10
"""With fewer held-out stories than this, near-duplicates counted once, the intervals themselves are unreliable."""

REPEATED_SHARE = 0.1
"""From this share of held-out text that also occurs in training stories on, bits per byte measure memory. Stories that
were written independently share far below 1 % of their text in passages of 50 characters."""

COPIED_SHARE = 0.02
"""A model that copies no more of its text than this, or than people do, is not said to copy."""

MIN_BITS_PER_BYTE = 0.6
"""A model of the sizes that are trained here cannot predict new prose this well."""

SMALL_MODEL = 50_000_000
"""Below this number of parameters a larger base model helps more than anything else."""

Outcome = Literal["untrained", "unchanged", "no better", "uncertain", "better", "not compared"]


class Verdict(Record):
    """What an evaluation says about its last model."""

    outcome: Outcome
    """`untrained`: no step was done. `unchanged`: no step improved on the base model, whose weights were kept.
    `uncertain`: better, but perhaps by chance. `not compared`: there is no base model to compare with."""
    headline: str
    """The outcome in one sentence, with its figures."""
    doubts: list[str]
    """Why the figures may mislead, a sentence each."""
    learned: list[str]
    """Sentences about the stories that the model writes."""
    copied: str | None
    """A sentence about what it copies; None where it wrote nothing."""
    advice: str | None
    """What would help most next, and why."""

    @property
    def sentences(self) -> list[str]:
        """The verdict in short: the outcome, the doubts and the advice."""
        return [self.headline, *self.doubts, *([self.advice] if self.advice else [])]

    @property
    def details(self) -> list[str]:
        """What the model writes and copies, and the advice."""
        return [*self.learned, *(each for each in (self.copied, self.advice) if each)]


def judge(evaluation: Evaluation) -> Verdict:
    """The verdict on the last model of an evaluation, which is compared with the first one."""
    outcome = find_outcome(evaluation)
    return Verdict(
        outcome=outcome,
        headline=write_headline(evaluation, outcome),
        doubts=find_doubts(evaluation),
        learned=describe_writing(evaluation),
        copied=describe_copying(evaluation),
        advice=advise(evaluation, outcome),
    )


def describe_failure(num_steps: int, best_step: int) -> str | None:
    """A sentence about a training that changed nothing; None for one that did.

    Args:
        num_steps: steps that were done.
        best_step: step of the weights that became the model; 0 for those of the base model.
    """
    if num_steps == 0:
        return "Nothing was trained: the time was over before the first step, and the model is a copy of its base model."
    if best_step == 0:
        return (
            f"Training did not help: in {format_number(num_steps)} steps the model never predicted the held-out stories"
            " better than its base model, so it is a copy of its base model."
        )
    return None


def find_outcome(evaluation: Evaluation) -> Outcome:
    """Which of the outcomes it is."""
    last = evaluation.models[-1]
    if last.training and last.training.num_steps == 0:
        return "untrained"
    if last.training and last.training.best_step == 0:
        return "unchanged"
    change = last.likelihood.bits_per_byte_difference
    if change is None:
        return "not compared"
    if change.value >= 0:
        return "no better"
    return "uncertain" if change.high is None or change.high >= 0 else "better"


def write_headline(evaluation: Evaluation, outcome: Outcome) -> str:
    """The outcome in one sentence."""
    first, last = evaluation.models[0], evaluation.models[-1]
    failure = describe_failure(last.training.num_steps, last.training.best_step) if last.training else None
    if failure:
        return failure
    stories = f"the {format_number(evaluation.held_out.num_stories)} held-out stories"
    after = last.likelihood.bits_per_byte.value
    if outcome == "not compared":
        return f"{last.name} takes {format_number(after, 3)} bits per byte for {stories}."
    before = first.likelihood.bits_per_byte.value
    figures = f"{format_number(after, 3)} bits per byte instead of {format_number(before, 3)}"
    if outcome == "no better":
        return f"{last.name} does not predict {stories} better than {first.name}: {figures}."
    saved = 1 - after / before
    figures += f", {format_percent(saved, 0 if saved >= 0.1 else 1)} fewer"
    if outcome == "uncertain":
        return f"{last.name} may predict {stories} better than {first.name} ({figures}), or that is chance."
    return f"{last.name} predicts {stories} better than {first.name}: {figures}."


def find_doubts(evaluation: Evaluation) -> list[str]:
    """Why the figures may mislead, a sentence each."""
    doubts = []
    last, num_clusters = evaluation.models[-1], evaluation.held_out.num_clusters
    bits, change = last.likelihood.bits_per_byte.value, last.likelihood.bits_per_byte_difference
    if repeated := repeated_share(evaluation.human):
        doubts.append(
            f"The figures measure memory: {format_percent(repeated, 0)} of the held-out text also occurs in training"
            " stories."
        )
    elif bits < MIN_BITS_PER_BYTE:
        doubts.append(
            f"{format_number(bits, 3)} bits per byte is too good for new prose: the held-out stories probably follow a"
            " template that the training stories have, too."
        )
    if num_clusters < FEW_CLUSTERS:
        stories = "1 story was" if num_clusters == 1 else f"{num_clusters} stories were"
        doubts.append(f"Only {stories} held out that are not near-duplicates: too few for a reliable figure.")
    if change and change.low is not None and change.high is not None and change.high < 0:
        least, most = -change.high, -change.low
        if most - least > -change.value:
            doubts.append(
                f"The size of the gain is uncertain: {format_number(least, 3)} to {format_number(most, 3)} bits per byte"
                " (95 % interval)."
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
    people = human.measures
    sentences = [
        f"{format_percent(ended.value, 0)} of its stories come to an end within the length allowed"
        f" ({format_percent(people.ended_share.value, 0)} of people's)."
    ]
    if looping.low is not None and looping.low > people.looping_share.value:
        sentences.append(f"{format_percent(looping.value, 0)} of them get stuck and repeat themselves.")
    return sentences


def describe_copying(evaluation: Evaluation) -> str | None:
    """How much the model copies beside people."""
    writing, human = evaluation.models[-1].writing, evaluation.human
    if writing is None or human is None:
        return None
    own, people = writing.memorisation.copied_share.value, human.memorisation.copied_share.value
    figures = f"{format_percent(own)} of its text is copied, {format_percent(people)} of people's"
    if copies_too_much(writing, human):
        return f"It repeats training stories word for word: {figures}."
    return f"It does not copy training stories more than people do: {figures}."


def copies_too_much(writing: Writing, human: Writing) -> bool:
    """Whether a model copies more than people do, by more than chance."""
    own, people = writing.memorisation.copied_share, human.memorisation.copied_share
    least = own.value if own.low is None else own.low
    return least > max(COPIED_SHARE, people.value if people.high is None else people.high)


def advise(evaluation: Evaluation, outcome: Outcome) -> str | None:
    """The one thing that would help most, and why; None where nothing is known of a training."""
    last, human = evaluation.models[-1], evaluation.human
    training = last.training
    if outcome == "untrained":
        return "Give it more time (--max-minutes), because preparing the training used up what it had."
    if repeated_share(human):
        return "Remove what the stories share, such as a template or boilerplate, because only then can the figures show what was learned."
    if evaluation.held_out.num_clusters < FEW_CLUSTERS:
        return "Add stories, because both the training and the figures need more of them."
    if outcome in ("unchanged", "no better"):
        return "Lower the learning_rate in the recipe or add stories, because this training makes the model worse."
    if last.writing and human and copies_too_much(last.writing, human):
        return (
            "Add stories or train for fewer epochs, because the model begins to learn its stories by heart."
        )
    if training is None:
        return None
    if last.num_parameters < SMALL_MODEL:
        size = f"{format_number(last.num_parameters / 1e6, 1)} million parameters"
        return f"Start from a larger base model (--base), because {size} are too few for stories that hold together."
    if training.best_step < training.num_steps:
        return "Add stories, because the held-out stories were predicted best before training ended."
    return "Train for longer, because the held-out stories were predicted better up to the end."

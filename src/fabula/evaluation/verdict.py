"""The verdict on a training: its result, the reliability of the figures, and advice.

It is computed only here, from the figures, when a model is evaluated, and saved in `metrics.json`. The terminal, the
report, the page and the card all show that verdict, so they agree.
"""

import math

from fabula.formatting import count_stories, format_number, format_percent
from fabula.results import Estimate, EvaluationFigures, HeldOutSummary, Outcome, Verdict, Writing

FEW_CLUSTERS = 10
"""With fewer held-out stories than this, near-duplicates counted once, the intervals themselves are unreliable."""

MIN_CLUSTERS = 5
"""With fewer than this, an interval says nothing: resampling so few stories cannot show how much others would differ."""

MIN_WRITTEN = 4
"""With fewer stories by the model than this, nothing good is said about how it writes."""

REPEATED_SHARE = 0.1
"""If at least this share of held-out text also occurs in training stories, bits per byte measure memorisation. Stories that
were written independently share far below 1 % of their text in passages of 50 characters."""

COPIED_SHARE = 0.02
"""A model that copies no more of its text than this, or than people do, is not said to copy."""

MIN_BITS_PER_BYTE = 0.6
"""A model of the sizes that are trained here cannot predict new prose this well."""

RECITED_SHARE = 0.05
"""A base model is said to have read the stories if it recites more of them than this; a proverb or a psalm is no proof."""

FOREIGN_BITS = 1.6
"""A base model that needs more bits per character of a language than this was hardly trained on it. English needs 1
to 1.3 bits with 100 million parameters or more, and multilingual models need no more for their languages."""

FEW_STEPS = 10
"""A training of fewer steps that did not help was too short, whatever else is wrong."""

MIN_ENDED = 0.2
"""If fewer of people's stories than this share end within the length limit, most are cut, and endings show nothing."""

USEFUL_DIFFERENCE = 0.5
"""A style classifier counts if the share of passages that it attributes to the author is this much higher for the
author's own than for others'."""

TOLERATED_WORDS, FEW_NON_WORDS = 1.25, 0.01
"""A model uses real words if it has at most so many times people's share of non-words, or at most this share."""

SMALL_MODEL = 50_000_000
"""Below this number of parameters a larger base model helps more than anything else."""


def judge(figures: EvaluationFigures) -> Verdict:
    """The verdict on the last model of an evaluation, which is compared with the first one."""
    outcome = find_outcome(figures)
    judges = (judge_style, judge_vocabulary, judge_endings, judge_repetition, judge_copying)
    of_stories = [aspect for each in judges for aspect in each(figures)]
    if has_few_stories(figures):  # which can show a fault, but not that there is none
        of_stories = [(learned, sentence) for learned, sentence in of_stories if not learned]
    # What a copy of the base writes, or a model that was tested on its training text, says nothing of the training.
    is_silent = outcome in ("untrained", "unchanged") or repeated_share(figures.human) > 0
    aspects = [] if is_silent else [*judge_voice(figures), *of_stories]
    return Verdict(
        outcome=outcome,
        is_evidence=is_evidence(figures, outcome),
        headline=write_headline(figures, outcome),
        doubts=find_doubts(figures),
        learned=[sentence for learned, sentence in aspects if learned],
        not_learned=[sentence for learned, sentence in aspects if not learned],
        advice=advise(figures, outcome),
    )


def describe_failure(num_steps: int, best_step: int) -> str | None:
    """A sentence about a training that changed nothing; None for one that did.

    Args:
        num_steps: steps that were done.
        best_step: step of the weights that became the model; 0 for those of the base model.
    """
    if num_steps == 0:
        return "Nothing was trained: the time ran out before the first step, so the model is a copy of its base model."
    if best_step == 0:
        return (
            f"Training did not help: in {count_steps(num_steps)} the model never predicted the held-out stories"
            " better than its base model, so it is a copy of its base model."
        )
    return None


def count_steps(num_steps: int) -> str:
    """ "1 step", "1,234 steps"."""
    return "1 step" if num_steps == 1 else f"{format_number(num_steps)} steps"


def find_outcome(figures: EvaluationFigures) -> Outcome:
    """Which of the outcomes it is."""
    last = figures.models[-1]
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


def is_evidence(figures: EvaluationFigures, outcome: Outcome) -> bool:
    """Whether the figures show that the model learned something that holds for new stories."""
    if outcome == "not compared":
        return True  # it makes no claim about a training
    return (
        outcome == "better"
        and figures.held_out.num_clusters >= MIN_CLUSTERS
        and not repeated_share(figures.human)
        and figures.models[-1].likelihood.bits_per_byte.value >= MIN_BITS_PER_BYTE
    )


def write_headline(figures: EvaluationFigures, outcome: Outcome) -> str:
    """The outcome in one sentence."""
    first, last = figures.models[0], figures.models[-1]
    failure = describe_failure(last.training.num_steps, last.training.best_step) if last.training else None
    if failure:
        return failure
    stories = f"the {count_stories(figures.held_out.num_stories, 'held-out')}"
    after = last.likelihood.bits_per_byte.value
    is_run = (first.name, last.name) == ("base", "tuned")
    model, base = ("the model", "its base model") if is_run else (last.name, first.name)
    if outcome == "not compared":
        return f"{last.name} predicts {stories} at {format_number(after, 3)} bits per byte."
    before = first.likelihood.bits_per_byte.value
    bits = f"{format_number(after, 3)} bits per byte instead of {format_number(before, 3)}"
    if outcome == "no better":
        return begin(f"{model} learned nothing that helps it predict {stories}: {bits}.")
    saved = 1 - after / before
    gain = (
        f"it predicts {stories} {format_percent(saved, 0 if saved >= 0.1 else 1)} better than {base} ({bits})"
    )
    if outcome == "uncertain":
        return begin(f"{model} may have learned from the stories, or the difference is chance: {gain}.")
    if not is_evidence(figures, outcome):
        return f"It is unclear whether {model} learned anything: {gain}, but that says nothing about new stories."
    return begin(f"{model} learned from the stories: {gain}.")


def begin(sentence: str) -> str:
    """The sentence with a capital where it begins with a common word; a model's name stays as it is."""
    return sentence.replace("the model", "The model", 1) if sentence.startswith("the model ") else sentence


def find_doubts(figures: EvaluationFigures) -> list[str]:
    """Reasons why the figures may mislead, one sentence each."""
    doubts = []
    last, num_clusters = figures.models[-1], figures.held_out.num_clusters
    bits, change = last.likelihood.bits_per_byte.value, last.likelihood.bits_per_byte_difference
    if repeated := repeated_share(figures.human):
        doubts.append(
            f"The figures measure memorisation: {format_percent(repeated, 0)} of the held-out text also occurs in training"
            " stories."
        )
    elif bits < MIN_BITS_PER_BYTE:
        doubts.append(
            f"{format_number(bits, 3)} bits per byte is too good for new prose: the held-out stories probably follow a"
            " template that the training stories also follow."
        )
    if known := doubt_novelty(figures.held_out):
        doubts.append(known)
    if is_foreign(figures):
        doubts.append(
            "The base model hardly knows the language of these stories"
            f" ({format_number(bits_per_character(figures), 2)} bits per character), so much of the gain comes from the language"
            " and not from the stories."
        )
    if num_clusters < FEW_CLUSTERS:
        doubts.append(f"Only {describe_few(figures.held_out)}, which is too few for a reliable figure.")
    if change and change.low is not None and change.high is not None and change.high < 0:
        least, most = -change.high, -change.low
        if most - least > -change.value:
            doubts.append(
                f"The size of the gain is uncertain: {format_number(least, 3)} to {format_number(most, 3)} bits per byte"
                " (95 % interval)."
            )
    if last.writing and has_few_stories(figures):
        doubts.append(
            f"The model wrote only {count_stories(last.writing.measures.num_stories)}, which is too few to say how"
            " it writes."
        )
    return doubts


def has_few_stories(figures: EvaluationFigures) -> bool:
    """Whether the model wrote stories, but too few."""
    writing = figures.models[-1].writing
    return writing is not None and writing.measures.num_stories < MIN_WRITTEN


def describe_few(held_out: HeldOutSummary) -> str:
    if held_out.num_stories < held_out.num_available:
        return f"{held_out.num_stories} of {held_out.num_available} held-out stories were scored"
    if held_out.num_clusters == 1:
        return "1 story was held out"
    return f"{held_out.num_clusters} stories were held out that are not near-duplicates"


def doubt_novelty(held_out: HeldOutSummary) -> str | None:
    """Whether the base model has read the stories, and why that matters."""
    if held_out.num_recited > RECITED_SHARE * held_out.num_stories:
        read = f"has read some of these stories: it recites passages of {format_number(held_out.num_recited)} of {format_number(held_out.num_stories)}"
    elif held_out.famous_authors:
        authors = ", ".join(held_out.famous_authors)
        read = f"has probably read these stories, which are in the public domain ({authors})"
    else:
        return None
    return f"The base model {read}. Stories that nobody has published are harder to predict."


def bits_per_character(figures: EvaluationFigures) -> float:
    """What the base model needs for a character of the held-out stories: unlike a byte the same in every script."""
    held_out = figures.held_out
    return (
        figures.models[0].likelihood.bits_per_byte.value
        * held_out.num_bytes
        / max(1, held_out.num_characters)
    )


def is_foreign(figures: EvaluationFigures) -> bool:
    """Whether the stories are in a language that the base model was not trained on."""
    return not figures.held_out.is_english and bits_per_character(figures) > FOREIGN_BITS


def repeated_share(human: Writing | None) -> float:
    """Share of held-out text that occurs in training stories, where it is large enough to matter; else 0."""
    share = human.memorisation.copied_share.value if human else 0.0
    return share if share >= REPEATED_SHARE else 0.0


Aspect = tuple[bool, str]
"""Whether the model writes like people in one respect, and a sentence about it."""


def judge_voice(figures: EvaluationFigures) -> list[Aspect]:
    """Whether training helped more with this author than with others; empty if there are too few stories to tell."""
    voice = figures.models[-1].voice
    if voice is None or figures.held_out.num_clusters < MIN_CLUSTERS:
        return []
    told = voice.told_apart
    pairs = f"{format_percent(told.value, 0)} of pairs (chance: {format_percent(0.5, 0)})"
    if lowest(told) > 0.5 and voice.difference.value > 0:
        return [
            (True, f"Voice: training helped it more with this author's story than with another's in {pairs}.")
        ]
    return [
        (
            False,
            "Voice: it did not learn this author in particular; training helped it more with this author's story than"
            f" with another's in {pairs}.",
        )
    ]


def judge_style(figures: EvaluationFigures) -> list[Aspect]:
    """Whether a classifier attributes the model's stories to the author; empty if it cannot distinguish authors."""
    found, own = figures.style, figures.models[-1].style
    if found is None or own is None or found.author.value - found.others.value < USEFUL_DIFFERENCE:
        return []
    shares = f"{format_percent(own.value, 0)} are attributed to the author, and {format_percent(found.author.value, 0)} of the author's own stories"
    is_like = highest(own) >= found.author.value and own.value >= 0.5
    how = "its stories have" if is_like else "its stories often lack"
    return [(is_like, f"Style: {how} the author's function words and punctuation ({shares}).")]


def judge_vocabulary(figures: EvaluationFigures) -> list[Aspect]:
    """Whether the model uses real words; silence where no word list has the language."""
    writing, human = figures.models[-1].writing, figures.human
    if writing is None or human is None:
        return []
    own, people = writing.measures.non_words, human.measures.non_words
    if own is None or people is None:
        return []
    shares = f"{format_percent(own)} of its words are in neither the training stories nor a word list, {format_percent(people)} of people's"
    most = max(TOLERATED_WORDS * people, FEW_NON_WORDS)
    if own <= most:
        return [(True, f"Vocabulary: it uses real words ({shares}).")]
    if own - 2 * math.sqrt(own / writing.measures.num_words) <= most:  # it may be chance (Poisson)
        return []
    return [(False, f"Vocabulary: it invents words ({shares}).")]


def judge_endings(figures: EvaluationFigures) -> list[Aspect]:
    """Whether the model's stories come to an end as often as people's; silence where people's hardly do so in the length
    that both are cut to."""
    writing, human = figures.models[-1].writing, figures.human
    if writing is None or human is None or not fits_endings(human):
        return []
    own, people = writing.measures.ended_share, human.measures.ended_share
    shares = f"{format_percent(own.value, 0)} end within the length allowed, {format_percent(people.value, 0)} of people's"
    if highest(own) < lowest(people):
        return [(False, f"Endings: fewer of its stories come to an end than of people's ({shares}).")]
    if own.value < people.value / 2:  # among so few stories that this shows nothing
        return []
    return [(True, f"Endings: its stories end as often as people's ({shares}).")]


def fits_endings(human: Writing) -> bool:
    """Whether people's stories end within the length that they are cut to often enough to say something of endings."""
    return human.measures.ended_share.value >= MIN_ENDED


def judge_repetition(figures: EvaluationFigures) -> list[Aspect]:
    """Whether the model's stories get stuck; empty if they do not."""
    writing, human = figures.models[-1].writing, figures.human
    if writing is None or human is None:
        return []
    looping = writing.measures.looping_share
    if lowest(looping) <= human.measures.looping_share.value:
        return []
    return [
        (
            False,
            f"Loops: {format_percent(looping.value, 0)} of its stories get stuck and repeat themselves.",
        )
    ]


def lowest(estimate: Estimate) -> float:
    """The lower bound, or the value where there is no interval."""
    return estimate.value if estimate.low is None else estimate.low


def highest(estimate: Estimate) -> float:
    """The upper bound, or the value where there is no interval."""
    return estimate.value if estimate.high is None else estimate.high


def judge_copying(figures: EvaluationFigures) -> list[Aspect]:
    """Whether the model copies no more than people do."""
    writing, human = figures.models[-1].writing, figures.human
    if writing is None or human is None:
        return []
    own, people = writing.memorisation.copied_share.value, human.memorisation.copied_share.value
    shares = f"{format_percent(own)} of its text is copied, {format_percent(people)} of people's"
    if copies_too_much(writing, human):
        return [(False, f"Own words: it repeats training stories word for word ({shares}).")]
    return [(True, f"Own words: it copies training stories no more than people do ({shares}).")]


def copies_too_much(writing: Writing, human: Writing) -> bool:
    """Whether a model copies more than people do, by more than chance."""
    own, people = writing.memorisation.copied_share, human.memorisation.copied_share
    return lowest(own) > max(COPIED_SHARE, highest(people))


def advise(figures: EvaluationFigures, outcome: Outcome) -> str | None:
    """The change that would help most, with its reason; None if nothing is known about a training."""
    last, human = figures.models[-1], figures.human
    training = last.training
    if outcome == "untrained":
        return "Give it more time (--max-minutes), because preparing the training used all of it."
    if repeated_share(human) or (
        figures.models[0] is not last and last.likelihood.bits_per_byte.value < MIN_BITS_PER_BYTE
    ):
        return "Remove text that the stories share, such as a template or boilerplate, because otherwise the figures cannot show what was learned."
    if (
        outcome in ("unchanged", "no better")
        and training
        and training.num_steps < FEW_STEPS
        and training.num_epochs < 1
    ):
        return f"Give it more time (--max-minutes), because {count_steps(training.num_steps)} can hardly change a model."
    if is_foreign(figures):
        return "Start from a base model that was trained on the language of the stories (--base), because this one has to learn it first."
    held_out = figures.held_out
    if held_out.num_clusters < FEW_CLUSTERS and held_out.num_stories == held_out.num_available:
        return "Add stories, because both the training and the figures need more of them."
    if outcome in ("unchanged", "no better"):
        return "Lower the learning_rate in the recipe or add stories, because this training makes the model worse."
    if last.writing and human and copies_too_much(last.writing, human):
        return "Add stories or train for fewer epochs, because the model has begun to memorise its training stories."
    if training is None:
        return None
    if last.num_parameters < SMALL_MODEL:
        size = f"{format_number(last.num_parameters / 1e6, 1)} million parameters"
        return f"Start from a larger base model (--base), because {size} are too few for coherent stories."
    if training.best_step < training.num_steps:
        return "Add stories, because the held-out stories were predicted best before training ended."
    if training.num_epochs > 0.99:
        return "Add stories, because training has read all of them, and the held-out ones were predicted better up to the end."
    return "Train for longer, because the held-out stories were predicted better up to the end."

"""The results that fabula keeps in files: one record for each kind, with functions to read and write it.

Code that computes a result fills in the record, and code that needs it loads the record, so that no key is written
twice.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from fabula.config import Record
from fabula.errors import FabulaError
from fabula.files import Manifest, read_json, write_json, write_jsonl
from fabula.generation.settings import SamplingSettings

RUN = "run.json"
METRICS = "metrics.json"
SAMPLES = "samples.jsonl"
TUNING = "tuning.json"
VOTES = "votes.jsonl"
LOG = "log.jsonl"
RECIPE_FILE = "recipe.toml"

CORPUS_RECORD = "corpus.json"
"""File name of the corpus's manifest beside a model that was published without its corpus."""

EXPORT = "export.json"
"""File name of the record of an export, in its folder."""

EXPORTS = "exports.json"
"""File name of the records of all exports of a model that was published without them."""


class Result(Record):
    """A record that is kept in a JSON file."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """The record in a file.

        Raises:
            FabulaError: there is no such file, it is not valid JSON, or it is not such a record.
        """
        value = read_json(path)
        try:
            return cls.of(value, path)
        except FabulaError as error:
            hint = error.hint or "if another version of fabula wrote it, make it anew in a new folder (--out)"
            raise FabulaError(error.what, where=path, hint=hint) from None

    @classmethod
    def of(cls, value: Any, where: str | Path = "", line: int | None = None) -> Self:
        """The record of a JSON value that was read from `where`.

        Raises:
            FabulaError: it is not such a record.
        """
        if not isinstance(value, dict):
            raise FabulaError("this is not a JSON object", where=where, line=line)
        try:
            return cls.parse(value, where=where)
        except FabulaError as error:
            raise FabulaError(error.what, where=where, line=line, hint=error.hint) from None

    @classmethod
    def load_optional(cls, path: Path) -> Self | None:
        """The record in a file, or None if there is no such file.

        Raises:
            FabulaError: the file is damaged.
        """
        return cls.load(path) if path.is_file() else None

    def save(self, path: Path) -> None:
        """Write the record, atomically."""
        write_json(path, self.model_dump(mode="json"))


def read_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Line number and value of each row of a JSON Lines file; nothing if there is no file.

    Raises:
        FabulaError: a row is not JSON (with its line).
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield number, json.loads(line)
            except ValueError:
                raise FabulaError("this row is not a JSON object", where=path, line=number) from None


# What cleaning and training leave in their manifests


class CleaningCounts(Record):
    """What cleaning did. Counts are of stories, unless a field says otherwise."""

    num_read: int
    num_kept: int
    num_dropped: dict[str, int]
    """By reason: "empty", "deleted", "exact_copy", "near_copy", or a filter's name."""
    num_removals: int
    """Pieces of text taken out of kept stories."""
    num_doubtful: int = 0
    """Of these, how many are doubtful: the review shows them first."""
    num_doubts: int = 0
    """Pieces of text that may be notes and were left in kept stories: the review asks about them."""
    removals_by_rule: dict[str, int]
    words_by_rule: dict[str, int]
    """Words that each rule took out."""
    words_removed: int
    """Words taken out of kept stories."""
    words_kept: int
    """Words left in kept stories."""
    repairs: dict[str, int]
    """Number of repairs, by name."""
    splits: dict[str, int]
    """By split."""
    format: str
    """The format of the stories, described for the user."""
    rule_set: str
    rule_set_reason: str
    """Why these rules were chosen."""
    num_left_out: dict[str, int] = Field(default_factory=dict)
    """What was not read, by reason; each has a row in the ledger."""
    median_words: int = 0
    """Median number of words of kept stories."""
    first_lines: tuple[str, ...] = ()
    """The first line of the first, the middle and the last kept story."""
    warnings: tuple[str, ...] = ()
    """What looks wrong about the stories as they were read."""


class CorpusCounts(CleaningCounts):
    """What the manifest of a corpus counts."""

    shards: dict[str, int]
    """Size in bytes of each file of stories, by its name."""
    content: str
    """Hash of the stories: equal for corpora with the same stories in the same splits and order."""


class TrainingCounts(Record):
    """What the manifest of a trained model counts."""

    num_steps: int
    """Optimiser steps."""
    num_tokens: int
    """Story tokens that were targets, counted again in each epoch."""
    num_parameters: int
    num_trained: int
    """Number of parameters that were trained."""
    padding: float
    """Fraction of the positions in the windows that held no story."""
    best_step: int
    """Step whose weights became the model; 0 for the base model's own."""
    val_loss: float
    """Cross-entropy of these weights on held-out stories, in nats per token."""
    bits_per_byte: float
    """Cross-entropy of these weights on the text of held-out stories."""
    base_val_loss: float
    base_bits_per_byte: float

    @property
    def is_base(self) -> bool:
        """Whether the model is the unchanged base, because no step made it better on held-out stories."""
        return self.best_step == 0


CorpusManifest = Manifest[CorpusCounts]
TrainingManifest = Manifest[TrainingCounts]


# log.jsonl


class TrainingRow(Result):
    """A row of `log.jsonl` about the steps since the last such row."""

    step: int
    """Optimiser steps done."""
    epoch: float
    seconds: float
    """Since the training began, interruptions not counted."""
    train_loss: float
    """In nats per target token."""
    learning_rate: float
    """Of the last of these steps."""
    tokens_per_second: float
    """Target tokens."""


class ValidationRow(Result):
    """A row of `log.jsonl` about a validation."""

    step: int
    """Optimiser steps done; 0 for the base model."""
    seconds: float
    """Since the training began, interruptions not counted."""
    val_loss: float
    """In nats per token."""
    bits_per_byte: float


LogRow = TrainingRow | ValidationRow


def parse_log_row(value: Any, where: str | Path = "", line: int | None = None) -> LogRow:
    """The record of a row of `log.jsonl`.

    Raises:
        FabulaError: it is not a row of the log.
    """
    is_validation = isinstance(value, dict) and "val_loss" in value
    return (ValidationRow if is_validation else TrainingRow).of(value, where, line)


@dataclass(frozen=True, slots=True)
class TrainingLog:
    """What `log.jsonl` records about a training.

    Attributes:
        steps, validations: ordered by step, one for each: a resumed training logs some steps again, and the last row
            counts.
        seconds: time that the training took, interruptions not counted; None if nothing was logged.
    """

    steps: list[TrainingRow]
    validations: list[ValidationRow]
    seconds: float | None

    @classmethod
    def of_rows(cls, rows: Iterable[LogRow]) -> Self:
        """The log with these rows."""
        steps: dict[int, TrainingRow] = {}
        validations: dict[int, ValidationRow] = {}
        seconds: float | None = None
        for row in rows:
            if isinstance(row, ValidationRow):
                validations[row.step] = row
            else:
                steps[row.step] = row
            seconds = max(seconds or 0.0, row.seconds)
        return cls(
            [steps[step] for step in sorted(steps)],
            [validations[step] for step in sorted(validations)],
            seconds,
        )

    @property
    def num_steps(self) -> int:
        """Optimiser steps that were logged."""
        return max((row.step for row in [*self.steps, *self.validations]), default=0)

    @property
    def tokens_per_second(self) -> float | None:
        """The median speed; None if no step was logged."""
        speeds = sorted(row.tokens_per_second for row in self.steps)
        return speeds[len(speeds) // 2] if speeds else None

    @property
    def best(self) -> ValidationRow | None:
        """The validation with the fewest bits per byte."""
        return min(self.validations, key=lambda row: row.bits_per_byte, default=None)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The log in a file; an empty one if there is no file.

        Raises:
            FabulaError: a row is damaged (with its line).
        """
        return cls.of_rows(parse_log_row(value, path, line) for line, value in read_rows(path))


# metrics.json


class Estimate(Record):
    """A figure with its 95 % interval. `low` and `high` are None where there are fewer than two clusters."""

    value: float
    low: float | None = None
    high: float | None = None


class HeldOutSummary(Record):
    """The stories that the models were scored on."""

    split: str
    num_stories: int
    num_available: int
    """Stories that could have been scored; where the time is limited, only some of them are."""
    num_clusters: int
    """Groups of near-duplicates; the unit that is resampled for the intervals."""
    num_words: int
    num_bytes: int
    """UTF-8 bytes without newlines."""
    num_characters: int
    """Without newlines."""
    is_english: bool
    famous_authors: list[str]
    """Bundled public-domain authors whose stories are in the corpus: base models were trained on them."""
    num_recited: int
    """Stories from which the first model recites a passage: it was trained on them."""


class TrainingSummary(Record):
    """The training of a model that was evaluated."""

    num_steps: int
    """Optimiser steps."""
    num_tokens: int
    """Story tokens that were targets, counted again in each epoch."""
    num_epochs: float
    """Passes over the training stories."""
    best_step: int
    """Step whose weights became the model; 0 for the base model's own."""
    seconds: float | None
    """Interruptions not counted."""


class Likelihood(Record):
    """One model on the held-out stories: sums over all of them, never means of batches."""

    bits_per_byte: Estimate
    perplexity_per_token: Estimate
    perplexity_per_word: Estimate
    """Words are separated by white space."""
    num_tokens: int
    num_bytes: int
    bits_per_byte_difference: Estimate | None
    """Difference from the first model, on the same resamples; None for the first model itself."""


class WritingMeasures(Record):
    """Measures of `num_stories` stories.

    Measures of single stories are means over stories. Measures of the whole set depend on its size, so they cover its
    first `num_words` words; sets are compared at the same number of words.
    """

    num_stories: int
    looping_share: Estimate
    """Share of stories that get stuck and repeat the same text over and over."""
    repeated_4grams: Estimate
    """Share of a story's word 4-grams that occurred earlier in it."""
    ended_share: Estimate
    """Share of stories that end by themselves, at the end of a sentence."""
    mean_words: Estimate
    num_words: int
    distinct_2: float | None
    """Distinct word pairs divided by all word pairs (Li et al. 2016)."""
    distinct_3: float | None
    compression_ratio: float | None
    """Bytes of the text divided by its bytes when compressed with DEFLATE: higher is more alike (Shaib et al. 2024)."""
    zipf_slope: float | None
    """Slope of log frequency over log rank of the words (Holtzman et al. 2020)."""
    self_bleu: float | None = None
    """Mean BLEU of a story against all others (Zhu et al. 2018): higher is more alike. None for fewer than two
    stories."""
    new_words: float | None = None
    """Share of the words that occur in no training story."""
    non_words: float | None = None
    """Share of the words that occur in no training story and in no list of the language's words."""


class Memorisation(Record):
    """How much a set of texts copies from the training stories."""

    num_stories: int
    copied_share: Estimate
    """Share of characters in passages of 50 characters or more that occur in a training story; a mean over texts."""
    copying_share: Estimate
    """Share of texts with at least one such passage."""
    mean_longest: Estimate
    """Characters of a text's longest copied passage; a mean over texts."""
    longest: int


class Writing(Record):
    """Measures of a set of stories, by a model or by people, and what they copy."""

    measures: WritingMeasures
    memorisation: Memorisation


class Voice(Record):
    """How much better than the first model a model predicts its author's stories, compared with stories by others."""

    num_passages: int
    """Beginnings of held-out stories by the author."""
    num_others: int
    """Beginnings of stories by others."""
    gain: Estimate
    """Bits per byte saved on the author's passages."""
    gain_on_others: Estimate
    """Bits per byte saved on others' passages; negative if they became harder to predict."""
    difference: Estimate
    """`gain` minus `gain_on_others`: what was learned about this author alone. Near 0 for a model of another author."""
    told_apart: Estimate
    """For random pairs of a passage by the author and one by somebody else: how often the author's gains more; 0.5 by
    chance."""


class Style(Record):
    """Reliability of the classifier of style (function words and punctuation): shares of passages that it attributes to
    the author."""

    author: Estimate
    """For held-out stories by the author."""
    others: Estimate
    """For stories by authors that it was not trained on: its mistakes."""


class OverusedPhrase(Record):
    """A phrase that a model writes much more often than the author."""

    phrase: str
    """In lower case."""
    num_written: int
    num_expected: float
    """How often it would occur in as many words of the training stories."""


class ModelEvaluation(Record):
    """All figures of one model."""

    name: str
    num_parameters: int
    context_length: int
    """Tokens in a window when held-out stories are scored."""
    stride: int
    """Tokens between the starts of two windows."""
    training: TrainingSummary | None = None
    """None for a model that fabula did not train."""
    likelihood: Likelihood
    notebook_loss: float | None
    """Validation loss as the notebook baseline counts it, markers and padding included; None in a shortened evaluation."""
    writing: Writing | None
    voice: Voice | None = None
    """None for the first model, and if it was not measured."""
    style: Estimate | None = None
    """Share of its stories that the classifier attributes to the author."""
    told_from_people: Estimate | None = None
    """How often a classifier over function words and punctuation tells its stories from held-out ones; 0.5 at best.
    None if there are fewer than 40 of either."""
    bits_per_byte_of_own_stories: float | None
    """Of the model's own stories, under the model itself. If it is far below the next figure, the model writes text
    that is too likely."""
    bits_per_byte_of_human_stories: float | None
    """Of held-out stories cut to the same length, under the model."""
    overused: tuple[OverusedPhrase, ...] = ()
    """Phrases that its samples use much more often than the training stories."""

    @property
    def perplexity_gap(self) -> float | None:
        """How many more bits per byte the model's own stories take than people's: 0 at best."""
        if self.bits_per_byte_of_own_stories is None or self.bits_per_byte_of_human_stories is None:
            return None
        return self.bits_per_byte_of_own_stories - self.bits_per_byte_of_human_stories


Outcome = Literal["untrained", "unchanged", "no better", "uncertain", "better", "not compared"]


class Verdict(Record):
    """What an evaluation says about its last model, in words."""

    outcome: Outcome
    """`untrained`: no step was taken. `unchanged`: no step improved on the base model, whose weights were kept.
    `uncertain`: better, but perhaps by chance. `not compared`: there is no base model to compare with."""
    is_evidence: bool
    """Whether the figures are evidence that the model learned something; if not, it is published only on request."""
    headline: str
    """The outcome in one sentence, with its figures."""
    doubts: list[str]
    """Why the figures may mislead, one sentence each."""
    learned: list[str]
    """In which aspects it writes as people do, one sentence each."""
    not_learned: list[str]
    """In which aspects it does not write as people do, one sentence each."""
    advice: str | None
    """What would help most next, and why."""

    @property
    def sentences(self) -> list[str]:
        """The whole verdict, most important first."""
        advice = [self.advice] if self.advice else []
        return [self.headline, *self.doubts, *self.learned, *self.not_learned, *advice]


class EvaluationFigures(Result):
    """The measurements of one or more models."""

    fingerprint: str
    """Fingerprint of everything that the figures depend on."""
    held_out: HeldOutSummary
    models: list[ModelEvaluation]
    """At least one. The others are compared with the first one."""
    human: Writing | None
    """The measures of writing, for held-out stories."""
    style: Style | None = None
    """How reliable the classifier of style is; None if there is none."""
    voice_missing: str | None = None
    """Why the voice was not measured; None if it was, or if there is no model to compare with."""
    settings: SamplingSettings | None
    """Of all stories."""
    opening_words: int
    """Words of a held-out story that serve as the prompt of every other written story; the rest have no prompt."""
    versions: dict[str, str]


class UnusualStory(Record):
    """A training story that the model predicts much worse than the others, or much better, after training on all."""

    id: str
    source: str
    source_line: int
    first_line: str
    bits_per_byte: float
    robust_z: float
    """Distance of the logarithm of its bits per byte from the median, in standard deviations (1.4826 times the median
    absolute deviation); above 0 it is harder to predict than the others."""


class LearningCurvePoint(Record):
    """A training on a part of the training stories."""

    num_stories: int
    num_words: int
    num_steps: int
    """Optimiser steps."""
    num_tokens: int
    """Story tokens that were targets, counted again in each epoch."""
    best_step: int
    """Step whose weights were scored; 0 for the base model's own."""
    bits_per_byte: Estimate
    """Of the held-out stories."""
    difference: Estimate | None
    """Difference from the training on all stories, on the same resamples; None for that one."""


class LearningCurve(Record):
    """Held-out bits per byte over the number of training stories, and the training stories that stand out."""

    fingerprint: str
    """Fingerprint of model, corpus, base, recipe and time limit."""
    num_held_out: int
    """Held-out stories that were scored."""
    points: list[LearningCurvePoint]
    """Fewest stories first; the last one is the training on all."""
    doubling: Estimate
    """Bits per byte that twice as many stories would save, extrapolated."""
    conclusion: str
    """What the curve says about more stories, in a sentence or two."""
    num_read: int
    """Training stories that were searched for unusual ones."""
    median_bits_per_byte: float
    """Of these stories, under the model that was trained on all."""
    unusual: list[UnusualStory]
    """The most unusual first."""


class Evaluation(EvaluationFigures):
    """What `metrics.json` holds."""

    verdict: Verdict
    learning_curve: LearningCurve | None = None
    """None if it was not asked for (`fabula evaluate --learning-curve`)."""

    def without_stories(self) -> Self:
        """The same without text of training stories."""
        if self.learning_curve is None:
            return self
        curve = self.learning_curve.model_copy(update={"unusual": []})
        return self.model_copy(update={"learning_curve": curve})


# samples.jsonl


FinishReason = Literal["end", "sentence", "length"]
"""Why a story ended: the model ended it ("end"); it reached `max_new_tokens` and ends with a whole sentence ("sentence"); it
reached `max_new_tokens` and was cut there, or, with `whole_sentences`, after the last whole word, because no sentence ended
in time ("length")."""


class WrittenStory(Result):
    """A story that a model wrote, and what it takes to write it again. `str()` is the prompt and the text."""

    index: int
    """Its number among the stories of one call, counted from 0."""
    prompt: str
    text: str
    """What the model wrote after the prompt; `prompt + text` is the story."""
    finish_reason: FinishReason
    num_tokens: int
    """Tokens drawn, including the one that ends the story."""
    seed: int
    settings: SamplingSettings
    engine: str

    def __str__(self) -> str:
        return self.prompt + self.text


class CopiedSpan(Record):
    """Characters `start` to `end` (exclusive) of a text occur in a training story, from its character `source_start`."""

    start: int
    end: int
    story_id: str
    source: str
    source_line: int
    title: str
    source_start: int
    before: str = ""
    """Characters before the passage in the training story."""
    after: str = ""


class Sample(WrittenStory):
    """A row of `samples.jsonl`: a story that a model wrote for its evaluation, and what it copies."""

    model: str
    """The model's name in the evaluation."""
    longest: int
    """Length of its longest passage that occurs in a training story, in characters."""
    spans: list[CopiedSpan]
    """Passages that count as copied, in order, without overlap."""


def read_samples(path: Path) -> list[Sample]:
    """The rows of `samples.jsonl`; empty if there is no file.

    Raises:
        FabulaError: a row is damaged (with its line).
    """
    return [Sample.of(value, path, line) for line, value in read_rows(path)]


def write_samples(path: Path, samples: Iterable[Sample], *, with_context: bool = True) -> None:
    """Write `samples.jsonl`.

    Args:
        with_context: whether to keep the text around a copied passage in the training story.
    """
    left_out: Any = None if with_context else {"spans": {"__all__": {"before", "after"}}}
    # The model comes first, so that a person who opens the file sees who wrote each story.
    rows = [{"model": sample.model, **sample.model_dump(mode="json", exclude=left_out)} for sample in samples]
    write_jsonl(path, rows)


# votes.jsonl


PEOPLE = "people"
"""Stands for the author of a passage that a person wrote."""


class Vote(Result):
    """A row of `votes.jsonl`: which of two passages, shown without names, a person chose."""

    question: Literal["better", "person"]
    """`better`: which one they would rather continue to read. `person`: which one a person wrote."""
    authors: tuple[str, str]
    """Who wrote the passages, in the order in which they were shown: names of models or runs, or `PEOPLE`."""
    passages: tuple[str, str]
    """What identifies each passage among those of its author: a story's id, or prompt and seed."""
    chosen: Literal[0, 1] | None
    """Index of the chosen passage; None if the person saw no difference."""
    fingerprint: str
    """Fingerprint of what was compared: votes about other models or stories do not count."""


def read_votes(path: Path, fingerprint: str) -> list[Vote]:
    """The votes in a file with this fingerprint; empty if there is no file.

    Raises:
        FabulaError: a row is damaged (with its line).
    """
    votes = (Vote.of(value, path, line) for line, value in read_rows(path))
    return [vote for vote in votes if vote.fingerprint == fingerprint]


def add_vote(path: Path, vote: Vote) -> None:
    """Append a row to a file of votes; the file is created if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(vote.model_dump(mode="json"), ensure_ascii=False) + "\n")


# tuning.json


class TuningFigures(Record):
    """The measures by which a set of stories is compared with people's; see `WritingMeasures`."""

    looping_share: float | None
    repeated_4grams: float | None
    ended_share: float | None
    mean_words: float | None
    distinct_2: float | None
    distinct_3: float | None
    compression_ratio: float | None
    zipf_slope: float | None
    unknown_words: float | None
    """Share of the words that occur in no training story."""
    non_words: float | None
    """Share of the words that occur in no training story and in no word list of the language; None if there is no
    list."""
    unknown_pairs: float | None
    """Share of the pairs of known words that occur in no training story."""
    perplexity_gap: float | None
    """How many more bits per byte the stories take under the model than people's."""
    coherence: float | None
    """How many fewer bits per byte the second halves of stories take when the model has read the first halves."""


class Candidate(Record):
    """Sampling settings that were tried."""

    sampler: str
    settings: SamplingSettings
    figures: TuningFigures
    deviations: dict[str, float]
    """Distance of each figure from people's, in standard deviations over sets of people's stories of the same size."""
    distance: float
    """The root mean square of the deviations."""
    copied_share: float


class Tuning(Result):
    """What `tuning.json` holds."""

    fingerprint: str
    candidates: list[Candidate]
    chosen: int
    """Index of the candidate that was chosen: see `choose` in evaluation/tune.py."""
    copied_limit: float
    """Share of text in copied passages that a candidate may not exceed."""
    human: TuningFigures
    """People's figures, at the size of the largest sets that were compared."""
    human_copied_share: float
    num_stories: int
    """Stories that were written with each candidate."""
    max_new_tokens: int

    @property
    def best(self) -> Candidate:
        """The candidate that was chosen."""
        return self.candidates[self.chosen]


# run.json


class RunArguments(Record):
    """The arguments of one run. Two runs with the same arguments share a folder."""

    stories: str | tuple[str, ...] | None
    """One input or several; None for the bundled sample stories."""
    base: str
    """Empty for a published model whose base was not recorded."""
    recipe: str
    seed: int
    max_minutes: float | None
    decisions: str | None = None
    """A file of reviewed decisions for cleaning."""
    format: str | None
    column: str | None
    split_at: str | None
    encoding: str | None
    prompt_column: str | None = None
    force: bool = False


class EvaluationSizes(Result):
    """The sizes to which the evaluation is fitted in a run with a time limit."""

    num_settings: int
    """Settings tried for each sampler; 0 if no time was left for tuning."""
    num_samples: int
    """Stories that each model wrote."""
    max_new_tokens: int
    """Limit on their length, in tokens."""
    max_stories: int
    """Held-out stories that were scored."""
    num_others: int
    """Stories by other authors that the author's were compared with; 0 if no time was left for that."""


class Speeds(Result):
    """Measured speeds of a base model on a machine."""

    load_seconds: float
    """Time to load it for writing and for scoring."""
    step_seconds: float
    """Time to write one token of each of `BATCH_SIZE` stories."""
    tokens_per_second: float
    """Tokens that it scores per second."""
    tokens_per_byte: float
    """Tokens per UTF-8 byte of the stories' text."""
    context_length: int
    """Largest window that it scores, in tokens."""
    num_parameters: int
    num_embedded: int
    """Parameters of the embeddings."""
    model_type: str
    """The architecture, as the base's config.json names it."""


class RunPlan(Result):
    """What was measured, predicted and decided before the training of a run, so that a resumed run decides the same."""

    speeds: Speeds
    train_minutes: float | None
    """Limit on the time of training; None if the run has none."""
    seconds: dict[str, float]
    """Predicted time of each stage, in order."""
    memory_gb: float
    """Predicted peak memory of training, in GB."""


class RunRecord(Result):
    """What `run.json` holds."""

    name: str
    arguments: RunArguments
    command: str | None = None
    """The command line that repeats the run; None for a published model, since the command would name paths."""
    versions: dict[str, str]
    plan: RunPlan | None = None
    """None if the run has no time limit."""
    evaluation: EvaluationSizes | None = None
    """The sizes of the evaluation, if the run had a time limit."""


# export.json


class ExportRecord(Result):
    """What `fabula export` measured: how close an export is to the original."""

    weights: list[str]
    """Identifies the original's weights."""
    format: str
    quantization: str
    files: dict[str, int]
    """Size of each file in bytes, by its path in the folder."""
    text: str
    """What the figures were measured on."""
    num_places: int
    kl: float
    """Divergence from the original's distribution of the next token, in nats per token."""
    greedy_agreement: float
    bits_per_byte: float
    bits_per_byte_lost: float
    share_lost: float
    """The larger of the measured loss and the loss that the divergence predicts."""
    max_loss: float
    versions: dict[str, str]

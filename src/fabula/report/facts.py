"""Facts about a model in words, for its page and its card."""

import re
from typing import Any

from pydantic import Field

from fabula.config import Record
from fabula.formatting import count_stories, format_estimate, format_number
from fabula.generation.settings import SamplingSettings
from fabula.models.bases import ATTRIBUTION, TINY
from fabula.models.records import ModelRecords
from fabula.results import CorpusCounts, Evaluation, ExportRecord

MAX_OWN_OPENINGS = 3
MAX_OPENINGS = 6

WHOLE_SENTENCES = re.compile(r".*[.!?…][”\"’')]*(?=\s|$)")

OPENINGS = (
    "Once upon a time,",
    "The letter arrived eleven years late.",
    "Nobody in the village had ever opened the blue door,",
    "On the last night of the fair",
    "When the tide went out, it left behind",
    "“You were never meant to find this,” she said,",
)

FORMAT_NAMES = {"gguf": "GGUF", "ctranslate2": "CTranslate2", "onnx": "ONNX"}


class Section(Record):
    """Facts about one side of a model, each a label and a text."""

    title: str
    facts: list[tuple[str, str]]


class PageData(Record):
    """What the page needs to know of a model; its JavaScript reads it as JSON."""

    name: str
    settings: dict[str, Any]
    """The model's own sampling settings."""
    limits: dict[str, Any]
    """`max_prompt_chars` and `max_new_tokens` at least."""
    openings: list[str] = Field(default_factory=list)
    about: list[Section] = Field(default_factory=list)
    copies: bool
    """Whether copied passages can be found."""

    @classmethod
    def of(
        cls, records: ModelRecords, settings: SamplingSettings, limits: dict[str, Any], *, copies: bool
    ) -> "PageData":
        """The page's data about a model, from its records."""
        return cls(
            name=records.name,
            settings=settings.model_dump(exclude={"memory", "note", "following", "story_prompt"}),
            limits=limits,
            openings=openings(records),
            about=describe(records),
            copies=copies,
        )


def describe(records: ModelRecords) -> list[Section]:
    """Facts about a model for a reader, from its records only."""
    sections = [
        Section(title="Verdict", facts=verdict_facts(records)),
        Section(title="The model", facts=model_facts(records)),
        Section(
            title="What it was trained on",
            facts=corpus_facts(records.corpus.counts) if records.corpus else [],
        ),
        Section(title="How well it predicts such stories", facts=likelihood_facts(records)),
        Section(title="What it writes", facts=writing_facts(records.metrics) if records.metrics else []),
        Section(title="In other programs", facts=export_facts(records.exports)),
    ]
    return [section for section in sections if section.facts]


def openings(records: ModelRecords) -> list[str]:
    """A few beginnings to continue: those of held-out stories that the model was tested with, then common ones."""
    prompts = (row.prompt.strip().partition("\n")[0] for row in records.samples if row.prompt.strip())
    # An opening stops after a number of words; where a sentence ends before that, the rest is left out.
    own = dict.fromkeys(
        match.group() if (match := WHOLE_SENTENCES.match(prompt)) else prompt for prompt in prompts
    )
    return [*list(own)[:MAX_OWN_OPENINGS], *OPENINGS][:MAX_OPENINGS]


def verdict_facts(records: ModelRecords) -> list[tuple[str, str]]:
    """The verdict on the model's training."""
    if records.metrics is None:
        return []
    verdict = records.metrics.verdict
    parts = [
        ("Result", [verdict.headline]),
        ("Limits", verdict.doubts),
        ("Like people", verdict.learned),
        ("Unlike people", verdict.not_learned),
    ]
    return [(label, " ".join(sentences)) for label, sentences in parts if sentences]


def model_facts(records: ModelRecords) -> list[tuple[str, str]]:
    """The type of the model, and how it was made."""
    facts = [("Architecture", str(records.config.get("model_type", "")))]
    if records.num_parameters:
        facts.append(("Parameters", f"{format_number(records.num_parameters / 1e6, 1)} million"))
    context = records.config.get("n_positions") or records.config.get("max_position_embeddings")
    if context:
        facts.append(("Context", f"{format_number(context)} tokens; it sees only the end of a longer story"))
    if training := records.training:
        init = training.inputs.get("init")
        facts.append(("Base model", f"random weights ({init})" if init else _name_base(records.base)))
        counts = training.counts
        facts.append(
            (
                "Training",
                f"{format_number(counts.num_steps)} steps, {format_number(counts.num_tokens)} tokens",
            )
        )
        versions = ", ".join(f"{name} {version}" for name, version in training.versions.items())
        facts.append(("Made with", versions))
    return facts


def _name_base(base: str | None) -> str:
    if base == TINY:
        return f"{TINY}, the small model that comes with fabula (CC-BY-4.0; {ATTRIBUTION} names the authors of its stories)"
    return base or "not recorded"


def corpus_facts(counts: CorpusCounts) -> list[tuple[str, str]]:
    """The contents of a corpus, and what was removed from it."""
    shown = {"train": "{} for training", "validation": "{} held out for evaluation"}
    splits = [
        shown.get(name, f"{{}} for {name}").format(format_number(number))
        for name, number in counts.splits.items()
    ]
    facts = [("Stories", ", ".join(splits)), ("Words", format_number(counts.words_kept))]
    if counts.words_removed:
        facts.append(
            (
                "Removed",
                f"{format_number(counts.words_removed)} words that are not part of a story, in"
                f" {format_number(counts.num_removals)} places",
            )
        )
    if counts.num_dropped:
        reasons = [f"{format_number(number)} stories ({why})" for why, number in counts.num_dropped.items()]
        facts.append(("Left out", ", ".join(reasons)))
    return facts


def likelihood_facts(records: ModelRecords) -> list[tuple[str, str]]:
    """How well the model predicts held-out stories, and how well its base did."""
    if records.tuned is None or records.metrics is None:
        return []
    likelihood = records.tuned.likelihood
    stories = count_stories(records.metrics.held_out.num_stories)
    facts = [
        ("Measured on", f"{stories} that it was not trained on"),
        ("Bits per byte", format_estimate(likelihood.bits_per_byte)),
    ]
    if records.before is not None:
        facts.append(("Before training", format_estimate(records.before.likelihood.bits_per_byte)))
    facts.append(("Perplexity per token", format_estimate(likelihood.perplexity_per_token, 1)))
    return facts


def writing_facts(metrics: Evaluation) -> list[tuple[str, str]]:
    """Facts about the stories of the last model."""
    writing = metrics.models[-1].writing
    if writing is None:
        return []
    measures, memorisation = writing.measures, writing.memorisation
    copied = f"{format_estimate(memorisation.copied_share, percent=True)} of what it writes"
    if metrics.human is not None:
        by_people = format_estimate(metrics.human.memorisation.copied_share, percent=True)
        copied += f"; held-out stories by people: {by_people}"
    return [
        ("Measured on", f"{format_number(measures.num_stories)} stories that it wrote"),
        ("Ended by the model", format_estimate(measures.ended_share, percent=True)),
        ("Caught in a loop", format_estimate(measures.looping_share, percent=True)),
        ("Copied from training stories", copied),
        ("Longest copied passage", f"{format_number(memorisation.longest)} characters"),
    ]


def export_facts(exports: list[ExportRecord]) -> list[tuple[str, str]]:
    """What each export lost, as measured in the program that it is for."""
    return [
        (
            f"{FORMAT_NAMES[each.format]}, {each.quantization}",
            f"KL from the original {each.kl:.5f} nats per token, the same most likely token"
            f" at {100 * each.greedy_agreement:.1f} %, bits per byte {each.bits_per_byte:.4f}"
            f" {each.bits_per_byte_lost:+.4f}; at {each.num_places:,} positions in {each.text}",
        )
        for each in exports
    ]


def state_settings(settings: SamplingSettings) -> str:
    """The settings that have an effect: "temperature 0.8, top_p 0.9"."""
    parts = [f"temperature {settings.temperature:g}"]
    if settings.top_k:
        parts.append(f"top_k {settings.top_k}")
    if settings.top_p < 1:
        parts.append(f"top_p {settings.top_p:g}")
    if settings.min_p:
        parts.append(f"min_p {settings.min_p:g}")
    if settings.repetition_penalty != 1:
        parts.append(f"repetition_penalty {settings.repetition_penalty:g}")
    return ", ".join(parts)

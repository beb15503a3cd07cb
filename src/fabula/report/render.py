"""The report page of a run, `report.html`, made from the files in the run's folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabula.corpus.ledger import DroppedRow, RemovalRow
from fabula.corpus.store import LEDGER, Corpus
from fabula.errors import FabulaError
from fabula.evaluation.verdict import fits_endings, has_few_stories
from fabula.evaluation.votes import describe_guesses
from fabula.files import MANIFEST, Manifest, atomic_file, fingerprint, hash_path, library_versions
from fabula.formatting import format_number, format_percent, shorten
from fabula.report.pages import MEASURES, TEMPLATES, environment, nearest_to_people
from fabula.report.terms import TERMS
from fabula.results import (
    LOG,
    METRICS,
    RECIPE_FILE,
    RUN,
    SAMPLES,
    TUNING,
    VOTES,
    CopiedSpan,
    CorpusCounts,
    CorpusManifest,
    Evaluation,
    RunRecord,
    Sample,
    TrainingLog,
    Tuning,
    read_samples,
    read_votes,
)

REPORT = "report.html"
HEAD_BYTES = 1000
"""Number of bytes at the beginning of a report that contain the hash of its inputs."""

NUM_PAIRS = 4
"""Number of prompts whose stories are shown."""

NUM_EXAMPLES = 3
"""Removals shown for each cleaning rule."""

EXAMPLE_CHARS = 220

NUM_HIGHLIGHTS = 4

BEGINNING_CHARS = 560
"""Characters of each story of the pair at the top."""


def render(folder: str | Path) -> Path:
    """Write `report.html` into a run's folder, or one that `evaluate` wrote to. Parts without a file are left out.

    Where the report is there already and nothing that it shows has changed, it stays as it is.

    Returns:
        The report's path.

    Raises:
        FabulaError: the folder holds neither a run nor an evaluation, or one of its files is damaged.
    """
    folder = Path(folder)
    report = folder / REPORT
    made_of = fingerprint_of(folder)
    if report.is_file():
        with report.open("rb") as file:
            if f'content="{made_of}"'.encode() in file.read(HEAD_BYTES):
                return report
    page = environment().get_template("report.html").render(**gather(folder), made_of=made_of)
    with atomic_file(report) as file:
        file.write(page)
    return report


def fingerprint_of(folder: Path) -> str:
    """Of all that a report on `folder` is made of: its name, the files that `gather` reads, and this package."""
    corpus, model = folder / "corpus", folder / "model"
    files = [
        *(folder / name for name in (RUN, METRICS, SAMPLES, TUNING, VOTES)),
        *(model / name for name in (MANIFEST, LOG, RECIPE_FILE)),
        *(corpus / name for name in (MANIFEST, LEDGER)),
        TEMPLATES,
        *sorted(Path(__file__).parent.glob("*.py")),
    ]
    hashes = [hash_path(path) if path.exists() else None for path in files]
    return fingerprint([folder.resolve().name, hashes, library_versions("jinja2")])


def gather(folder: Path) -> dict[str, Any]:
    """Everything that the template shows."""
    from fabula.report.charts import (
        chart_learning_curve,
        chart_likelihood,
        chart_training,
        chart_tuning,
        colours,
    )

    metrics = Evaluation.load_optional(folder / METRICS)
    run = RunRecord.load_optional(folder / RUN)
    if metrics is None and run is None:
        raise FabulaError(
            "this folder holds neither a run nor an evaluation",
            where=folder,
            hint="make one with: fabula run",
        )
    tuning = Tuning.load_optional(folder / TUNING)
    log = TrainingLog.load(folder / "model" / LOG)
    recipe = folder / "model" / RECIPE_FILE
    names = [model.name for model in metrics.models] if metrics else []
    shades = colours(len(names))
    pairs, sources = pair_samples(read_samples(folder / SAMPLES), dict(zip(names, shades, strict=True)))
    authors = [*(model.writing for model in metrics.models), metrics.human] if metrics else []
    curve = metrics.learning_curve if metrics else None
    return {
        "name": run.name if run else folder.resolve().name,
        "run": run,
        "metrics": metrics,
        "cleaning": summarise_cleaning(folder / "corpus"),
        "training": log if log.seconds is not None else None,
        "figures": {
            **chart_training(log),
            **({"likelihood": chart_likelihood(metrics)} if metrics else {}),
            **(chart_tuning(tuning) if tuning else {}),
            **({"learning_curve": chart_learning_curve(curve)} if curve else {}),
        },
        "first": pairs[0] if pairs else None,
        "pairs": pairs,
        "sources": sources,
        "tuning": tuning,
        "recipe": recipe.read_text(encoding="utf-8") if recipe.is_file() else None,
        "measures": MEASURES,
        "terms": TERMS,
        "nearest": nearest_to_people(metrics) if metrics else {},
        "memories": [author.memorisation for author in authors if author],
        "colours": shades,
        "verdict": metrics.verdict if metrics else None,
        "guesses": describe_guesses(read_votes(folder / VOTES, metrics.fingerprint)) if metrics else None,
        "highlights": highlights(metrics) if metrics else [],
        "provenance": provenance(folder, run, metrics),
    }


@dataclass(frozen=True, slots=True)
class Example:
    """A removal, or the beginning of a story that was left out."""

    text: str
    source: str
    source_line: int


@dataclass(slots=True)
class RuleSummary:
    """The removals of one cleaning rule."""

    rule: str
    description: str
    num_removals: int
    num_words: int
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CleaningSummary:
    """The result of cleaning, with examples.

    Attributes:
        rules: those that took out most words come first.
        dropped: by reason, the first stories that were left out.
    """

    counts: CorpusCounts
    rules: list[RuleSummary]
    dropped: dict[str, list[Example]]


def summarise_cleaning(corpus: Path) -> CleaningSummary | None:
    """Counts from the corpus's manifest, rule by rule, with the first removals of each."""
    manifest = CorpusManifest.find(corpus)
    if manifest is None:
        return None
    from fabula.corpus.boilerplate import RULES

    counts = manifest.counts
    rules = {
        rule: RuleSummary(rule, RULES.get(rule, ""), number, counts.words_by_rule[rule])
        for rule, number in counts.removals_by_rule.items()
    }
    dropped: dict[str, list[Example]] = {reason: [] for reason in counts.num_dropped}
    for row in Corpus(corpus, manifest).ledger():
        if not isinstance(row, RemovalRow | DroppedRow):
            continue
        examples = rules[row.rule].examples if isinstance(row, RemovalRow) else dropped[row.dropped]
        if len(examples) < NUM_EXAMPLES:
            text = shorten(" ".join((row.text or "").split()), EXAMPLE_CHARS)
            examples.append(Example(text, row.source, row.source_line))
    return CleaningSummary(counts, sorted(rules.values(), key=lambda rule: -rule.num_words), dropped)


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that a shown story copies, and where it comes from."""

    span: CopiedSpan
    passage: str


@dataclass(frozen=True, slots=True)
class ShownStory:
    """A story that a model wrote.

    Attributes:
        segments: its text in pieces; what is copied comes with the number of its source.
    """

    sample: Sample
    segments: list[tuple[str, int | None]]
    colour: str

    @property
    def beginning(self) -> str:
        """The first lines of what the model wrote, cut after a whole word."""
        text = self.sample.text if self.sample.prompt else self.sample.text.lstrip()
        return shorten(re.sub(r"\n\s*", "\n", text), BEGINNING_CHARS)


@dataclass(frozen=True, slots=True)
class Pair:
    """The stories of several models for the same prompt and seed."""

    prompt: str
    seed: int
    stories: list[ShownStory]


def pair_samples(
    samples: Sequence[Sample], colours: dict[str, str], num_pairs: int = NUM_PAIRS
) -> tuple[list[Pair], list[Source]]:
    """Stories to the same prompt and seed side by side, and the sources of what they copy, numbered from 1.

    Args:
        colours: the models' colours, by their names, in the order of the columns.
    """
    sources: list[Source] = []
    groups: dict[tuple[str, int], list[Sample]] = {}
    for row in samples:
        if row.model in colours:
            groups.setdefault((row.prompt, row.seed), []).append(row)
    columns = list(colours)
    pairs = []
    for (prompt, seed), rows in list(groups.items())[:num_pairs]:
        rows = sorted(rows, key=lambda row: columns.index(row.model))
        stories = [ShownStory(row, mark_copies(row, sources), colours[row.model]) for row in rows]
        pairs.append(Pair(prompt, seed, stories))
    return pairs, sources


def mark_copies(sample: Sample, sources: list[Source]) -> list[tuple[str, int | None]]:
    """The text in pieces; what is copied comes with the number of its source, which is added to `sources`."""
    text = sample.text
    segments: list[tuple[str, int | None]] = []
    position = 0
    for span in sample.spans:
        sources.append(Source(span, text[span.start : span.end]))
        segments += [(text[position : span.start], None), (text[span.start : span.end], len(sources))]
        position = span.end
    return [*segments, (text[position:], None)]


@dataclass(frozen=True, slots=True)
class Highlight:
    """One of the few figures at the top."""

    figure: str
    meaning: str


def highlights(metrics: Evaluation) -> list[Highlight]:
    """The most important figures of the last model."""
    first, last, human = metrics.models[0], metrics.models[-1], metrics.human
    scores, before = last.likelihood.bits_per_byte, first.likelihood.bits_per_byte
    bits = format_number(scores.value, 3)
    if last is first:
        found = [Highlight(bits, "bits per byte for new stories")]
    else:
        saved = 1 - scores.value / before.value
        found = [
            Highlight(
                format_percent(abs(saved), 0 if abs(saved) >= 0.1 else 1),
                f"{'more' if saved < 0 else 'fewer'} bits per byte for new stories: {bits} instead of"
                f" {format_number(before.value, 3)}{'' if metrics.verdict.is_evidence else ' (not evidence; see above)'}",
            )
        ]
    if last.voice and last.voice.told_apart.low is not None:
        found.append(
            Highlight(
                format_percent(last.voice.told_apart.value, 0),
                "of the time training helped more with this author's story than with another's (chance:"
                f" {format_percent(0.5, 0)})",
            )
        )
    if human and last.writing and not has_few_stories(metrics):
        own, people = last.writing.measures, human.measures
        copied, by_people = (each.memorisation.copied_share.value for each in (last.writing, human))
        if fits_endings(human):
            found.append(
                Highlight(
                    format_percent(own.ended_share.value, 0),
                    f"of its stories end within the length limit (people's: {format_percent(people.ended_share.value, 0)})",
                )
            )
        found += [
            Highlight(
                format_percent(copied),
                f"of its text is copied (people's: {format_percent(by_people)})",
            ),
            Highlight(
                format_percent(own.looping_share.value, 0),
                f"of its stories get stuck in a loop (people's: {format_percent(people.looping_share.value, 0)})",
            ),
            Highlight(
                format_percent(own.new_words),
                f"of its words occur in no training story (people's: {format_percent(people.new_words)})",
            )
            if own.non_words is None
            else Highlight(
                format_percent(own.non_words),
                f"of its words are in neither the training stories nor a word list (people's: {format_percent(people.non_words)})",
            ),
        ]
    return found[:NUM_HIGHLIGHTS]


def provenance(folder: Path, run: RunRecord | None, metrics: Evaluation | None) -> list[tuple[str, str]]:
    """The versions and hashes that are needed to reproduce the run."""
    rows = []
    versions = {**(metrics.versions if metrics else {}), **(run.versions if run else {})}
    if versions:
        rows.append(
            ("Versions", ", ".join(f"{name} {version}" for name, version in sorted(versions.items())))
        )
    for part in ("corpus", "model"):
        if manifest := Manifest.find(folder / part):
            rows.append((f"Fingerprint of {part}", manifest.fingerprint))
            rows += [
                (f"Hash of {role}, as {part} read it", digest) for role, digest in manifest.inputs.items()
            ]
    if metrics:
        rows.append(("Fingerprint of the evaluation", metrics.fingerprint))
    return rows

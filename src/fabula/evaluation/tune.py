"""Choice of sampling settings by measurement: those whose stories are most like people's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fabula.corpus.store import Corpus, open_corpus
from fabula.errors import FabulaError
from fabula.evaluation.coherence import coherence_bits
from fabula.evaluation.known_words import KNOWN_CHARACTERS, KnownWords
from fabula.evaluation.likelihood import sum_scores
from fabula.evaluation.memorisation import find_copied_passages, measure_memorisation
from fabula.evaluation.models import LoadedModels, Scorer, hashes_of, model_folder
from fabula.evaluation.options import TuningOptions
from fabula.evaluation.people import MAX_NON_WORDS, ONE_SIDED, PeoplesStories
from fabula.evaluation.stories import (
    MAX_HUMAN_STORIES,
    HumanStory,
    choose_prompts,
    cut_stories,
    held_out_stories,
)
from fabula.evaluation.writing import measure_story
from fabula.files import fingerprint, library_versions, read_json, write_json
from fabula.generation.settings import GENERATION_CONFIG, SamplingSettings
from fabula.progress import OnProgress, Progress, silent
from fabula.results import TUNING, Candidate, Tuning, WrittenStory
from fabula.story import Story

SAMPLERS: dict[str, list[dict[str, float]]] = {
    "temperature": [{"temperature": t} for t in (0.6, 0.7, 0.5, 0.8, 0.9, 1.0)],
    "top_k": [
        {"top_k": k, "temperature": t}
        for k, t in ((50, 0.6), (20, 0.7), (50, 0.7), (50, 0.8), (20, 0.9), (100, 1))
    ],
    "top_p": [
        {"top_p": p, "temperature": t}
        for p, t in ((0.9, 0.7), (0.95, 0.7), (0.9, 0.6), (0.9, 0.8), (0.95, 0.8), (0.8, 1))
    ],
    "min_p": [
        {"min_p": p, "temperature": t}
        for p, t in ((0.1, 0.6), (0.05, 0.7), (0.1, 0.8), (0.05, 0.8), (0.1, 1), (0.2, 1))
    ],
    "repetition_penalty": [
        {"repetition_penalty": r, "top_p": 0.95, "temperature": t}
        for r, t in ((1.1, 0.6), (1.15, 0.5), (1.05, 0.6), (1.15, 0.6), (1.05, 0.8), (1, 0.8))
    ],
}
"""What is tried of each sampler, the safest first, since a run with little time tries only these. What is not named is switched off,
but for `PENALTY`. Temperatures above 0.8 are few: in blind readings (docs/writing.md) 0.6 read better than 0.8."""

PENALTY, PENALISED_TEMPERATURE = 1.1, 0.8
"""The repetition penalty that is tried with temperatures up to this one: without it, passages repeat themselves
(docs/writing.md)."""

SHORT_TUNING = TuningOptions(num_settings=3, num_stories=8, max_new_tokens=100)
"""The tuning that is part of a run: at most 12,000 tokens."""

UNTUNED = SamplingSettings(temperature=0.6, top_p=0.95, repetition_penalty=1.1)
"""What a model writes with where a run has no time for tuning, or too few stories. A model that has trained for minutes
wanders at higher temperatures (docs/writing.md), and repeats itself at this one without the penalty."""

MIN_PEOPLE = 4
"""Held-out stories that it takes to say how much people's stories differ."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that determines the choice.

    Attributes:
        people: held-out stories.
        tried: sampler and settings of each candidate.
    """

    folder: Path
    corpus: Corpus
    people: list[Story]
    options: TuningOptions
    tried: list[tuple[str, SamplingSettings]]

    @property
    def fingerprint(self) -> str:
        hashes = hashes_of(self.folder)
        return fingerprint(
            {
                "model": {name: value for name, value in hashes.items() if name != GENERATION_CONFIG},
                "corpus": self.corpus.fingerprint,
                "options": self.options.model_dump(mode="json"),
                "tried": [settings.model_dump(mode="json") for _, settings in self.tried],
                "known": [KNOWN_CHARACTERS, MAX_NON_WORDS, *sorted(ONE_SIDED)],
                "versions": library_versions("torch", "transformers", "tokenizers", "numpy", "simplemma"),
            }
        )


def tune(
    model: str | Path,
    corpus: str | Path,
    *,
    out: str | Path | None = None,
    options: TuningOptions | None = None,
    loaded: LoadedModels | None = None,
    on_progress: OnProgress = silent,
) -> Tuning:
    """Try sampling settings, the same number for each sampler, and save those with which the model writes most like
    people.

    The settings go into the model's `generation_config.json`, where `write` and every other tool finds them. Where `out`
    holds the result of the same model, corpus and options, it is read back.

    Args:
        model: a model's folder.
        corpus: a folder that `clean` made.
        out: a folder for `tuning.json`; None for the model's.
        options: None for the defaults.
        loaded: models that may be loaded already.

    Raises:
        FabulaError: no such model or corpus, or fewer than `MIN_PEOPLE` stories in the split.
    """
    plan = make_plan(model, corpus, options or TuningOptions())
    mark = plan.fingerprint
    record = Path(out if out is not None else plan.folder) / TUNING
    tuning = finished_tuning(record, mark)
    if tuning is None:
        tuning = compare_settings(plan, mark, loaded or LoadedModels(on_progress), on_progress)
        record.parent.mkdir(parents=True, exist_ok=True)
        tuning.save(record)
    apply_settings(plan.folder, tuning.best.settings)
    return tuning


def make_plan(model: str | Path, corpus: str | Path, options: TuningOptions) -> Plan:
    """Find the model and people's stories.

    Raises:
        FabulaError: as for `tune`.
    """
    source = open_corpus(corpus)
    people = held_out_stories(source, options.split, MAX_HUMAN_STORIES)
    if len(people) < MIN_PEOPLE:
        raise FabulaError(
            f"{len(people)} {options.split} stories are too few to compare with",
            where=source.path,
            hint=f"at least {MIN_PEOPLE} are needed",
        )
    off = SamplingSettings(max_new_tokens=options.max_new_tokens, top_p=1.0, whole_sentences=False)
    penalised = off.with_changes(repetition_penalty=PENALTY)
    tried = [
        (
            sampler,
            (penalised if changes["temperature"] <= PENALISED_TEMPERATURE else off).with_changes(**changes),
        )
        for sampler, grid in SAMPLERS.items()
        for changes in grid[: options.num_settings]
    ]
    return Plan(model_folder(model), source, people, options, tried)


def finished_tuning(record: Path, mark: str) -> Tuning | None:
    """The tuning in `record`, if it is whole and of the same inputs."""
    try:
        done = Tuning.load(record)
    except FabulaError:
        return None
    return done if done.fingerprint == mark else None


def compare_settings(plan: Plan, mark: str, loaded: LoadedModels, on_progress: OnProgress) -> Tuning:
    """Write stories with each of the settings, and compare them with people's."""
    from fabula.tokens.tokenizer import load_tokenizer

    options = plan.options
    human = cut_stories(plan.people, load_tokenizer(plan.folder), options.max_new_tokens)
    written = write_with_each(plan, human, loaded, on_progress)
    groups = [[story.text for story in group] for group in [human, *written]]
    bits = bits_of_each(loaded.scorer(plan.folder), human, written)
    found = iter(
        find_copied_passages(
            [text for group in groups for text in group], lambda: plan.corpus.stories("train")
        )
    )
    memorisation = [measure_memorisation(group, [next(found) for _ in group]) for group in groups]
    people = PeoplesStories(
        [measure_story(story.text, story.ended) for story in human],
        bits[0],
        options.num_stories,
        KnownWords.of_corpus(plan.corpus),
    )
    candidates = [
        people.judge(
            sampler,
            settings,
            [measure_story(story.text, story.finish_reason == "end") for story in group],
            its_bits,
            copying.copied_share.value,
        )
        for (sampler, settings), group, its_bits, copying in zip(
            plan.tried, written, bits[1:], memorisation[1:], strict=True
        )
    ]
    copied_by_people = memorisation[0].copied_share
    limit = max(options.max_copied, copied_by_people.high or 0.0)
    return Tuning(
        fingerprint=mark,
        candidates=candidates,
        chosen=choose(candidates, limit, people.most_non_words()),
        copied_limit=limit,
        human=people.mean_and_scale(None)[0],
        human_copied_share=copied_by_people.value,
        num_stories=options.num_stories,
        max_new_tokens=options.max_new_tokens,
    )


def write_with_each(
    plan: Plan, human: Sequence[HumanStory], loaded: LoadedModels, on_progress: OnProgress
) -> list[list[WrittenStory]]:
    """The stories that the model writes with each of the settings, to the same prompts and seeds."""
    from fabula.generation.write import write_stories

    options = plan.options
    engine = loaded.engine(plan.folder, options.engine)
    openings, story_prompts = choose_prompts(human, options.num_stories)
    seeds = range(options.seed, options.seed + options.num_stories)
    written = []
    for index, (_, settings) in enumerate(plan.tried):
        on_progress(Progress("tune", index, len(plan.tried), "settings"))
        group = write_stories(engine, openings, settings=settings, seeds=seeds, story_prompts=story_prompts)
        written.append(group)
    on_progress(Progress("tune", len(plan.tried), len(plan.tried), "settings"))
    return written


def bits_of_each(
    scorer: Scorer, human: Sequence[HumanStory], written: Sequence[Sequence[WrittenStory]]
) -> list[np.ndarray]:
    """For people's S stories, and for each set of S written ones, [S, 4]: bits under the model, bytes, and the same of the
    second halves (see `coherence_bits`)."""
    groups = [[story.opening + story.text for story in human]]
    groups += [[story.prompt + story.text for story in group] for group in written]
    prompts = [story.story_prompt for story in human]
    prompts += [story.settings.story_prompt for group in written for story in group]
    scored = scorer.score_tokens([text for group in groups for text in group], prompts)
    sums = sum_scores(scored)
    columns = np.stack([sums.nats / np.log(2), sums.num_bytes], axis=1)
    columns = np.concatenate([columns, coherence_bits(scorer, scored)], axis=1)
    return np.split(columns, np.cumsum([len(group) for group in groups])[:-1])


def choose(candidates: Sequence[Candidate], copied_limit: float, non_words_limit: float | None) -> int:
    """The safest of those that copy and that misspell no more than the limits and are as near to people as the nearest of
    them, but for chance; where all copy more, the one that copies least, and where all misspell more, the one that does
    so least.

    A deviation is counted in standard deviations of what chance does to it, so chance moves the root mean square of n
    independent ones by 1 / sqrt(n). Within that (the rule of one standard error, Breiman et al. 1984) the safest is the one
    whose stories the model itself finds likeliest.
    """
    order = range(len(candidates))
    within = [index for index in order if candidates[index].copied_share <= copied_limit]
    if not within:
        return min(order, key=lambda index: (candidates[index].copied_share, candidates[index].distance))
    if non_words_limit is not None:
        misspelt = {index: _or_most(candidates[index].figures.non_words) for index in within}
        limit = max(non_words_limit, min(misspelt.values()))
        within = [index for index in within if misspelt[index] <= limit]
    nearest = min((candidates[index] for index in within), key=lambda each: each.distance)
    most = nearest.distance + 1 / math.sqrt(max(1, len(nearest.deviations)))
    near = [index for index in within if candidates[index].distance <= most]
    return min(near, key=lambda index: _or_most(candidates[index].figures.perplexity_gap))


def _or_most(value: float | None) -> float:
    return math.inf if value is None else value


def apply_settings(folder: Path, settings: SamplingSettings) -> None:
    """Put settings into a model's `generation_config.json`; its other fields and its longest story stay."""
    path = folder / GENERATION_CONFIG
    stated = read_json(path) if path.is_file() else {}
    longest = SamplingSettings.of_model(folder).max_new_tokens
    wanted = settings.with_changes(max_new_tokens=longest).generation_config()
    if {**stated, **wanted} != stated:
        write_json(path, {**stated, **wanted})

"""Sampling settings that are chosen, not guessed: those whose stories come nearest to what people write."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fabula.config import Record
from fabula.corpus.store import Corpus, open_corpus
from fabula.defaults import MAX_COPIED, NUM_SETTINGS, NUM_TUNING_STORIES, SEED, TUNING_TOKENS
from fabula.errors import FabulaError
from fabula.evaluation.likelihood import score_texts
from fabula.evaluation.memorisation import find_copies, measure_memorisation
from fabula.evaluation.writing import StoryMeasures, measure_story, pooled_words, set_measures, words_of
from fabula.files import fingerprint, library_versions, read_json, write_json
from fabula.generation.settings import GENERATION_CONFIG, SamplingSettings
from fabula.models.records import TUNING
from fabula.pipeline.evaluate import (
    MAX_HUMAN_STORIES,
    choose_prompts,
    cut_stories,
    hashes_of,
    held_out_stories,
    model_folder,
)
from fabula.progress import OnProgress, Progress, silent

SAMPLERS: dict[str, list[dict[str, float]]] = {
    "temperature": [{"temperature": t} for t in (1.0, 0.8, 0.9, 0.7, 1.1, 0.6)],
    "top_k": [
        {"top_k": k, "temperature": t} for k, t in ((50, 1), (20, 1), (100, 1), (50, 0.8), (10, 1), (200, 1))
    ],
    "top_p": [
        {"top_p": p, "temperature": t}
        for p, t in ((0.95, 1), (0.9, 1), (0.8, 1), (0.9, 0.8), (0.98, 1), (0.7, 1))
    ],
    "min_p": [
        {"min_p": p, "temperature": t}
        for p, t in ((0.05, 1), (0.1, 1), (0.02, 1), (0.1, 1.2), (0.05, 1.2), (0.2, 1.2))
    ],
    "repetition_penalty": [
        {"repetition_penalty": r, "top_p": 0.95} for r in (1.1, 1.05, 1.2, 1.02, 1.15, 1.3)
    ],
}
"""What is tried of each sampler, the most usual first. All that is not named is switched off."""

KNOWN_CHARACTERS = 10_000_000
"""Characters of training stories whose words and pairs of words count as known, in bounded memory."""

ONE_SIDED = frozenset({"unknown_words", "unknown_pairs", "perplexity_gap"})
"""Figures of nonsense: more than people's is a fault, less is none. (What is said too often, others count.) Were less a
fault too, a model would always be sampled as it is: its own text, drawn at temperature 1, is as surprising to it as
people's, while a small model's unlikely words are mistakes and not surprises."""

MIN_PEOPLE = 4
"""Held-out stories that it takes to say how much people's stories differ."""

NUM_SUBSETS = 40
LARGEST_DEVIATION = 10.0
SMALLEST_SCALE = 0.05
FINEST_SCALE = 0.005
"""Deviations are counted in standard deviations of people's stories, which are taken to be at least `SMALLEST_SCALE` of
the figure itself, and at least `FINEST_SCALE`: few stories that happen to agree are no finer yardstick than that."""


class Candidate(Record):
    """Settings that were tried."""

    sampler: str
    settings: dict[str, Any]
    figures: dict[str, float | None]
    """The measures of what was written (see `WritingMeasures`), the share of its words that stand in no training story,
    of its pairs of known words that stand in none, and the perplexity gap in bits per byte."""
    deviations: dict[str, float]
    """How far each figure is from that of people, in standard deviations of sets of people's stories of that size;
    those that are `ONE_SIDED` are 0 where they are below."""
    distance: float
    """The root mean square of the deviations."""
    copied_share: float


class Tuning(Record):
    """What `tuning.json` holds."""

    fingerprint: str
    candidates: list[Candidate]
    chosen: int
    """Index of the candidate that was taken: the nearest of those within the limit, or, where none is, the one that
    copies least."""
    copied_limit: float
    """Share of text in copied passages that a candidate may not exceed."""
    human: dict[str, float | None]
    """People's figures, at the size of the largest sets that were compared."""
    human_copied_share: float
    num_stories: int
    """Stories that were written with each of the settings."""
    max_new_tokens: int


def tune(
    model: str | Path,
    corpus: str | Path,
    *,
    out: str | Path | None = None,
    split: str = "validation",
    num_settings: int = NUM_SETTINGS,
    num_stories: int = NUM_TUNING_STORIES,
    max_new_tokens: int = TUNING_TOKENS,
    max_copied: float = MAX_COPIED,
    seed: int = SEED,
    engine: str = "auto",
    on_progress: OnProgress = silent,
) -> Tuning:
    """Try sampling settings, each sampler with the same number of them, and keep those that write most like people.

    The settings go into the model's `generation_config.json`, where `write` and every other tool finds them. Done before
    with the same model, corpus and arguments, it reads the result back from `out`.

    Args:
        model: a model's folder.
        corpus: a folder that `clean` made.
        out: a folder for `tuning.json`; None for the model's.
        split: which stories of the corpus stand for people.
        num_settings: settings tried of each sampler, at most 6.
        num_stories: stories written with each of the settings, with the same prompts and seeds.
        max_new_tokens: the longest of these stories.
        max_copied: share of text that may be copied from training stories, where people copy no more themselves.
        seed: of the first story; the next one has the next seed.
        engine: what writes; see `fabula.write`.

    Raises:
        FabulaError: no such model or corpus, or fewer than `MIN_PEOPLE` stories in `split`.
    """
    if not 1 <= num_settings <= NUM_SETTINGS:
        raise FabulaError(
            f"num_settings {num_settings}: there are 1 to {NUM_SETTINGS} to try of each sampler"
        )
    source = open_corpus(corpus)
    people = held_out_stories(source, split, MAX_HUMAN_STORIES)
    if len(people) < MIN_PEOPLE:
        raise FabulaError(
            f"{len(people)} {split} stories are too few to compare with",
            where=source.path,
            hint=f"it takes {MIN_PEOPLE} or more",
        )
    folder = model_folder(model)
    mark = fingerprint(
        {
            "model": {name: value for name, value in hashes_of(folder).items() if name != GENERATION_CONFIG},
            "corpus": source.fingerprint,
            "arguments": [split, num_settings, num_stories, max_new_tokens, max_copied, seed, engine],
            "known": [KNOWN_CHARACTERS, *sorted(ONE_SIDED)],
            "versions": library_versions("torch", "transformers", "tokenizers", "numpy"),
        }
    )
    record = Path(out if out is not None else folder) / TUNING
    done = finished_tuning(record, mark)
    if done is None:
        from fabula.generation.engines import load_engine
        from fabula.generation.write import write_stories
        from fabula.tokens.tokenizer import load_tokenizer

        loaded = load_engine(folder, engine, on_progress=on_progress)
        human = cut_stories(people, load_tokenizer(folder), max_new_tokens)
        prompts = choose_prompts(human, num_stories)
        tried = [
            (sampler, SamplingSettings(max_new_tokens=max_new_tokens, top_p=1.0).with_changes(**changes))
            for sampler, grid in SAMPLERS.items()
            for changes in grid[:num_settings]
        ]
        written = []
        for index, (_, settings) in enumerate(tried):
            on_progress(Progress("tune", index, len(tried), "settings"))
            seeds = range(seed, seed + num_stories)
            written.append(write_stories(loaded, prompts, settings=settings, seeds=seeds))
        on_progress(Progress("tune", len(tried), len(tried), "settings"))
        bits = bits_per_byte_of(
            folder,
            [[story.opening + story.text for story in human]]
            + [[story.prompt + story.text for story in group] for group in written],
        )
        copying = find_copies(
            [story.text for group in [human, *written] for story in group], lambda: source.stories("train")
        )
        human_copied = measure_memorisation(
            [story.text for story in human], copying[: len(human)]
        ).copied_share
        yardstick = Yardstick(
            [measure_story(story.text, story.ended) for story in human],
            bits[0],
            num_stories,
            *known_words(source),
        )
        candidates = []
        for index, ((sampler, settings), group) in enumerate(zip(tried, written, strict=True)):
            first = len(human) + index * num_stories
            copied = measure_memorisation(
                [story.text for story in group], copying[first : first + num_stories]
            )
            stories = [measure_story(story.text, story.finish_reason == "end") for story in group]
            stated = settings.model_dump(mode="json")
            candidates.append(
                judge(sampler, stated, stories, bits[index + 1], yardstick, copied.copied_share.value)
            )
        limit = max(max_copied, human_copied.high or 0.0)
        done = Tuning(
            fingerprint=mark,
            candidates=candidates,
            chosen=choose(candidates, limit),
            copied_limit=limit,
            human=yardstick.people(None)[0],
            human_copied_share=human_copied.value,
            num_stories=num_stories,
            max_new_tokens=max_new_tokens,
        )
        record.parent.mkdir(parents=True, exist_ok=True)
        write_json(record, done.model_dump(mode="json"))
    apply_settings(folder, done.candidates[done.chosen].settings)
    return done


def tune_in_short(
    model: str | Path, corpus: str | Path, *, out: str | Path, seed: int, on_progress: OnProgress = silent
) -> Tuning | None:
    """The sweep that is part of a run: at most 12,000 tokens. None where too few stories are held out to compare with."""
    if open_corpus(corpus).num_stories("validation") < MIN_PEOPLE:
        return None
    return tune(
        model,
        corpus,
        out=out,
        num_settings=3,
        num_stories=8,
        max_new_tokens=100,
        seed=seed,
        on_progress=on_progress,
    )


def finished_tuning(record: Path, mark: str) -> Tuning | None:
    """The tuning in `record`, if it is whole and of the same inputs."""
    try:
        done = Tuning.parse(read_json(record))
    except (FabulaError, TypeError, ValueError):
        return None
    return done if done.fingerprint == mark else None


def apply_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Put settings into a model's `generation_config.json`; its other fields and its longest story stay."""
    path = folder / GENERATION_CONFIG
    stated = read_json(path) if path.is_file() else {}
    longest = SamplingSettings.of_model(folder).max_new_tokens
    wanted = SamplingSettings.parse({**settings, "max_new_tokens": longest}).generation_config()
    if {**stated, **wanted} != stated:
        write_json(path, {**stated, **wanted})


def known_words(corpus: Corpus) -> tuple[set[str], set[tuple[str, str]]]:
    """The words of the training stories, and the pairs of neighbours. A word that none of them has is a name, or no word
    at all; known words that none of them has side by side are news, or do not go together."""
    words: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    left = KNOWN_CHARACTERS
    for story in corpus.stories("train"):
        its_words = [sys.intern(word) for word in words_of(story.text)]
        words.update(its_words)
        pairs.update(pairwise(its_words))
        left -= len(story.text)
        if left < 0:
            break
    return words, pairs


def bits_per_byte_of(folder: Path, groups: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """For each group of S texts, [S, 2]: bits under the model, and bytes."""
    import torch

    from fabula.models.load import load_model
    from fabula.models.memory import keep_freed_memory
    from fabula.pipeline.evaluate import markup_of
    from fabula.tokens.tokenizer import load_tokenizer

    keep_freed_memory()
    model = load_model(folder, device="cuda" if torch.cuda.is_available() else None)
    texts = [text for group in groups for text in group]
    scores = score_texts(model, load_tokenizer(folder), texts, markup=markup_of(folder))
    columns = np.stack([scores.nats / np.log(2), scores.num_bytes], axis=1)
    return np.split(columns, np.cumsum([len(group) for group in groups])[:-1])


class Yardstick:
    """What sets of people's stories are like, and how much such sets differ by chance.

    Args:
        stories: of people.
        bits: [S, 2] bits under the model and bytes, of each.
        num_stories: in the sets that are compared with people's.
        words: of training stories.
        pairs: of neighbours in them.
    """

    def __init__(
        self,
        stories: Sequence[StoryMeasures],
        bits: np.ndarray,
        num_stories: int,
        words: Set[str],
        pairs: Set[tuple[str, str]],
    ) -> None:
        self.stories, self.bits, self.words, self.pairs = stories, bits, words, pairs
        self.bits_per_byte = float(bits[:, 0].sum() / bits[:, 1].sum())
        draw = np.random.default_rng(0)
        size = min(num_stories, max(2, len(stories) // 2))
        self.subsets = [draw.permutation(len(stories))[:size] for _ in range(NUM_SUBSETS)]
        self.spread = math.sqrt(size / num_stories)
        """Sets of n stories differ by chance as 1 / sqrt(n)."""

    def people(self, num_words: int | None) -> tuple[dict[str, float | None], dict[str, float]]:
        """Means and standard deviations of people's figures, over sets that are measured at `num_words` words."""
        rows = [
            self.figures([self.stories[i] for i in subset], self.bits[subset], num_words)
            for subset in self.subsets
        ]
        means: dict[str, float | None] = {}
        scales: dict[str, float] = {}
        for name in rows[0]:
            values = [value for row in rows if (value := row[name]) is not None]
            means[name] = float(np.mean(values)) if values else None
            scale = float(np.std(values)) * self.spread if values else 0.0
            scales[name] = max(scale, SMALLEST_SCALE * abs(means[name] or 0.0), FINEST_SCALE)
        for name in ("looping_share", "ended_share"):
            # A share of 0 among these few stories is no certainty: Laplace's rule of succession.
            share = (float(means[name] or 0.0) * len(self.stories) + 1) / (len(self.stories) + 2)
            scales[name] = max(
                scales[name], math.sqrt(share * (1 - share) / len(self.subsets[0])) * self.spread
            )
        return means, scales

    def figures(
        self, stories: Sequence[StoryMeasures], bits: np.ndarray, num_words: int | None
    ) -> dict[str, float | None]:
        """A set's figures, by name."""
        num_bytes = bits[:, 1].sum()
        pooled = pooled_words(stories, num_words)
        known_pairs = [
            pair
            for story in stories
            for pair in pairwise(story.words)
            if pair[0] in self.words and pair[1] in self.words
        ]
        return {
            "looping_share": float(np.mean([story.looping for story in stories])),
            "repeated_4grams": float(np.mean([story.repeated_4grams for story in stories])),
            "ended_share": float(np.mean([story.ended for story in stories])),
            "mean_words": float(np.mean([story.num_words for story in stories])),
            **set_measures(pooled),
            "unknown_words": share(word not in self.words for word in pooled),
            "unknown_pairs": share(pair not in self.pairs for pair in known_pairs),
            "perplexity_gap": float(bits[:, 0].sum() / num_bytes - self.bits_per_byte) if num_bytes else None,
        }


def share(found: Iterable[bool]) -> float | None:
    """How many of them are so; None where there are none."""
    values = list(found)
    return float(np.mean(values)) if values else None


def judge(
    sampler: str,
    settings: dict[str, Any],
    stories: Sequence[StoryMeasures],
    bits: np.ndarray,
    yardstick: Yardstick,
    copied_share: float,
) -> Candidate:
    """Compare what was written with people's stories, at the same number of words."""
    num_words = min(
        len(pooled_words(stories)),
        *(len(pooled_words([yardstick.stories[i] for i in subset])) for subset in yardstick.subsets),
    )
    found = yardstick.figures(stories, bits, num_words)
    means, scales = yardstick.people(num_words)
    deviations = {}
    for name, value in found.items():
        mean = means[name]
        away = LARGEST_DEVIATION if value is None or mean is None else (value - mean) / scales[name]
        least = 0.0 if name in ONE_SIDED else -LARGEST_DEVIATION
        deviations[name] = max(least, min(away, LARGEST_DEVIATION))
    return Candidate(
        sampler=sampler,
        settings=settings,
        figures=found,
        deviations=deviations,
        distance=math.sqrt(sum(each**2 for each in deviations.values()) / len(deviations)),
        copied_share=copied_share,
    )


def choose(candidates: Sequence[Candidate], copied_limit: float) -> int:
    """The nearest of those that copy no more than the limit; where all do, the one that copies least."""
    order = range(len(candidates))
    within = [index for index in order if candidates[index].copied_share <= copied_limit]
    if within:
        return min(within, key=lambda index: candidates[index].distance)
    return min(order, key=lambda index: (candidates[index].copied_share, candidates[index].distance))

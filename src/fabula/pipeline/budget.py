"""How the minutes of a run are shared out: most of them train, and the evaluation shrinks to fit what is left."""

import time
from dataclasses import dataclass
from pathlib import Path

from fabula.corpus.store import open_corpus
from fabula.defaults import NUM_OTHERS, NUM_SAMPLES, SAMPLE_TOKENS
from fabula.evaluation.models import Scorer
from fabula.evaluation.stories import held_out_stories
from fabula.evaluation.tune import SHORT_TUNING, num_short_tuning_tokens
from fabula.progress import OnProgress, Progress
from fabula.results import EvaluationSizes

TRAINING_SHARE = 0.75
"""Share of a run's minutes that are spent on training."""

START_SECONDS = 20.0
"""What the evaluation takes besides reading and writing: models are loaded and converted, pages drawn."""

TOKENS_PER_BYTE = 0.25
READINGS = 1.5
"""A token of a long story is read about so often, because windows overlap."""

TOKENS_OF_OTHERS = 500
"""Of the beginning of a story by another author."""

FEWEST_SAMPLES, FEWEST_STORIES, FEWEST_OTHERS = 4, 8, 20


@dataclass(frozen=True, slots=True)
class Speeds:
    """Tokens per second that a model writes, several stories at once, and reads."""

    written: float
    read: float


def measure_speeds(model: Path, text: str) -> Speeds:
    """Write a few tokens with the model, and read a text."""
    from fabula.generation.engines import load_engine
    from fabula.generation.settings import SamplingSettings
    from fabula.generation.write import BATCH_SIZE, write_stories

    engine = load_engine(model)
    began = time.monotonic()
    stories = write_stories(
        engine, [""] * BATCH_SIZE, settings=SamplingSettings(max_new_tokens=24), seeds=range(BATCH_SIZE)
    )
    written = sum(story.num_tokens for story in stories) / (time.monotonic() - began)
    scorer = Scorer.load(model)
    began = time.monotonic()
    scorer.score([text])
    read = max(1.0, len(text.encode()) * TOKENS_PER_BYTE) / (time.monotonic() - began)
    return Speeds(written, read)


def predict_seconds(sizes: EvaluationSizes, speeds: Speeds, num_bytes: float) -> float:
    """Seconds that tuning, and evaluating two models on held-out stories of so many bytes in all, take."""
    tuning = num_short_tuning_tokens(sizes.num_settings)
    samples = 2 * sizes.num_samples * SAMPLE_TOKENS
    held_out = 2 * READINGS * num_bytes * TOKENS_PER_BYTE + 2 * sizes.num_others * TOKENS_OF_OTHERS
    return START_SECONDS + (tuning + samples) / speeds.written + (tuning + samples + held_out) / speeds.read


def fit_sizes(seconds: float, speeds: Speeds, story_bytes: list[int]) -> EvaluationSizes:
    """The largest evaluation that takes at most so many seconds; the smallest one where none does.

    Args:
        story_bytes: size of each held-out story, in the order in which they are scored.
    """
    for eighths in range(8, 0, -1):
        sizes = sizes_of(eighths, len(story_bytes))
        if predict_seconds(sizes, speeds, sum(story_bytes[: sizes.max_stories])) <= seconds:
            return sizes
    return sizes_of(0, len(story_bytes))


def sizes_of(eighths: int, num_stories: int) -> EvaluationSizes:
    """So many eighths of the full evaluation, but never less than the smallest one."""
    return EvaluationSizes(
        num_settings=SHORT_TUNING.num_settings * eighths // 8,
        num_samples=max(FEWEST_SAMPLES, NUM_SAMPLES * eighths // 8 // 2 * 2),
        max_stories=max(min(FEWEST_STORIES, num_stories), num_stories * eighths // 8),
        num_others=others if (others := NUM_OTHERS * eighths // 8) >= FEWEST_OTHERS else 0,
    )


def size_evaluation(model: Path, corpus: Path, seconds: float, on_progress: OnProgress) -> EvaluationSizes:
    """Measure how fast the model is, and choose how much of it is evaluated in so many seconds."""
    began = time.monotonic()
    stories = held_out_stories(open_corpus(corpus), "validation", None)
    speeds = measure_speeds(model, stories[0].text[:4000])
    sizes = fit_sizes(
        seconds - (time.monotonic() - began), speeds, [len(story.text.encode()) for story in stories]
    )
    tuning = f"{sizes.num_settings} settings of each sampler tried" if sizes.num_settings else "no tuning"
    message = (
        f"to end in time: {tuning}, {sizes.num_samples} samples of each model,"
        f" {sizes.max_stories} of {len(stories)} held-out stories scored,"
        f" {sizes.num_others or 'no'} stories by others to tell the author from"
    )
    on_progress(Progress("evaluate", message=message))
    return sizes

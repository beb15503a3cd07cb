"""The predicted time of each stage of a run, and the division of a limited run's minutes: at least four fifths are
for preparation and training, and the evaluation is reduced to fit the rest."""

import math
import time
from dataclasses import replace
from pathlib import Path

from fabula.baseline.loss import NUM_TOKENS
from fabula.corpus.store import Corpus
from fabula.defaults import NUM_OTHERS, NUM_SAMPLES, SAMPLE_TOKENS
from fabula.evaluation.models import LoadedModels
from fabula.evaluation.stories import held_out_stories
from fabula.evaluation.tune import SAMPLERS, SHORT_TUNING
from fabula.formatting import format_duration
from fabula.generation.write import BATCH_SIZE
from fabula.models.device import best_device, free_memory_gb
from fabula.progress import silent
from fabula.results import EvaluationSizes, RunPlan, Speeds
from fabula.training.memory import memory_gb
from fabula.training.recipe import ModelSize, Recipe

EVALUATION_SHARE, LARGEST_EVALUATION = 0.2, 1 / 3
"""Share of a run's minutes that tuning, writing and scoring may take if training needs the rest, and if it does not."""

TRAINING_START_SECONDS = 6.0
LORA_COST = 1.7
"""What the gradients of LoRA adapters cost, with what the adapters add to the model, in times of scoring a token."""

REPORT_SECONDS = 2.0
TOKENS_OF_OTHERS = 500
"""Of the beginning of a story by another author."""

LONG_SECONDS = 1800.0
STAGE_NAMES = {
    "prepare": "preparing",
    "train": "training",
    "tune": "tuning",
    "evaluate": "writing samples and scoring",
    "report": "report",
}

FEWEST_STORIES = 2
SAMPLES = (
    (SHORT_TUNING.num_settings, NUM_SAMPLES, SAMPLE_TOKENS, NUM_OTHERS),
    (2, NUM_SAMPLES, SAMPLE_TOKENS, NUM_OTHERS),
    (1, NUM_SAMPLES, SAMPLE_TOKENS, NUM_OTHERS // 2),
    (0, NUM_SAMPLES, SAMPLE_TOKENS, NUM_OTHERS // 2),
    (0, NUM_SAMPLES, SAMPLE_TOKENS, 0),
    (0, 8, SAMPLE_TOKENS, 0),
    (0, 6, SAMPLE_TOKENS, 0),
    (0, 4, SAMPLE_TOKENS, 0),
    (0, 4, 320, 0),
    (0, 2, 320, 0),
    (0, 2, 160, 0),
)
"""What may be written, the most first: settings of each sampler that are tried, stories that each model writes, and their
length in tokens; and how many stories by other authors are scored, to tell the author from them."""


def measure_speeds(base: Path, text: str, loaded: LoadedModels) -> Speeds:
    """Write a few tokens with a model, and score a text, once what is slow only the first time has been done."""
    from fabula.generation.settings import SamplingSettings
    from fabula.generation.write import write_stories

    num_tokens = 16
    began = time.monotonic()
    engine, scorer = loaded.engine(base), replace(loaded.scorer(base), on_progress=silent)

    def write(num_tokens: int) -> None:
        settings = SamplingSettings(max_new_tokens=num_tokens, whole_sentences=False)
        write_stories(engine, [""] * BATCH_SIZE, settings=settings, seeds=range(BATCH_SIZE))

    write(1)
    scorer.score([text[:100]])
    ready = time.monotonic()
    write(num_tokens)
    wrote = time.monotonic()
    num_scored = max(1, int(scorer.score([text]).num_tokens.sum()))
    read = time.monotonic()
    return Speeds(
        load_seconds=ready - began,
        step_seconds=(wrote - ready) / num_tokens,
        tokens_per_second=num_scored / (read - wrote),
        tokens_per_byte=num_scored / max(1, len(text.encode())),
        context_length=scorer.context_length,
        num_parameters=scorer.model.num_parameters(),
        num_embedded=scorer.model.get_input_embeddings().weight.numel(),
        model_type=scorer.model.config.model_type,
    )


# Evaluation


def story_tokens(sizes: list[int], speeds: Speeds) -> list[float]:
    """Tokens that are read to score stories of so many bytes. Most tokens of a long story are read twice, because
    windows overlap."""
    tokens = [size * speeds.tokens_per_byte for size in sizes]
    return [max(each, 2 * each - speeds.context_length) for each in tokens]


def seconds_by_stage(sizes: EvaluationSizes, speeds: Speeds, story_bytes: list[int]) -> dict[str, float]:
    """Seconds that tuning a model, and evaluating it and its base, take.

    Args:
        story_bytes: size of each held-out story, in the order in which they are scored.
    """
    tuning = sizes.num_settings * len(SAMPLERS)
    tuning_tokens = tuning * SHORT_TUNING.num_stories * SHORT_TUNING.max_new_tokens
    batches = -(-sizes.num_samples // BATCH_SIZE)
    sample_tokens = sizes.num_samples * sizes.max_new_tokens
    held_out = sum(story_tokens(story_bytes[: sizes.max_stories], speeds))
    others = sizes.num_others * TOKENS_OF_OTHERS
    return {
        "tune": tuning * SHORT_TUNING.max_new_tokens * speeds.step_seconds
        + 1.5 * tuning_tokens / speeds.tokens_per_second,  # second halves are scored again without the first
        "evaluate": 2 * (speeds.load_seconds + batches * sizes.max_new_tokens * speeds.step_seconds)
        + 2 * (held_out + sample_tokens + others) / speeds.tokens_per_second,
    }


def fit_sizes(seconds: float, speeds: Speeds, story_bytes: list[int]) -> EvaluationSizes:
    """The largest evaluation that takes at most so many seconds, half of them for held-out stories; the smallest one
    if none fits."""
    num_stories = len(story_bytes)
    while num_stories > FEWEST_STORIES:
        if 2 * sum(story_tokens(story_bytes[:num_stories], speeds)) / speeds.tokens_per_second <= seconds / 2:
            break
        num_stories -= 1
    choices = [
        EvaluationSizes(
            num_settings=num_settings,
            num_samples=num_samples,
            max_new_tokens=max_new_tokens,
            max_stories=num_stories,
            num_others=num_others,
        )
        for num_settings, num_samples, max_new_tokens, num_others in SAMPLES
    ]
    fitting = (
        sizes for sizes in choices if sum(seconds_by_stage(sizes, speeds, story_bytes).values()) <= seconds
    )
    return next(fitting, choices[-1])


def held_out_bytes(corpus: Corpus) -> list[int]:
    """Sizes of the held-out stories, in the order in which they are scored."""
    return [len(story.text.encode()) for story in held_out_stories(corpus, "validation", None)]


# The whole run


def plan_run(recipe: Recipe, limit: float | None, used: float, speeds: Speeds, corpus: Corpus) -> RunPlan:
    """Predict a run, and divide its time.

    Args:
        limit: seconds that the whole run may take; None for no limit.
        used: seconds of them that have passed.
    """
    story_bytes = held_out_bytes(corpus)
    rest = math.inf if limit is None else limit - used - REPORT_SECONDS
    size = ModelSize(speeds.num_parameters, speeds.num_embedded, speeds.model_type)
    recipe = recipe.for_model(size, fresh=False)
    train = training_seconds(recipe, speeds, corpus)
    spare = math.inf
    if limit is not None:
        spare = max(EVALUATION_SHARE * limit, min(rest - train, LARGEST_EVALUATION * limit))
    evaluation = seconds_by_stage(fit_sizes(spare, speeds, story_bytes), speeds, story_bytes)
    if limit is None:  # then the loss is measured as the notebook counts it, too
        length = min(NUM_TOKENS, speeds.context_length)
        evaluation["evaluate"] += 2 * len(story_bytes) * length / speeds.tokens_per_second
    allowed = max(1.0, rest - sum(evaluation.values()))
    return RunPlan(
        speeds=speeds,
        train_minutes=None if limit is None else allowed / 60,
        seconds={"prepare": used, "train": min(train, allowed), **evaluation, "report": REPORT_SECONDS},
        memory_gb=memory_gb(recipe, size, on_gpu=best_device().type == "cuda"),
    )


def training_seconds(recipe: Recipe, speeds: Speeds, corpus: Corpus) -> float:
    """Seconds that a training with a recipe that `for_model` returned takes where its epochs end it.

    A trained token costs as much as scoring one, once more for the gradients of what lies above the lowest trained layer,
    and again for those of the trained weights, which are hardly any with LoRA adapters.
    """
    num_bytes = sum(len(story.text.encode()) for story in corpus.stories("train"))
    tokens = num_bytes * speeds.tokens_per_byte * recipe.epochs(speeds.num_parameters, fresh=False)
    embedded = speeds.num_embedded / speeds.num_parameters
    if recipe.lora_rank:
        cost = 1 + LORA_COST
    else:
        cost = 1 + 2 * (1 - embedded) * (1 - recipe.freeze) + embedded * (1 if recipe.freeze else 2)
    steps = tokens * cost / speeds.tokens_per_second
    return TRAINING_START_SECONDS + steps * (1 + recipe.validation_share)


def describe_plan(plan: RunPlan) -> list[str]:
    """The prediction in lines of text."""
    total = sum(plan.seconds.values())
    parts = [
        f"{STAGE_NAMES[name]} {format_duration(seconds)}"
        for name, seconds in plan.seconds.items()
        if seconds >= 0.5
    ]
    lines = [f"about {format_duration(total)} in total: {', '.join(parts)}"]
    if plan.train_minutes is None and total > LONG_SECONDS:
        lines.append(
            "--max-minutes limits the whole run; you can also stop it at any time and continue with the same command"
        )
    free = free_memory_gb()
    memory = f"about {plan.memory_gb:.1f} GB of memory; {free:.1f} GB is free"
    if plan.memory_gb > free:
        memory += ", which is too little, so the system may stop the run (--base tiny needs 1 GB)"
    return [*lines, memory]

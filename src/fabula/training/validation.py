"""Validation: scores held-out stories during training, and writes the beginning of a story."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fabula.models.quiet import quiet
from fabula.models.scoring import score_tokens
from fabula.progress import Progress
from fabula.training.checkpoints import State
from fabula.training.data import ValidationStories, openings_of
from fabula.training.interrupt import Interrupted
from fabula.training.setup import Setup, choose_micro_batch_size
from fabula.training.sharding import run_together

MIN_TOKENS = 4000
"""Fewest held-out tokens that a validation scores, if there are as many."""


def score(setup: Setup, stories: ValidationStories, is_stopped: Callable[[], bool]) -> tuple[float, float]:
    """The loss of the model on whole stories: nats per token, and bits per byte of story text.

    Raises:
        Interrupted: `is_stopped` returned True between two batches of a single process.
    """

    def on_tokens(_: Progress) -> None:
        if is_stopped() and setup.workers.size == 1:
            raise Interrupted

    model, workers = setup.model, setup.workers
    was_training = model.training
    model.eval()
    own = slice(workers.rank, None, workers.size)
    with setup.precision.scoring():
        losses = run_together(
            setup.loss,
            workers,
            lambda: score_tokens(model, stories.input_ids[own], setup.story_format, on_progress=on_tokens),
        )
    model.train(was_training)
    nats = text_nats = num_tokens = num_bytes = 0.0
    columns = (stories.is_text[own], stories.num_bytes[own], stories.num_prompt_tokens[own])
    for scores, is_text, size, num_prompt in zip(losses, *columns, strict=True):
        nats += float(scores[num_prompt:].sum())
        text_nats += float(scores[is_text].sum())
        num_tokens += len(scores) - num_prompt
        num_bytes += size
    nats, text_nats, num_tokens, num_bytes = workers.sum([nats, text_nats, num_tokens, num_bytes])
    return nats / num_tokens, text_nats / num_bytes / float(np.log(2))


@torch.no_grad()
def write_beginning(setup: Setup) -> str:
    """The beginning of a story that the current model writes, on one line. As in `fabula write` without a prompt, it continues
    the first words of a training story."""
    opening = ""
    if setup.recipe.markup == "newline":
        opening = next(iter(openings_of(setup.windows.stories, setup.tokenizer).openings), "")
    ids = setup.tokenizer.encode(opening, add_special_tokens=False)
    start = torch.tensor([[setup.story_format.start_id, *ids]], device=setup.workers.device)
    torch.manual_seed(setup.job.seed)
    setup.model.eval()
    with quiet(), setup.precision.autocast():
        ids = run_together(
            setup.loss,
            setup.workers,
            lambda: setup.model.generate(
                input_ids=start,
                attention_mask=torch.ones_like(start),
                do_sample=True,
                temperature=0.6,
                top_k=0,
                top_p=0.95,
                max_new_tokens=setup.recipe.sample_tokens,
                pad_token_id=setup.pad_id,
            ),
        )
    setup.model.train()
    text: Any = setup.tokenizer.decode(ids[0, 1:], skip_special_tokens=True)
    return " ".join(text.split())


def planned_validations(setup: Setup, num_steps: float) -> tuple[int, float]:
    """How many validations a training of this many steps has, without that of the base, and how many tokens each scores, so
    that all take the recipe's share of the time. If the time is limited, there are fewer validations rather than fewer than
    `MIN_TOKENS` tokens in each: a choice of weights by one or two stories is not reproducible.

    Scoring a token takes about half as long as training on it: a third, but longer stories are read twice, in
        overlapping windows.
    """
    recipe, sizes = setup.recipe, setup.sizes
    num_tokens = recipe.validation_share * 2 * num_steps * sizes.batch_size * sizes.context_length
    count = recipe.num_validations
    if setup.job.limit is not None:
        enough = min(MIN_TOKENS, setup.validation.num_tokens)
        count = max(1, min(count, int(num_tokens / enough) - 1))
    return count, num_tokens / (count + 1)


def expected_steps(setup: Setup) -> float:
    """How many steps the training will take; with a time limit, estimated from the speed of scoring a story."""
    sizes, steps = setup.sizes, float(setup.sizes.num_steps)
    if setup.job.limit is not None:
        probe = setup.validation.first(1)
        began = time.monotonic()
        score(setup, probe, lambda: False)
        speed = probe.num_tokens / (time.monotonic() - began)
        positions = speed / 2 * setup.job.limit
        steps = min(steps, positions / (sizes.batch_size * sizes.context_length))
    return setup.workers.from_first([steps])[0]


def first_state(setup: Setup) -> State:
    """The state before the first step, with the choices that depend on the speed of the machine."""
    micro_batch_size = int(setup.workers.from_first([choose_micro_batch_size(setup)])[0])
    num_steps = expected_steps(setup)
    num_validations, num_tokens = planned_validations(setup, num_steps)
    return State(
        micro_batch_size=micro_batch_size,
        num_expected_steps=num_steps,
        num_planned_validations=num_validations,
        num_validation_stories=setup.validation.num_fitting(num_tokens),
    )

"""What recipes reach in the same number of positions, without a clock: one short training for each, on one corpus and base.

    python benchmarks/training_recipes.py CORPUS --base BASE --out ROWS.jsonl --positions 24576 \\
        "" learning_rate=4e-4 freeze=0.5,batch_tokens=1024 [--held-out 10] [--tail 1024] [--averages] [--seconds] [--seed 42]

Each argument is one training: fields of the recipe that are set otherwise. Positions are windows times their length, so
with a batch of half the size there are twice the steps. Scored are the first held-out stories, `--tail` tokens of each,
before and after. Rows that are in ROWS.jsonl are not made again. Speed plays no part, so other work may run beside it;
`--seconds`, for a quiet machine, prints the median seconds of a step and scores nothing.

`--averages` also scores the mean of the weights over the last quarter of the steps, and base and tuned weights mixed.
"""

import argparse
import json
import statistics
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import torch

from fabula.models.memory import keep_freed_memory
from fabula.progress import silent
from fabula.training.data import ValidationStories
from fabula.training.job import plan
from fabula.training.recipe import Recipe
from fabula.training.setup import Setup, choose_micro_batch_size, prepare
from fabula.training.step import compute_gradients, update_weights
from fabula.training.validation import score
from fabula.training.weights import set_weights, trained_weights
from fabula.training.workers import Workers

MIXED = (0.5, 0.75)
"""Shares of the tuned weights in a mixture with the base's."""

Weights = dict[str, torch.Tensor]


def set_up(arguments: argparse.Namespace, change: str) -> Setup:
    recipe = Recipe.parse(tomllib.loads(change.replace(",", "\n")))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        job = plan(arguments.corpus, out, base=arguments.base, recipe=recipe, seed=arguments.seed)
        return prepare(job, Workers.join(), silent)


def held_out(setup: Setup, num_stories: int, tail: int) -> ValidationStories:
    """The first held-out stories in an order that does not depend on the seed, and at most so many tokens of each."""
    stories = setup.validation
    order = sorted(range(len(stories)), key=lambda i: stories.input_ids[i].tolist())[:num_stories]
    ids = [stories.input_ids[i][: tail + 1] for i in order]
    is_text = [stories.is_text[i][: len(row) - 1] for i, row in zip(order, ids, strict=True)]
    sizes = [
        len("".join(setup.tokenizer.decode(row[1:][text]).split("\n")).encode())
        for row, text in zip(ids, is_text, strict=True)
    ]
    return ValidationStories(ids, is_text, sizes, [stories.num_prompt_tokens[i] for i in order])


def copied(weights: Weights) -> Weights:
    return {name: value.clone() for name, value in weights.items()}


def steps(setup: Setup, num_steps: int, mean: Weights | None) -> tuple[list[float], list[float]]:
    """Train. Returns the loss and the seconds of each step; `mean` gets the mean weights of the last quarter."""
    micro, recipe, rate = choose_micro_batch_size(setup), setup.recipe, setup.sizes.learning_rate
    losses, seconds = [], []
    first_kept = num_steps * 3 // 4
    setup.model.train()
    for step in range(num_steps):
        began = time.perf_counter()
        gradients = compute_gradients(setup, step, micro, lambda: False)
        update_weights(setup, rate * recipe.learning_rate_factor(step / num_steps, step, num_steps))
        seconds.append(time.perf_counter() - began)
        losses.append(gradients.loss_sum / gradients.num_targets)
        if mean is not None and step >= first_kept:
            for name, value in trained_weights(setup.model).items():
                share = 1 / (step - first_kept + 1)
                mean[name] = torch.lerp(mean[name], value, share) if name in mean else value.clone()
    return losses, seconds


def train(arguments: argparse.Namespace, change: str) -> dict[str, Any]:
    """One training. Returns its row."""
    setup = set_up(arguments, change)
    sizes = setup.sizes
    num_steps = max(1, round(arguments.positions / (sizes.batch_size * sizes.context_length)))
    stories = held_out(setup, arguments.held_out, arguments.tail)
    row: dict[str, Any] = {
        "steps": num_steps,
        "learning_rate": sizes.learning_rate,
        "trained": sizes.num_trained,
    }
    if not arguments.seconds:
        row["before"] = score(setup, stories, lambda: False)[1]
    base, mean = copied(trained_weights(setup.model)), {} if arguments.averages else None
    losses, seconds = steps(setup, num_steps, mean)
    row["train_loss"] = statistics.mean(losses[num_steps * 3 // 4 :])
    row["step_seconds"] = statistics.median(seconds[1:] or seconds)
    if arguments.seconds:
        return row
    row["after"] = score(setup, stories, lambda: False)[1]
    if mean is not None:
        tuned = copied(trained_weights(setup.model))
        others = {"mean of last quarter": mean}
        others |= {
            f"mixed {share:g}": {name: torch.lerp(base[name], tuned[name], share) for name in base}
            for share in MIXED
        }
        for name, weights in others.items():
            set_weights(setup.model, weights)
            row[name] = score(setup, stories, lambda: False)[1]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("changes", nargs="*", default=[""])
    parser.add_argument("--base", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--positions", type=int, default=24576)
    parser.add_argument("--held-out", type=int, default=10)
    parser.add_argument("--tail", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--averages", action="store_true")
    parser.add_argument("--seconds", action="store_true")
    arguments = parser.parse_intermixed_args()
    keep_freed_memory()
    lines = arguments.out.read_text().splitlines() if arguments.out.exists() else []
    names = ("corpus", "change", "seed", "positions")
    done = [[row[name] for name in names] for row in map(json.loads, lines)]
    for change in arguments.changes:
        values = [arguments.corpus.name, change, arguments.seed, arguments.positions]
        if values in done:
            continue
        row = dict(zip(names, values, strict=True)) | train(arguments, change)
        with arguments.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

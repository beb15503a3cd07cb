"""Is the choice of the best weights reproducible? Trains with a tenth of the stories held out, once for each of several
tenths, and scores every held-out story at every validation.

    python benchmarks/validation_choice.py CORPUS --out ROWS.jsonl --folds 0 1 2 3 4 [--base tiny] [--epochs 8]
    python benchmarks/validation_choice.py --report ROWS.jsonl

The report compares the steps that the tenths choose, what a choice by another tenth would have lost, and how that loss
depends on the number of tokens that a validation scores.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fabula.corpus.clean import clean
from fabula.corpus.options import CleaningOptions
from fabula.corpus.store import open_corpus
from fabula.corpus.subset import cluster_of
from fabula.models.scoring import score_tokens
from fabula.training import loop
from fabula.training.recipe import Recipe
from fabula.training.train import train

NUM_FOLDS = 10
NUM_DRAWS = 500
TOKENS = (250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000)


def record(corpus: Path, fold: int, base: str, recipe: Recipe, rows: Path, max_stories: int | None) -> None:
    """Train with this tenth of the clusters held out, and append a row for each validation."""
    stories = sorted(open_corpus(corpus).stories(), key=lambda story: story.id)[:max_stories]
    clusters = sorted({cluster_of(story) for story in stories})
    held_out = {name for number, name in enumerate(clusters) if number % NUM_FOLDS == fold}

    class Recorder(loop.Loop):
        def _validate(self, due: int) -> None:
            super()._validate(due)
            setup, model = self.setup, self.setup.model
            model.eval()
            own = setup.validation
            losses = score_tokens(model, own.input_ids, setup.story_format)
            model.train()
            row = {
                "fold": fold,
                "step": self.state.step,
                "nats": [float(each[mask].sum()) for each, mask in zip(losses, own.is_text, strict=True)],
                "tokens": [len(each) for each in losses],
                "bytes": own.num_bytes,
            }
            with rows.open("a") as file:
                file.write(json.dumps(row) + "\n")

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with (folder / "stories.jsonl").open("w") as file:
            for story in stories:
                split = "validation" if cluster_of(story) in held_out else "train"
                file.write(json.dumps({"text": story.text, "split": split}) + "\n")
        options = CleaningOptions(rules="none", repair=False, copies="ignore")
        clean(folder / "stories.jsonl", folder / "corpus", options)
        original, loop.Loop = loop.Loop, Recorder
        try:
            train(folder / "corpus", folder / "model", base=base, recipe=recipe)
        finally:
            loop.Loop = original


def report(rows: Path) -> None:
    """Print what the recorded trainings say."""
    folds: dict[int, list[dict]] = {}
    for line in rows.read_text().splitlines():
        row = json.loads(line)
        folds.setdefault(row["fold"], []).append(row)
    curves = {fold: bits_of(records) for fold, records in folds.items()}
    steps = {fold: [row["step"] for row in records] for fold, records in folds.items()}
    print("tenth  stories  tokens  best step  bits per byte: base, best, last")
    for fold, records in sorted(folds.items()):
        curve = curves[fold]
        print(
            f"{fold:>5}  {len(records[0]['tokens']):>7}  {sum(records[0]['tokens']):>6}"
            f"  {steps[fold][int(curve.argmin())]:>9}  {curve[0]:.4f}, {curve.min():.4f}, {curve[-1]:.4f}"
        )
    chosen = {fold: int(curve.argmin()) for fold, curve in curves.items()}
    lost = [
        curves[g][min(chosen[f], len(curves[g]) - 1)] - curves[g].min()
        for f in chosen
        for g in chosen
        if f != g
    ]
    if lost:
        print(
            f"chosen by another tenth: mean loss {np.mean(lost):.4f} bits per byte, largest {max(lost):.4f}"
        )
    print("\ntokens scored  the same step  one validation off at most  mean loss  95 % of losses below")
    for num_tokens in TOKENS:
        losses, distances = choices(list(folds.values()), num_tokens)
        if losses:
            print(
                f"{num_tokens:>13,}  {np.mean(np.array(distances) == 0):>13.0%}  {np.mean(np.array(distances) <= 1):>26.0%}"
                f"  {np.mean(losses):>9.4f}  {np.quantile(losses, 0.95):>22.4f}"
            )


def bits_of(records: Sequence[dict], chosen: np.ndarray | None = None) -> np.ndarray:
    """[validations] bits per byte over all held-out stories, or over the chosen ones."""
    nats, sizes = np.array([row["nats"] for row in records]), np.array(records[0]["bytes"])
    if chosen is not None:
        nats, sizes = nats[:, chosen], sizes[chosen]
    return nats.sum(axis=1) / sizes.sum() / np.log(2)


def choices(folds: Sequence[Sequence[dict]], num_tokens: int) -> tuple[list[float], list[int]]:
    """Draw stories of about so many tokens, let them choose the step, and judge the choice by the other stories of the
    same tenth: bits per byte lost, and validations between the two choices. Empty if a tenth has less than three times
    as many tokens."""
    draw = np.random.default_rng(0)
    losses, distances = [], []
    for records in folds:
        tokens = np.array(records[0]["tokens"])
        if tokens.sum() < 3 * num_tokens:
            continue
        for _ in range(NUM_DRAWS):
            order = draw.permutation(len(tokens))
            count = 1 + int(np.searchsorted(np.cumsum(tokens[order]), num_tokens))
            if count >= len(order):
                continue
            by, others = bits_of(records, order[:count]), bits_of(records, order[count:])
            losses.append(float(others[by.argmin()] - others.min()))
            distances.append(abs(int(by.argmin()) - int(others.argmin())))
    return losses, distances


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(NUM_FOLDS)))
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--validations", type=int, default=16)
    parser.add_argument("--max-stories", type=int)
    arguments = parser.parse_args()
    if arguments.report is not None:
        report(arguments.report)
        return
    if arguments.corpus is None or arguments.out is None:
        parser.error("name a corpus and --out, or --report")
    recipe = Recipe(
        num_epochs=arguments.epochs, num_validations=arguments.validations, patience=0, sample_tokens=0
    )
    for fold in arguments.folds:
        record(arguments.corpus, fold, arguments.base, recipe, arguments.out, arguments.max_stories)
    report(arguments.out)


if __name__ == "__main__":
    main()

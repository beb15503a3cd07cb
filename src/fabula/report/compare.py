"""One page over several runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fabula.errors import FabulaError
from fabula.files import MANIFEST, atomic_file, read_json
from fabula.models.records import LOG, METRICS, RUN, SAMPLES, read_rows
from fabula.report.render import (
    MEASURES,
    colours,
    environment,
    optional_json,
    pair_samples,
    perplexity_gaps,
    rows_with,
    summarise_training,
)

COMPARISON = "comparison.html"
NUM_STORIES = 2
"""Stories shown of each run: one that goes on from an opening, one from nothing."""


def compare(runs: Sequence[str | Path], *, out: str | Path = COMPARISON) -> Path:
    """Write a page that shows several runs side by side: the last model of each, their curves, figures and stories.

    Args:
        runs: folders of finished runs, two or more.
        out: the page.

    Returns:
        The page's path.

    Raises:
        FabulaError: fewer than two runs, or a folder that holds no finished run.
    """
    if len(runs) < 2:
        raise FabulaError("a comparison takes two runs or more")
    out = Path(out)
    page = environment().get_template("compare.html").render(gather_runs([Path(run) for run in runs]))
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(out) as file:
        file.write(page)
    return out


def gather_runs(folders: Sequence[Path]) -> dict[str, Any]:
    """All that the template shows."""
    runs = [gather_run(folder, colour) for folder, colour in zip(folders, colours(len(folders)), strict=True)]
    return {
        "runs": runs,
        "measures": MEASURES,
        "same_stories": len({run["held_out"] for run in runs}) == 1,
        "figures": draw_runs(runs),
    }


def gather_run(folder: Path, colour: str) -> dict[str, Any]:
    """What is shown of one run."""
    if not (folder / METRICS).is_file():
        raise FabulaError("this folder holds no finished run", where=folder, hint="make one with: fabula run")
    metrics = read_json(folder / METRICS)
    corpus = optional_json(folder / "corpus" / MANIFEST)
    log = list(read_rows(folder / "model" / LOG))
    last = metrics["models"][-1]
    samples = [row for row in read_rows(folder / SAMPLES) if row["model"] == last["name"]]
    pairs, _ = pair_samples(samples[:NUM_STORIES], [last["name"]])
    run = optional_json(folder / RUN) or {}
    return {
        "name": run.get("name") or folder.resolve().name,
        "command": run.get("command"),
        "colour": colour,
        "metrics": metrics,
        "base": metrics["models"][0] if len(metrics["models"]) > 1 else None,
        "last": last,
        "gap": perplexity_gaps(metrics)[-1],
        "training": summarise_training(log),
        "checks": rows_with(log, "bits_per_byte"),
        "held_out": (corpus["counts"].get("content") if corpus else folder, *metrics["held_out"].values()),
        "pairs": pairs,
    }


def draw_runs(runs: Sequence[dict[str, Any]]) -> dict[str, Markup]:
    """The runs' curves over time, and their last models' bits per byte."""
    from fabula.report.figures import Bar, Curve, draw_curves, draw_intervals

    figures = {
        "likelihood": draw_intervals(
            [
                Bar(run["name"], **run["last"]["likelihood"]["bits_per_byte"], colour=run["colour"])
                for run in runs
            ],
            "Bits per byte of held-out stories, run by run, with 95 % intervals",
            "bits per byte (fewer is better)",
        )
    }
    curves = [
        Curve(
            [row["seconds"] / 60 for row in run["checks"]],
            [row["bits_per_byte"] for row in run["checks"]],
            run["name"],
            run["colour"],
        )
        for run in runs
        if len(run["checks"]) > 1
    ]
    if curves:
        figures["curves"] = draw_curves(
            curves, "Bits per byte of held-out stories over the minutes of training", "minutes of training"
        )
    return figures

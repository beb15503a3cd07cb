"""`make faults`: whole runs that are killed at random moments in every stage and restarted until they end, compared
with an undisturbed run.

    python tests/faults/kills.py --rounds 14

Each round is a fresh folder; in each of its stages the command is killed once, at a moment drawn from the seed: after so
many reports of progress and a fraction of a second, after so many seconds, or when a file of some name appears. In the
end every file must equal that of the undisturbed run, and no half-written file may be left.
"""

import argparse
import collections
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from whole_run import FRESH, RUN, STAGES, Started, differences, fabula, make_work, results, strays

FILES = {
    "clean": ["mine/corpus.partial/data/*", "mine/corpus.partial/.spool-*"],
    "write corpus": ["mine/corpus.partial/ledger.jsonl", "mine/corpus.partial/manifest.json*"],
    "prepare": [
        "cache/tokens/*.partial",
        "cache/tokens/*/offsets.npy",
        "mine/model.checkpoints",
        "mine/model.checkpoints/*/step-00000000*.partial",
    ],
    "train": [
        "mine/model.checkpoints/*/step-*[1-9]*.partial",
        "mine/model.checkpoints/*/step-*[1-9]*.partial/optimizer.safetensors",
        "mine/model.checkpoints/*/best-*[1-9]*.partial",
        "mine/model.checkpoints/*/step-*[1-9]*/state.json",
        "mine/model.partial",
        "mine/model.partial/model.safetensors",
    ],
    "tune": ["mine/log.jsonl", "cache/engines/*.partial", "mine/tuning.json*"],
    "evaluate": ["cache/engines/*/text.json", "mine/samples.jsonl*"],
    "report": ["mine/metrics.json", "mine/report.html.partial"],
}
"""Names whose appearance is a moment worth killing at, by stage."""

SECONDS = {"clean": 0.02, "write corpus": 0.02, "prepare": 2.0}
"""Mean time from a report to the kill, where the stage is not about 0.2 s from one report to the next."""

FRESH_FILES = [
    "mine.checkpoints/*/base.partial",
    "mine.checkpoints/*/base.partial/model.safetensors",
    "mine.checkpoints/*/base/tokenizer.json",
]


def moment(
    draw: random.Random, work: Path, stage: str, num_reports: int
) -> tuple[str, Callable[[Started], bool]]:
    """A moment in a stage: in words, and whether it has come.

    Args:
        num_reports: number of reports of this stage in an undisturbed run.
    """
    files = FILES.get(stage, [])
    if stage == "start":
        after = draw.uniform(0.02, 0.9)
        return f"{after:.2f} s after the start", lambda run: time.monotonic() - run.began > after
    if stage == "report" or (files and draw.random() < 0.4):
        name = draw.choice(files)
        before = set(work.glob(name))
        return f"when {name} appears", lambda run: bool(set(work.glob(name)) - before) or is_past(run, stage)
    count, after = draw.randint(1, max(1, num_reports)), draw.expovariate(1 / SECONDS.get(stage, 0.2))

    def ready(run: Started) -> bool:
        times = [at for at, of in list(run.reports) if of == stage]
        if len(times) < count:
            return is_past(run, stage)  # a resumed run has fewer reports left
        return time.monotonic() - run.began > times[count - 1] + after

    return f"{after:.3f} s after report {count} of {num_reports}", ready


def is_past(run: Started, stage: str) -> bool:
    """Whether the run has gone beyond a stage."""
    return STAGES.index(run.stage) > STAGES.index(stage)


def left_alone(work: Path) -> tuple[dict[str, bytes], dict[str, int]]:
    """Results of the undisturbed run, and its number of reports in each stage."""
    run = Started.of(work)
    if run.wait(1200):
        raise SystemExit("\n".join(run.errors))
    return results(work / "mine"), collections.Counter(stage for _, stage in run.reports)


def killed_run(
    work: Path, draw: random.Random, stages: Sequence[str], num_reports: dict[str, int]
) -> list[dict[str, Any]]:
    """A run that is killed once in each of `stages`, in order, and then runs to its end."""
    kills = []
    for stage in stages:
        words, ready = moment(draw, work, stage, num_reports.get(stage, 0))
        run = Started.of(work)
        if run.kill_when(ready):
            kills.append({"stage": stage_at_death(work, run), "moment": words})
        elif run.process.returncode:
            raise SystemExit("\n".join(run.errors))
    done = fabula(work, *RUN, "--quiet", timeout=1200)
    if done.returncode:
        raise SystemExit(done.stderr)
    return kills


def stage_at_death(work: Path, run: Started) -> str:
    """The stage of the last report, or the next one if the result of that stage existed already."""
    if (work / "mine" / "metrics.json").exists():
        return "report"
    if run.stage == "write corpus" and (work / "mine" / "corpus").exists():
        return "prepare"
    return run.stage


def killed_fresh(work: Path, draw: random.Random) -> list[dict[str, Any]]:
    """A training that makes its own base, is killed while it does, and then runs to its end."""
    kills = []
    for name in draw.sample(FRESH_FILES, 2):
        before = set(work.glob(name))
        run = Started.of(work, FRESH)
        if run.kill_when(lambda _, name=name, before=before: bool(set(work.glob(name)) - before)):
            kills.append({"stage": "fresh base", "moment": f"when {name} appears"})
    done = fabula(work, *FRESH, "--quiet", timeout=1200)
    if done.returncode:
        raise SystemExit(done.stderr)
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=14)
    parser.add_argument("--first", type=int, default=0, help="number of the first round; it is the seed, too")
    parser.add_argument(
        "--folder", type=Path, help="where to work, and to go on with the undisturbed run there"
    )
    parser.add_argument("--record", type=Path, help="a JSON line for each round is added to this file")
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="fabula-faults-"))
    rows = [run_round(folder, number) for number in range(chosen.first, chosen.first + chosen.rounds)]
    if chosen.record:
        with chosen.record.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    print(table(rows))
    if chosen.folder is None:
        shutil.rmtree(folder)
    sys.exit(any(row["differences"] or row["strays"] for row in rows))


def run_round(folder: Path, number: int) -> dict[str, Any]:
    """One folder, killed in every stage; every fourth round, a training with a fresh base as well."""
    began, draw = time.monotonic(), random.Random(number)
    kept = folder / "left-alone.json"
    if not kept.exists():
        alone = make_work(folder / "left-alone")
        _, reports = left_alone(alone)
        fresh = fabula(make_fresh(folder / "fresh-alone", alone), *FRESH, "--quiet", timeout=1200)
        assert fresh.returncode == 0, fresh.stderr
        kept.write_text(json.dumps(reports))
    expected = results(folder / "left-alone" / "mine")
    work = make_work(folder / f"round-{number}")
    kills = killed_run(work, draw, STAGES, json.loads(kept.read_text()))
    found = results(work / "mine")
    row = {
        "round": number,
        "kills": kills,
        "num_files": len(found),
        "differences": differences(found, expected),
        "strays": strays(work),
    }
    shutil.rmtree(work)
    if number % 4 == 0:
        work = make_fresh(folder / f"fresh-{number}", folder / "left-alone")
        row["kills"] += killed_fresh(work, draw)
        found = results(work / "mine")
        row["num_files"] += len(found)
        row["differences"] += differences(found, results(folder / "fresh-alone" / "mine"))
        row["strays"] += strays(work)
        shutil.rmtree(work)
    took = time.monotonic() - began
    print(f"round {number}: {len(kills)} kills, {row['num_files']} files compared, {took:.0f} s", flush=True)
    for kill in kills:
        print(f"    {kill['stage']:<13} {kill['moment']}", flush=True)
    return row


def make_fresh(work: Path, alone: Path) -> Path:
    """A folder for `FRESH`, with the corpus of the undisturbed run."""
    make_work(work)
    shutil.copytree(alone / "mine" / "corpus", work / "corpus")
    return work


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rounds in figures."""
    by_stage = collections.Counter(kill["stage"] for row in rows for kill in row["kills"])
    lines = [
        "stage killed    kills",
        *(f"{stage:<15} {by_stage[stage]:>5}" for stage in (*STAGES, "fresh base")),
    ]
    lines.append(f"{'all':<15} {by_stage.total():>5}")
    lines.append(f"rounds {len(rows)}, files compared {sum(row['num_files'] for row in rows)}")
    for row in rows:
        for what in ("differences", "strays"):
            lines += [f"round {row['round']}: {what}: {name}" for name in row[what]]
    if not any(row["differences"] or row["strays"] for row in rows):
        lines.append("no difference, nothing half-written left")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

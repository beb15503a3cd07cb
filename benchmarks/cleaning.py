"""Speed and memory of cleaning, beside the notebook's pattern and datatrove.

    python benchmarks/cleaning.py --data ../shared/data [--megabytes 210] [--rounds 3] [--datatrove PYTHON]

Makes one file of stories in the notebook's format out of real ones: every turn takes each story again with one word in
seven replaced by another one of the corpus (so that turns are no near-copies of each other), gives one in four a
real note at its end, and adds 2 % exact copies and 3 % near-copies. Then runs, on this file, each as a process of its own:
`fabula clean` on one core without and with the search for copies, and on two; the notebook's pattern; and, with the
Python of an environment where datatrove is installed, its reader with the C4 filter, and its MinHash. The slow ones run
on the first megabytes (never more than the file has), and fabula on one core runs on these, too, so that they can be
compared. A round runs each of them once; what is printed are medians over the rounds, and medians of the ratios within a
round. Rates are megabytes of input per second of wall time, and per second of processor time, which a busy machine
falsifies less. A round over 210 MB takes some minutes, one over 2 GB of fabula alone (--megabytes
2000 --rounds 1 --only fabula) about a quarter of an hour. --only ray runs two cores without and with Ray, kills one of
Ray's workers after a minute, and prints the hash of both corpora, which must be the same.
"""

import argparse
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

FEW_BYTES = 5_000_000
NOTEBOOK_CODE = (
    "import re, sys; text = open(sys.argv[1], encoding='utf-8').read(); "
    "re.sub(sys.argv[2], '<eos>', text, flags=re.I)"
)
NOTEBOOK_PATTERN = r"<nl>.*?(\[.*?\]\(http[s]?://\S+\)|subscribe|/r/|PART \d+).*?<eos>"

DATATROVE = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature,
)
from datatrove.pipeline.filters import C4QualityFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import ParquetWriter

task, source, out = sys.argv[1:]
config = MinhashConfig(n_grams=5, num_buckets=20, hashes_per_bucket=6)

def run(name, *steps, tasks=1):
    LocalPipelineExecutor(pipeline=list(steps), tasks=tasks, workers=1, logging_dir=f"{out}/logs/{name}").run()

reader = JsonlReader(source)
if task == "c4":
    run("filter", reader, C4QualityFilter(), ParquetWriter(out + "/kept"))
else:
    run("signatures", reader, MinhashDedupSignature(output_folder=out + "/signatures", config=config))
    run("buckets", MinhashDedupBuckets(out + "/signatures", out + "/buckets", config=config), tasks=20)
    run("clusters", MinhashDedupCluster(out + "/buckets", out + "/remove", config=config))
    run("filter", reader, MinhashDedupFilter(out + "/remove"), ParquetWriter(out + "/kept"))
"""


def real_stories(data: Path) -> tuple[list[str], list[str]]:
    """Clean stories as paragraphs joined by newlines, and real notes."""
    stories = []
    for path in sorted((data / "stories").glob("*.jsonl")):
        stories += [json.loads(line)["text"] for line in path.open(encoding="utf-8")]
    for line in (data / "bench" / "ohenry.txt").open(encoding="utf-8"):
        stories.append(
            re.sub(r"\s?<nl>\s?", "\n", line.strip().removeprefix("<sos>").removesuffix("<eos>").strip())
        )
    notes = []
    raw = (data / "wp-gold" / "dev.txt").open(encoding="utf-8")
    gold = (data / "wp-gold" / "dev.gold.jsonl").open(encoding="utf-8")
    for line, labels in zip(raw, gold, strict=True):
        text = re.sub(r"\s?<nl>\s?", "\n", line.strip().removeprefix("<sos>").removesuffix("<eos>").strip())
        notes += [
            text[start:end].strip() for start, end, _ in json.loads(labels)["spans"] if end > len(text) - 5
        ]
    return [re.sub(r"\n+", "\n", text) for text in stories], [note for note in notes if note]


def make_stories(data: Path, path: Path, num_bytes: int) -> None:
    stories, notes = real_stories(data)
    words = [word for text in stories[::20] for word in text.split() if word.isalpha()]
    draw = random.Random(1)
    written = 0
    recent: list[str] = []

    def changed(text: str, share: float) -> str:
        lines = [line.split(" ") for line in text.split("\n")]
        for line in lines:
            for place in range(len(line)):
                if draw.random() < share:
                    line[place] = draw.choice(words)
        return "\n".join(" ".join(line) for line in lines)

    with path.open("w", encoding="utf-8") as file:
        number = 0
        while written < num_bytes:
            fate = draw.random()
            if fate < 0.02 and recent:
                text = draw.choice(recent)
            elif fate < 0.05 and recent:
                text = changed(draw.choice(recent), 0.01)
            else:
                text = stories[number % len(stories)]
                if number >= len(stories):
                    text = changed(text, 1 / 7)
                number += 1
                if draw.random() < 0.25:
                    text += "\n" + draw.choice(notes)
                recent = [*recent[-200:], text]
            line = f"<sos> {text.replace(chr(10), ' <nl> ')} <eos>\n"
            written += len(line.encode())
            file.write(line)


def head(path: Path, num_bytes: int, out: Path, rows: bool = False) -> Path:
    """The first stories of a file, up to a size; as JSON Lines for datatrove."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with path.open(encoding="utf-8") as file, out.open("w", encoding="utf-8") as target:
        size = 0
        for number, line in enumerate(file):
            size += len(line.encode())
            if size > num_bytes:
                break
            text = line.strip().removeprefix("<sos> ").removesuffix(" <eos>").replace(" <nl> ", "\n")
            target.write(json.dumps({"text": text, "id": str(number)}) + "\n" if rows else line)
    return out


def on_cores(count: int) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


class Run(NamedTuple):
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: float


RAY_WORKER = "ray::clean_batches"
LOST_AFTER_SECONDS = 60


def measure(command: list[str], cores: int, folder: Path) -> Run:
    """Run a command on some cores, in `folder`, where it may leave what it likes. A worker of Ray is killed on the way.

    Memory is that of all its processes at the most; pages that several share are counted once.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    environment = os.environ | {"RAYON_NUM_THREADS": str(cores), "OMP_NUM_THREADS": str(cores)}
    peak, lost = 0, None
    taken: dict[
        int, float
    ] = {}  # by each process; Ray's end after the command, so the system counts them elsewhere
    with (folder / "errors").open("w+") as errors:
        child = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            preexec_fn=on_cores(cores),
            env=environment,
            cwd=folder,
        )
        process = psutil.Process(child.pid)
        while child.poll() is None:
            with suppress(psutil.Error):
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(one.memory_full_info().pss for one in family))
                taken |= {one.pid: sum(one.cpu_times()[:2]) for one in family}
                busy = [one for one in family if one.cmdline()[:1] == [RAY_WORKER]]
                if busy and not lost and time.perf_counter() - began > LOST_AFTER_SECONDS:
                    lost = busy[0].pid
                    busy[0].kill()
                    print(f"killed a worker of Ray, after {time.perf_counter() - began:.0f} s", flush=True)
            time.sleep(0.5)
        seconds = time.perf_counter() - began
        if child.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, max(cpu, sum(taken.values())), peak)


class Contender(NamedTuple):
    """Something to measure: its command, the file that it reads, and on how many cores."""

    command: list[str]
    path: Path
    cores: int


def contenders(path: Path, work: Path, only: str | None, datatrove: str | None) -> dict[str, Contender]:
    clean = [
        sys.executable,
        "-m",
        "fabula",
        "-q",
        "clean",
        "--rules",
        "reddit",
        "--out",
        str(work / "corpus"),
    ]
    ignore = ["--copies", "ignore"]
    found: dict[str, Contender] = {}

    def fabula(name: str, path: Path, cores: int, *more: str) -> None:
        found[name] = Contender([*clean, str(path), "--workers", str(cores), *more], path, cores)

    if only in (None, "ray"):
        fabula("fabula, Ray on two cores, one worker killed", path, 2, "--ray", "local")
    if only in (None, "fabula"):
        fabula("fabula, one core, copies not looked for", path, 1, *ignore)
        fabula("fabula, one core, copies dropped", path, 1)
        fabula("fabula, two cores, copies not looked for", path, 2, *ignore)
    if only in (None, "fabula", "ray"):
        fabula("fabula, two cores, copies dropped", path, 2)
    if only in (None, "peers"):
        few = head(path, FEW_BYTES, work / "few.txt")
        fabula("fabula, one core, copies not looked for (few)", few, 1, *ignore)
        fabula("fabula, one core, copies dropped (few)", few, 1)
        found["notebook's pattern, one core (few)"] = Contender(
            [sys.executable, "-c", NOTEBOOK_CODE, str(few), NOTEBOOK_PATTERN], few, 1
        )
        if datatrove:
            script = work / "datatrove_run.py"
            script.write_text(DATATROVE)
            rows = head(path, FEW_BYTES, work / "rows" / "few.jsonl", rows=True)
            for name, task in (
                ("datatrove, one core, reader and C4 filter (few)", "c4"),
                ("datatrove, one core, reader and MinHash (few)", "minhash"),
            ):
                command = [datatrove, str(script), task, str(rows.parent), str(work / "datatrove")]
                found[name] = Contender(command, rows, 1)
    return found


RATIOS = (
    ("fabula, two cores, copies not looked for", "fabula, one core, copies not looked for"),
    ("fabula, two cores, copies dropped", "fabula, one core, copies dropped"),
    ("fabula, one core, copies not looked for (few)", "notebook's pattern, one core (few)"),
    (
        "fabula, one core, copies not looked for (few)",
        "datatrove, one core, reader and C4 filter (few)",
    ),
    ("fabula, one core, copies dropped (few)", "datatrove, one core, reader and MinHash (few)"),
)
"""How many times as fast the first is as the second."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with stories/, bench/ and wp-gold/")
    parser.add_argument("--megabytes", type=float, default=210)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--datatrove", help="Python of an environment with datatrove")
    parser.add_argument("--only", choices=["fabula", "ray", "peers"], help="leave the others out")
    parser.add_argument("--file", type=Path, help="make the stories here, or use those that are there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fabula-bench-") as folder:
        work = Path(folder)
        path = options.file.resolve() if options.file else work / "stories.txt"
        if not path.exists():
            make_stories(options.data, path, int(options.megabytes * 1e6))
        found = contenders(path, work, options.only, options.datatrove)
        runs: dict[str, list[Run]] = {name: [] for name in found}
        for number in range(options.rounds):
            for name, (command, _, cores) in found.items():
                with tempfile.TemporaryDirectory(dir=work) as here:
                    runs[name].append(measure(command, cores, Path(here)))
                if (manifest := work / "corpus" / "manifest.json").is_file():
                    content = json.loads(manifest.read_text(encoding="utf-8"))["counts"]["content"]
                    print(f"corpus {content}", flush=True)
                for left in ("corpus", "datatrove"):
                    shutil.rmtree(work / left, ignore_errors=True)
                run = runs[name][-1]
                print(
                    f"round {number + 1}: {name}: {run.seconds:.1f} s, {run.cpu_seconds:.1f} cpu-s",
                    flush=True,
                )
        print(
            f"\nmedians of {options.rounds} rounds{'MB':>23} {'MB/s':>9} {'MB/cpu-s':>9} {'memory, MB':>11}"
        )
        for name, (_, source, _) in found.items():
            size = source.stat().st_size / 1e6
            wall = median(size / run.seconds for run in runs[name])
            cpu = median(size / run.cpu_seconds for run in runs[name])
            peak = median(run.peak_bytes for run in runs[name])
            print(f"{name:<50} {size:6.0f} {wall:9.2f} {cpu:9.2f} {peak / 1e6:11.0f}")
        print(f"\n{'times as fast, medians of the rounds':<104} {'wall':>6} {'cpu':>6}")
        for one, other in RATIOS:
            if one in runs and other in runs:
                pairs = list(zip(runs[one], runs[other], strict=True))
                wall = median(theirs.seconds / ours.seconds for ours, theirs in pairs)
                cpu = median(theirs.cpu_seconds / ours.cpu_seconds for ours, theirs in pairs)
                print(f"{one:<48} than {other:<50} {wall:6.2f} {cpu:6.2f}")


if __name__ == "__main__":
    main()

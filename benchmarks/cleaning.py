"""Speed and memory of cleaning, beside the seed notebook's pattern and datatrove.

    python benchmarks/cleaning.py --data ../shared/data [--megabytes 210] [--datatrove PYTHON]

Makes one file of stories in the seed's format out of real ones: every round takes each story again with one word in
seven replaced by another one of the corpus (so that rounds are no near-copies of each other), gives one in four a
real note at its end, and adds 2 % exact copies and 3 % near-copies. Then runs, on this file, each as a process of its own:
`fabula clean` on one core without and with the search for copies, and on two; the seed's pattern; and, with the
Python of an environment where datatrove is installed, its reader with the C4 filter, and its MinHash. What would take
more than a few minutes runs on the first megabytes, and says so. The rates are megabytes of input per second of wall time, and per
second of processor time, which a busy machine falsifies less. On a file of 2 GB (--megabytes 2000 --only fabula)
it takes about a quarter of an hour.
"""

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SEED_PATTERN = r"<nl>.*?(\[.*?\]\(http[s]?://\S+\)|subscribe|/r/|PART \d+).*?<eos>"

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

def run(*steps, tasks=1):
    LocalPipelineExecutor(pipeline=list(steps), tasks=tasks, workers=1, logging_dir=out + "/logs").run()

reader = JsonlReader(source)
if task == "c4":
    run(reader, C4QualityFilter(), ParquetWriter(out + "/kept"))
else:
    run(reader, MinhashDedupSignature(output_folder=out + "/signatures", config=config))
    run(MinhashDedupBuckets(out + "/signatures", out + "/buckets", config=config), tasks=20)
    run(MinhashDedupCluster(out + "/buckets", out + "/remove", config=config))
    run(reader, MinhashDedupFilter(out + "/remove"), ParquetWriter(out + "/kept"))
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


def measure(name: str, command: list[str], path: Path, cores: int) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    environment = os.environ | {"RAYON_NUM_THREADS": str(cores), "OMP_NUM_THREADS": str(cores)}
    peak = 0
    child = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=on_cores(cores),
        env=environment,
        text=True,
    )
    try:
        import psutil

        process = psutil.Process(child.pid)
        while child.poll() is None:
            try:
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in family))
            except psutil.Error:
                pass
            time.sleep(0.2)
    finally:
        _, error = child.communicate()
    if child.returncode:
        print(
            f"{name:<44} failed: {error.strip().splitlines()[-1] if error.strip() else child.returncode}",
            flush=True,
        )
        return
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = path.stat().st_size / 1e6
    print(
        f"{name:<44} {size:7.0f} MB {seconds:8.1f} s {size / seconds:7.2f} MB/s {size / cpu:7.2f} MB/cpu-s {peak / 1e6:8.0f} MB memory",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with stories/, bench/ and wp-gold/")
    parser.add_argument("--megabytes", type=float, default=210)
    parser.add_argument("--datatrove", help="Python of an environment with datatrove")
    parser.add_argument("--only", choices=["fabula", "peers"], help="leave the others out")
    parser.add_argument("--file", type=Path, help="make the stories here, or use those that are there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fabula-bench-") as folder:
        work = Path(folder)
        path = options.file or work / "stories.txt"
        if not path.exists():
            make_stories(options.data, path, int(options.megabytes * 1e6))
        if options.only != "peers":
            clean = [sys.executable, "-m", "fabula", "-q", "clean", str(path), "--rules", "reddit"]
            for name, cores, more in (
                ("fabula, one core, copies not looked for", 1, ["--copies", "ignore"]),
                ("fabula, one core, copies dropped", 1, []),
                ("fabula, two cores, copies not looked for", 2, ["--copies", "ignore"]),
                ("fabula, two cores, copies dropped", 2, []),
            ):
                measure(
                    name, [*clean, "--out", str(work / "corpus"), "--workers", str(cores), *more], path, cores
                )
                subprocess.run(["rm", "-rf", str(work / "corpus")], check=True)
        if options.only == "fabula":
            return
        few = head(path, 10_000_000, work / "few.txt")
        code = "import re, sys; t = open(sys.argv[1], encoding='utf-8').read(); re.sub(sys.argv[2], '<eos>', t, flags=re.I)"
        measure("seed's pattern, one core", [sys.executable, "-c", code, str(few), SEED_PATTERN], few, 1)
        if options.datatrove:
            script = work / "datatrove_run.py"
            script.write_text(DATATROVE)
            for name, task, size in (
                ("datatrove, one core, reader and C4 filter", "c4", 4_000_000),
                ("datatrove, one core, reader and MinHash", "minhash", 10_000_000),
            ):
                rows = head(path, size, work / task / "in" / "few.jsonl", rows=True)
                command = [options.datatrove, str(script), task, str(rows.parent), str(work / task / "out")]
                measure(name, command, rows, 1)


if __name__ == "__main__":
    main()

"""A whole `fabula run` that takes seconds: its stories, its base model, the real command, and the results that must be
the same."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECIPE = """\
num_epochs = 2
batch_tokens = 256
context_length = 64
num_validations = 4
learning_rate = 0.0005
sample_tokens = 4
patience = 0
"""

RUN = ("run", "stories.jsonl", "--base", "small", "--recipe", "quick.toml", "--out", "mine")

STAGES = ("start", "clean", "write corpus", "prepare", "train", "tune", "evaluate", "report")
"""In the order in which a run goes through them. "start" lasts until the first report, "prepare" from the corpus to
the first step, and "report" is what comes after `metrics.json`."""

FRESH = ("train", "corpus", "--init", "small.json", "--recipe", "quick.toml", "--out", "mine")
"""A training that begins with a tokenizer and random weights of its own making."""

CLOCKED = ("log.jsonl", "model/log.jsonl", "metrics.json", "report.html")
"""Files with seconds in them, which are never the same twice."""


NO_RESULTS = (".lock", "events.jsonl")
"""Files of a run that are not results: its lock, and the progress that it reported."""


def make_work(folder: Path, *, num_stories: int = 14, num_held_out: int = 4) -> Path:
    """A folder with some of the bundled sample stories, a recipe that is quick, and a base model that ends stories soon.

    Enough stories are held out for the run to try sampling settings too.
    """
    from fabula.corpus.read import open_stories
    from fabula.pipeline.run import sample_stories

    folder.mkdir(parents=True, exist_ok=True)
    stories = sorted(open_stories(sample_stories()), key=lambda story: len(story.text))[:num_stories]
    with (folder / "stories.jsonl").open("w", encoding="utf-8") as file:
        for number, story in enumerate(stories):
            split = "validation" if number < num_held_out else "train"
            file.write(json.dumps({"text": story.text, "split": split}) + "\n")
    (folder / "quick.toml").write_text(RECIPE)
    make_base(folder / "small", [story.text for story in stories])
    (folder / "small.json").write_text(
        json.dumps({"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": 64})
    )
    return folder


def make_base(folder: Path, texts: Sequence[str]) -> None:
    """A GPT-2 of 2 layers with random weights, except that it ends a story at about one token in twenty."""
    import torch
    from transformers import GPT2Config

    from fabula.models.fresh import fresh_model
    from fabula.tokens.tokenizer import end_of_text_id, train_tokenizer

    tokenizer = train_tokenizer(texts, 512, context_length=64)
    end = end_of_text_id(tokenizer)
    config = GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=64)
    model: Any = fresh_model(config, vocab_size=len(tokenizer), end_of_text=end, seed=0)
    with (
        torch.no_grad()
    ):  # one direction of the hidden state is the same at every position, and means the end
        model.transformer.ln_f.weight[0] = 0.0
        model.transformer.ln_f.bias[0] = 1.0
        model.transformer.wte.weight[:, 0] = 0.0
        model.transformer.wte.weight[end, 0] = float(torch.log(torch.tensor(len(tokenizer) / 20)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def environment(work: Path) -> dict[str, str]:
    """Offline, one thread, and a cache that belongs to this folder."""
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "FABULA_CACHE": str(work / "cache"),
    }


def fabula(work: Path, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command and wait for it."""
    return subprocess.run(
        [sys.executable, "-m", "fabula", *arguments],
        cwd=work,
        env=environment(work),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


@dataclass
class Started:
    """A command that is running.

    Attributes:
        reports: (seconds since the start, stage) of each progress report so far.
        errors: lines on standard error that are not reports.
    """

    process: subprocess.Popen[str]
    began: float
    reports: list[tuple[float, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    @classmethod
    def of(cls, work: Path, arguments: Sequence[str] = RUN, prefix: Sequence[str] = ()) -> "Started":
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "fabula", "--progress", "json", *arguments],
            cwd=work,
            env=environment(work),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        started = cls(process, time.monotonic())
        started.reader = threading.Thread(target=started._read, daemon=True)
        started.reader.start()
        return started

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                report = json.loads(line)
            except ValueError:
                self.errors.append(line.rstrip())
                continue
            self.reports.append((time.monotonic() - self.began, stage_of(report, self.stage)))

    @property
    def stage(self) -> str:
        return self.reports[-1][1] if self.reports else "start"

    def wait(self, timeout: float = 300) -> int:
        """The exit code."""
        code = self.process.wait(timeout)
        assert self.reader is not None
        self.reader.join()
        return code

    def kill_when(self, ready: Callable[["Started"], bool], timeout: float = 600) -> bool:
        """Send SIGKILL as soon as `ready`. False if the command ended before that."""
        until = time.monotonic() + timeout
        while self.process.poll() is None:
            if ready(self):
                self.process.kill()
                break
            assert time.monotonic() < until, f"still in {self.stage}"
            time.sleep(0.0005)
        return self.wait() == -signal.SIGKILL


def stage_of(report: dict[str, Any], before: str) -> str:
    """The stage of `STAGES` that a progress report belongs to."""
    stage = report["stage"]
    if stage == "run" or (stage == "write" and report["message"] and before in ("clean", "write corpus")):
        return "prepare"  # the plan of the run, and what is converted to measure speeds for it
    if stage == "save":
        return "write corpus"
    if stage == "write":
        return max(before, "tune", key=STAGES.index)
    if stage == "evaluate" and not report["message"]:
        return before  # scores that the tuning asks for, too
    return "prepare" if stage == "tokenise" or (stage == "train" and not report["total"]) else stage


def without_clock(name: str, content: bytes) -> bytes:
    """A file's content without its seconds."""
    if name not in CLOCKED:
        return content
    if name.endswith("log.jsonl"):
        rows = [json.loads(line) for line in content.splitlines()]
        for row in rows:
            row.pop("seconds", None)
            row.pop("tokens_per_second", None)
        return json.dumps(rows).encode()
    if name == "metrics.json":
        metrics = json.loads(content)
        for model in metrics["models"]:
            if model["training"]:
                del model["training"]["seconds"]
        return json.dumps(metrics).encode()
    # The report's mark is a hash of files that have seconds in them.
    return re.sub(rb'in [\d .,a-z]+, [\d,]+ tokens per second|name="made-of" content="\w+"', b"", content)


def results(folder: Path) -> dict[str, bytes]:
    """Every file of a run by its path, without the times in it."""
    return {
        name: without_clock(name, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (name := path.relative_to(folder).as_posix()) and path.name not in NO_RESULTS
    }


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Names of files that one has and the other has not, or that differ."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def strays(work: Path) -> list[str]:
    """Half-written files in the run's folder or in the cache."""
    return sorted(
        path.relative_to(work).as_posix()
        for path in work.rglob("*")
        if re.search(r"\.partial$|^\.spool-|^tmp", path.name)
    )

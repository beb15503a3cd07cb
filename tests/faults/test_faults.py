"""A whole run with every kind of failure, through the real command. `make faults` does the same for an hour."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from kills import killed_run
from whole_run import RUN, STAGES, Started, differences, environment, fabula, make_work, results, strays

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and modes of POSIX systems")

SOURCE = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Alone:
    """The run that was left alone: its folder, its results, its number of reports in each stage, and what the command said
    that was started in the same folder meanwhile."""

    work: Path
    results: dict[str, bytes]
    num_reports: dict[str, int]
    second: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    work = make_work(tmp_path_factory.mktemp("alone"))
    run = Started.of(work)
    while run.stage == "start":
        assert run.process.poll() is None, run.errors
    run.process.send_signal(
        signal.SIGSTOP
    )  # on a busy machine it would end before the second one has started
    second = fabula(work, *RUN, "--quiet")
    run.process.send_signal(signal.SIGCONT)
    assert run.wait() == 0, run.errors
    stages = [stage for _, stage in run.reports]
    return Alone(work, results(work / "mine"), {stage: stages.count(stage) for stage in STAGES}, second)


@pytest.fixture
def work(alone: Alone, tmp_path: Path) -> Path:
    """A folder with the stories, the recipe and the base model of the run that was left alone."""
    shutil.copytree(alone.work, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("mine", "cache"))
    return tmp_path


def test_a_second_run_in_the_same_folder_is_turned_away(alone: Alone):
    assert alone.second.returncode == 2
    assert "mine: another fabula is at work in this folder" in alone.second.stderr
    assert alone.second.stderr.count("\n") == 1


def test_killed_in_any_stage_it_ends_with_the_same_files(alone: Alone, work: Path):
    draw = random.Random(1)
    kills = killed_run(work, draw, ["write corpus", "train", "evaluate"], alone.num_reports)
    assert len(kills) == 3
    assert differences(results(work / "mine"), alone.results) == []
    assert strays(work) == []


def refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    """One clear line, and exit code 2."""
    assert done.returncode == 2, done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def as_nobody_special() -> list[str]:
    """Prefix of a command that makes it respect file permissions, even when root runs the tests."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("modes do not bind root, and setpriv is not there")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]


def with_prefix(work: Path, prefix: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "fabula", *arguments, "--quiet"],
        cwd=work,
        env=environment(work),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_one_trouble_after_another(alone: Alone, work: Path):
    """Files that may not grow, a folder and a file without permission, stories that change and change back: each is one
    clear line, or is noticed; in the end all files are those of the run that was left alone."""
    mine, stories = work / "mine", work / "stories.jsonl"
    told = stories.read_bytes()

    if shutil.which("prlimit"):
        for size in (2_000, 100_000):  # the corpus does not fit, then a checkpoint does not
            refused(with_prefix(work, ["prlimit", f"--fsize={size}"], *RUN), "File too large")
            assert strays(mine) == []

    stories.write_bytes(told + b'{"text": "One more story came in overnight.", "split": "train"}\n')
    run = Started.of(work)
    assert run.kill_when(lambda run: run.stage == "train")
    assert json.loads((mine / "corpus" / "manifest.json").read_text())["counts"]["num_read"] == 15
    stories.write_bytes(told)

    prefix = as_nobody_special()
    stories.chmod(0o000)
    refused(with_prefix(work, prefix, *RUN), "stories.jsonl: .*cannot be read")
    stories.chmod(0o644)
    before = results(mine)
    for folder in [mine, *(path for path in mine.rglob("*") if path.is_dir())]:
        folder.chmod(0o500)
    refused(with_prefix(work, prefix, *RUN), "mine.*(cannot be written|Permission denied)")
    for folder in [mine, *(path for path in mine.rglob("*") if path.is_dir())]:
        folder.chmod(0o700)
    assert results(mine) == before

    done = fabula(work, *RUN, "--quiet")
    assert done.returncode == 0, done.stderr
    # The training on the changed stories is kept: they could change back.
    ended = {name: own for name, own in results(mine).items() if not name.startswith("model.checkpoints")}
    assert differences(ended, alone.results) == []
    assert strays(work) == []


DISK = """
mount -t tmpfs -o size=40k tmpfs disk && cp stories.jsonl quick.toml disk && cd disk
for size in 60k 300k 64m; do mount -o remount,size=$size . && {command}; echo "$size $? $(find mine -name '*.partial')"; done
cp -r mine ../mine
"""


def test_a_disk_that_fills_is_said_and_the_run_goes_on_when_there_is_room(alone: Alone, work: Path):
    """A mount of a few kilobytes, which then grows, in a separate namespace."""
    as_root = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    (work / "disk").mkdir()
    try:
        probe = subprocess.run(
            [*as_root, "mount -t tmpfs tmpfs disk"], cwd=work, capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("needs Linux's unshare")
    if probe.returncode:
        pytest.skip("this system lets nobody mount a file system of their own")
    (work / "disk" / "small").symlink_to(work / "small")
    words = " ".join(RUN).replace("small", "../small")
    done = subprocess.run(
        [*as_root, DISK.replace("{command}", f"{sys.executable} -m fabula {words} --quiet")],
        cwd=work,
        env=environment(work),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("Done", "\nDone").splitlines()[:2] == ["60k 2 ", "300k 2 "], (
        done.stdout + done.stderr
    )
    assert done.stderr.count("the disk is full") == done.stderr.count("\n") == 2
    # The base was named by another path, which is only in the run's own record.
    assert set(differences(results(work / "mine"), alone.results)) <= {"run.json", "report.html"}


JUMPING = """
import time
real, calls = time.time, 0
def jumping():
    global calls
    calls += 1
    return real() + (-1) ** calls * calls * 86_400
time.time = jumping
"""


def test_a_clock_that_jumps_changes_no_duration(alone: Alone, work: Path):
    """The wall clock jumps days forward and back at each reading; limits and reported times must not depend on it."""
    (work / "jumping").mkdir()
    (work / "jumping" / "sitecustomize.py").write_text(JUMPING)
    path = os.pathsep.join([str(work / "jumping"), *filter(None, [os.environ.get("PYTHONPATH")])])
    (work / "quick.toml").write_text(
        (work / "quick.toml").read_text().replace("num_epochs = 2", "num_epochs = 9999")
    )
    minutes = ["train", str(alone.work / "mine" / "corpus"), "--max-minutes", "0.05", *RUN[2:]]
    done = subprocess.run(
        [sys.executable, "-m", "fabula", "--progress", "json", *minutes],
        cwd=work,
        env={**environment(work), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (work / "mine" / "log.jsonl").read_text().splitlines()]
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert 1 < seconds[-1] < 120
    left = [
        report["seconds_left"] for line in done.stderr.splitlines() if (report := json.loads(line))["total"]
    ]
    assert all(0 <= each < 600 for each in left if each is not None)


def test_durations_come_from_a_clock_that_does_not_jump():
    """`time.time` is for dates only: when a completion was made or progress reported, and which tokens nobody has used for a month,
    and whether a file is older than a command."""
    users = {
        path.relative_to(SOURCE / "fabula").as_posix()
        for path in SOURCE.rglob("*.py")
        if re.search(r"\btime\.time\(|\bdatetime\.\w*(?:now|today)", path.read_text(encoding="utf-8"))
    }
    assert users <= {"cli/run.py", "pipeline/events.py", "serving/api.py", "tokens/cache.py"}

"""`fabula clean` and `fabula restore`, through the real command and the real function."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import Command
from made import NOTE, bytes_of, clean, stories_file, story

from fabula.corpus import clean as clean_module
from fabula.corpus import lines
from fabula.corpus.filters import reason_to_drop
from fabula.corpus.formats.base import make_story
from fabula.corpus.ledger import DroppedRow, RemovalRow
from fabula.corpus.normalise import normalise
from fabula.corpus.options import Filters
from fabula.corpus.read import open_stories
from fabula.corpus.store import open_corpus
from fabula.errors import FabulaError
from fabula.pipeline.run import sample_stories
from fabula.progress import Progress

SAMPLES = sample_stories()


def test_the_sample_stories_from_file_to_corpus(tmp_path: Path, fabula: Command) -> None:
    out, rows = tmp_path / "corpus", tmp_path / "kept.jsonl"
    done = fabula("clean", SAMPLES, "--out", out, "--jsonl", rows)
    assert done.returncode == 0, done.stderr
    assert "markers" in done.stderr or "<sos>" in done.stderr
    corpus = open_corpus(out)
    raw = {one.id: one for one in open_stories(SAMPLES)}
    assert corpus.num_stories() == len(raw)
    assert f"{len(raw)} of {len(raw)} kept" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == [
        "data",
        "ledger.jsonl",
        "manifest.json",
        "review.html",
    ]
    kept = list(corpus.stories())
    assert {one.split for one in kept} == {"train", "validation"}
    assert len(list(corpus.ledger())) > 20
    for one in kept:
        assert corpus.restore(one.id) == normalise(raw[one.id].text)[0]
        assert one.cluster == one.id
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [row["source_line"] for row in lines] == sorted(one.source_line for one in kept)
    assert {row["text"] for row in lines} == {one.text for one in kept}
    first = kept[0]
    assert fabula("restore", out, first.id[:12]).stdout == normalise(raw[first.id].text)[0] + "\n"


def test_datasets_reads_it(tmp_path: Path) -> None:
    import datasets

    out = tmp_path / "corpus"
    clean(SAMPLES, out)
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation"}
    columns = [
        "id",
        "text",
        "prompt",
        "title",
        "source",
        "source_line",
        "book",
        "part",
        "cluster",
        "split",
        "num_words",
    ]
    assert loaded["train"].column_names == columns
    assert loaded["train"]["text"] == [one.text for one in open_corpus(out).stories("train")]


def test_nothing_is_done_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(20)])
    first = clean(path, tmp_path / "out")
    before = bytes_of(tmp_path / "out")
    monkeypatch.setattr(clean_module, "_make", lambda *_: pytest.fail("it was made again"))
    again = clean(path, tmp_path / "out")
    assert again.unchanged
    assert (again.counts.num_kept, again.counts.splits, again.counts.rule_set) == (
        first.counts.num_kept,
        first.counts.splits,
        first.counts.rule_set,
    )
    monkeypatch.undo()
    assert not clean(path, tmp_path / "out", split="80/20").unchanged
    clean(path, tmp_path / "out")
    assert bytes_of(tmp_path / "out") == before


def test_a_corpus_that_lost_a_file_is_noticed(tmp_path: Path) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(20)])
    clean(path, tmp_path / "out")
    next((tmp_path / "out" / "data").iterdir()).unlink()
    with pytest.raises(FabulaError, match="this corpus is incomplete"):
        open_corpus(tmp_path / "out")
    assert not clean(path, tmp_path / "out").unchanged
    assert open_corpus(tmp_path / "out").num_stories() == 20


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "blank.txt"])
def test_the_number_of_workers_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One process and three, with ranges that cut through stories."""
    texts = [story(number) + NOTE * (number % 3 == 0) for number in range(60)]
    texts += [*texts[5:9], texts[3].replace("winter", "summer", 1)]
    path = tmp_path / name
    if name == "a.jsonl":
        stories_file(path, texts)
    elif name == "a.txt":
        path.write_text("".join(f"<sos> {text.replace(chr(10), ' <nl> ')} <eos>\n" for text in texts))
    else:
        path.write_text("\n\n\n".join(texts))
    whole = clean(path, tmp_path / "one", rules="reddit", workers=1)
    assert whole.counts.num_dropped == {"exact_copy": 4, "near_copy": 1}
    assert whole.counts.num_removals == 20
    monkeypatch.setattr(lines, "RANGE_BYTES", 700)
    clean(path, tmp_path / "cut", rules="reddit", workers=1)
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "one")
    monkeypatch.undo()
    clean(path, tmp_path / "three", rules="reddit", workers=3)
    assert bytes_of(tmp_path / "three") == bytes_of(tmp_path / "one")


def test_lines_of_errors_count_from_the_beginning_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(30)])
    with path.open("a") as file:
        file.write('{"nothing": 1}\n')
    monkeypatch.setattr(lines, "RANGE_BYTES", 500)
    with pytest.raises(FabulaError, match=r"a\.jsonl:31: column 'text' is missing"):
        clean(path, tmp_path / "out", rules="none")
    assert not list(tmp_path.glob("out*"))


def test_keep_leaves_a_rule_in(tmp_path: Path) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) + NOTE for number in range(6)])
    taken = clean(path, tmp_path / "all", rules="reddit")
    assert taken.counts.num_removals == 6
    (rule,) = taken.counts.removals_by_rule
    kept = clean(path, tmp_path / "kept", rules="reddit", keep=[rule])
    assert rule not in kept.counts.removals_by_rule
    with pytest.raises(FabulaError, match="--keep: unknown rule 'edti'"):
        clean(path, tmp_path / "kept", rules="reddit", keep=["edti"])
    with pytest.raises(FabulaError, match="--rules: unknown rule set 'redit'; did you mean reddit"):
        clean(path, tmp_path / "kept", rules="redit")


def test_the_users_own_rules(tmp_path: Path) -> None:
    texts = [f"Hail, reader!\n\n{story(number)}\n\nSee my newsletter.\n\nBye." for number in range(6)]
    path = stories_file(tmp_path / "a.jsonl", texts)
    rules = tmp_path / "rules.toml"
    rules.write_text(
        'base = "none"\n[rules.hail]\npattern = "^Hail"\nwhere = "head"\nconfidence = 0.5\n'
        "[rules.newsletter]\npattern = '(?i)newsletter'\nwhere = 'tail'\n"
        "[rules.gulls]\npattern = 'counted 4 gulls'\n"
    )
    result = clean(path, tmp_path / "out", rules=str(rules))
    assert result.counts.removals_by_rule == {"gulls": 1, "hail": 6, "newsletter": 6}
    by_line = {one.source_line: one.text for one in open_corpus(tmp_path / "out").stories()}
    assert by_line[1] == story(0)
    assert by_line[2] == "\n\n".join(part for part in story(1).split("\n\n") if "counted 4 gulls" not in part)
    rules.write_text('base = "none"\n[rules.hail]\npattern = "(^Hail"\n')
    with pytest.raises(
        FabulaError, match=r"rules\.toml: field 'rules.hail.pattern' = .*not a regular expression"
    ):
        clean(path, tmp_path / "out", rules=str(rules))
    rules.write_text('bse = "none"\n')
    with pytest.raises(FabulaError, match=r"unknown field 'bse'; did you mean base"):
        clean(path, tmp_path / "out", rules=str(rules))


def test_decisions_are_honoured(tmp_path: Path) -> None:
    texts = [story(number) + NOTE for number in range(6)]
    path = stories_file(tmp_path / "a.jsonl", texts)
    clean(path, tmp_path / "out", rules="reddit")
    rows = [row for row in open_corpus(tmp_path / "out").ledger() if isinstance(row, RemovalRow)]
    undo = {"story": rows[0].story, "start": rows[0].start, "end": rows[0].end, "decision": "undo"}
    unknown = undo | {"story": "0" * 32}
    extra = {"story": rows[1].story, "start": 0, "end": texts[1].index("\n"), "decision": "confirm"}
    decisions = tmp_path / "decisions.jsonl"
    decisions.write_text("".join(json.dumps(row) + "\n" for row in (undo, extra, unknown)))
    said: list[str] = []
    result = clean(
        path,
        tmp_path / "out",
        rules="reddit",
        decisions=decisions,
        on_progress=lambda one: said.append(one.message),
    )
    assert "decisions about stories that are not in the input: 1" in said
    assert not result.unchanged
    assert clean(path, tmp_path / "out", rules="reddit", decisions=decisions).unchanged
    corpus = open_corpus(tmp_path / "out")
    by_id = {one.id: one.text for one in corpus.stories()}
    assert by_id[undo["story"]] == texts[0]
    assert by_id[extra["story"]] == story(1).split("\n\n", 1)[1]
    assert result.counts.removals_by_rule["confirmed"] == 1
    assert corpus.restore(extra["story"]) == texts[1]


def test_the_notebooks_cleaning_can_be_compared(tmp_path: Path) -> None:
    """`--rules notebook` removes what the notebook's pattern removes, on the file as the notebook reads it."""
    pattern = r"<nl>.*?(\[.*?\]\(http[s]?://\S+\)|subscribe|/r/|PART \d+).*?<eos>"
    wanted = [
        decoded
        for line in re.sub(pattern, "<eos>", SAMPLES.read_text(), flags=re.IGNORECASE).splitlines()
        if (decoded := re.sub(r"\s?<nl>\s?", "\n", re.sub(r"^<sos>\s?|\s?<eos>$", "", line.strip())).strip())
    ]
    rows = tmp_path / "seed.jsonl"
    clean(SAMPLES, tmp_path / "out", rules="notebook", copies="ignore", repair=False, jsonl=rows)
    assert [json.loads(line)["text"] for line in rows.read_text().splitlines()] == wanted


def test_a_preview_writes_nothing(tmp_path: Path, fabula: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(6)])
    monkeypatch.chdir(tmp_path)
    done = fabula("-q", "clean", path.name, "--preview")
    assert "6 of 6 kept" in done.stdout
    assert "nothing was written" in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_dropped_stories_are_in_the_ledger_whole(tmp_path: Path) -> None:
    texts = [
        *map(story, range(5)),
        story(1),
        story(2).upper() + NOTE,
        "Too short.",
        "EDIT: thanks for the gold!",
    ]
    path = stories_file(tmp_path / "a.jsonl", texts)
    result = clean(path, tmp_path / "out", rules="reddit", filters=Filters(min_words=5))
    corpus = open_corpus(tmp_path / "out")
    dropped = {row.source_line: row for row in corpus.ledger() if isinstance(row, DroppedRow)}
    assert {line: row.dropped for line, row in dropped.items()} == {
        6: "exact_copy",
        7: "exact_copy",
        8: "min_words",
        9: "empty",
    }
    assert result.counts.num_dropped == {"empty": 1, "exact_copy": 2, "min_words": 1}
    assert dropped[6].text is None
    assert dropped[6].copy_of == dropped[6].story
    for line, row in dropped.items():
        if line != 6:
            assert row.text == texts[line - 1]
            assert corpus.restore(row.story) == texts[line - 1]
    assert result.counts.num_read == result.counts.num_kept + sum(result.counts.num_dropped.values()) == 9


def test_copies_can_be_kept_on_one_side(tmp_path: Path) -> None:
    texts = [story(number) for number in range(30)]
    texts += [text.replace("winter", "summer", 1) for text in texts]
    path = stories_file(tmp_path / "a.jsonl", texts)
    result = clean(path, tmp_path / "out", rules="none", copies="keep", split="60/40")
    assert result.counts.num_kept == 60
    kept = list(open_corpus(tmp_path / "out").stories())
    assert len({one.cluster for one in kept}) == 30
    sides = {(one.cluster, one.split) for one in kept}
    assert len(sides) == 30
    assert {split for _, split in sides} == {"train", "validation"}
    ignored = clean(path, tmp_path / "ignored", rules="none", copies="ignore")
    assert ignored.counts.num_kept == 60


def test_a_split_column_is_honoured(tmp_path: Path) -> None:
    names = ["train", "test", "valid", "dev"] * 3
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(12)], split=names)
    result = clean(path, tmp_path / "out", rules="none")
    assert result.counts.splits == {"train": 3, "validation": 6, "test": 3}
    path = stories_file(tmp_path / "b.jsonl", [story(number) for number in range(12)], split=["train"] * 12)
    assert clean(path, tmp_path / "out", rules="none").counts.splits["validation"] >= 1


def test_one_story_only(tmp_path: Path, fabula: Command) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(1)])
    done = fabula("clean", path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "only one story, and none can be held out for validation" in done.stderr
    assert done.stderr.count("\n") < 6
    hint = "add stories; if there are several in it, --split-at says where they begin"
    assert hint in " ".join(done.stderr.split())
    done = fabula("run", path, "--base", "tiny", "--out", tmp_path / "run")  # has --format, but no --split
    assert done.returncode == 2
    assert hint in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()
    assert clean(path, tmp_path / "out", split="100").counts.splits == {"train": 1}
    stories_file(path, [story(1)] * 3)
    with pytest.raises(FabulaError, match="only 1 of 3 stories can be kept"):
        clean(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda out: (out.mkdir(), (out / "x").write_text("x")), "this folder has unexpected files"),
        (lambda out: out.write_text("x"), "this is a file, not a folder"),
        (lambda out: out.parent.joinpath("out").symlink_to("/proc/none/out"), "nothing can be written there"),
    ],
)
def test_an_output_that_cannot_be_written(
    tmp_path: Path, make: Callable[[Path], object], message: str, fabula: Command
) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(6)])
    out = tmp_path / "out"
    make(out)
    before = sorted(tmp_path.rglob("*"))
    done = fabula("clean", path, "--out", out if message != "nothing can be written there" else out / "x")
    assert done.returncode == 2
    assert message in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_rows_that_cannot_be_written(tmp_path: Path) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(6)])
    with pytest.raises(FabulaError, match=r"rows\.jsonl: this file cannot be written"):
        clean(path, tmp_path / "out", jsonl=tmp_path / "none" / "rows.jsonl")
    with pytest.raises(FabulaError, match="this is a folder, not a file"):
        clean(path, tmp_path / "out", jsonl=tmp_path)
    with pytest.raises(FabulaError, match="none of 6 stories can be kept"):
        clean(path, tmp_path / "out", filters=Filters(min_words=1000))
    assert not (tmp_path / "out").exists()


def test_no_worker_outlives_its_parent(tmp_path: Path) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(6_000)])
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "fabula",
            "-q",
            "clean",
            str(path),
            "--out",
            str(tmp_path / "out"),
            "--workers",
            "2",
        ]
    )
    workers: list[psutil.Process] = []
    while len(workers) < 2 and running.poll() is None:  # one, and the tracker that goes with them
        workers = psutil.Process(running.pid).children(recursive=True)
        time.sleep(0.05)
    running.kill()
    running.wait()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    assert not (tmp_path / "out").exists()
    clean(path, tmp_path / "out", copies="ignore", rules="none")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl", "out"]


def test_two_at_once_in_one_folder(tmp_path: Path, fabula: Command) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(600)])
    first = subprocess.Popen(
        [sys.executable, "-m", "fabula", "-q", "clean", str(path), "--out", str(tmp_path / "out")],
        stdout=subprocess.DEVNULL,
    )
    try:
        while not (tmp_path / "out.partial").exists():
            assert first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)
        second = fabula("clean", path, "--out", tmp_path / "out")
        assert second.returncode == 2
        assert "another fabula is at work in this folder" in second.stderr
        assert "lock" not in second.stderr
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait() == 0
    assert open_corpus(tmp_path / "out").num_stories() == 600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl", "out"]
    assert sorted(bytes_of(tmp_path / "out")) == [
        "data/train-00000-of-00001.parquet",
        "data/validation-00000-of-00001.parquet",
        "ledger.jsonl",
        "manifest.json",
        "review.html",
    ]


def test_a_folder_that_is_not_a_corpus(tmp_path: Path) -> None:
    with pytest.raises(FabulaError, match="no such corpus"):
        open_corpus(tmp_path / "none")
    with pytest.raises(FabulaError, match="this is not a corpus"):
        open_corpus(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(FabulaError, match="this corpus is damaged"):
        open_corpus(tmp_path)


def test_restore_of_an_unknown_story(tmp_path: Path, fabula: Command) -> None:
    clean(stories_file(tmp_path / "a.jsonl", [story(number) for number in range(6)]), tmp_path / "out")
    done = fabula("restore", tmp_path / "out", "zz")
    assert done.returncode == 2
    assert "no story has the id 'zz'" in done.stderr
    assert "6 stories have ids like ''" in fabula("restore", tmp_path / "out", "").stderr


def test_interrupted_work_leaves_the_old_corpus(tmp_path: Path) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(6)])
    clean(path, tmp_path / "out")
    before = bytes_of(tmp_path / "out")

    def stop(progress: Progress) -> None:
        if progress.stage == "save":
            raise KeyboardInterrupt

    stories_file(path, [story(number) for number in range(9)])
    with pytest.raises(KeyboardInterrupt):
        clean(path, tmp_path / "out", on_progress=stop)
    assert bytes_of(tmp_path / "out") == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl", "out"]


@pytest.mark.parametrize(
    ("filters", "text", "reason"),
    [
        (Filters(), " ", "empty"),
        (Filters(min_words=3), "Two words", "min_words"),
        (Filters(max_words=3), "These are four words", "max_words"),
        (Filters(min_letters=0.8), "12345 abc", "min_letters"),
        (Filters(max_repetition=0.5), "and so it goes on and on " * 20, "max_repetition"),
        (Filters(language="en"), "Der alte Fuchs ging langsam durch den tiefen Wald nach Hause.", "language"),
        (Filters(language="de"), "Der alte Fuchs ging langsam durch den tiefen Wald nach Hause.", ""),
        (Filters(min_words=2, max_words=5, min_letters=0.5, max_repetition=0.1), "A fox ran home.", ""),
    ],
)
def test_filters_answer_with_a_reason(filters: Filters, text: str, reason: str) -> None:
    assert reason_to_drop(make_story(text, "f", 1), filters) == reason

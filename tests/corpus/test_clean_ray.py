"""Cleaning on a Ray cluster of two machines, one of which fails during the run. Skipped if Ray is not installed."""

import csv
import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from made import NOTE, bytes_of, clean, stories_file, story

from fabula.corpus import lines
from fabula.errors import FabulaError
from fabula.progress import Progress

pytest.importorskip("ray", reason="Ray is not installed (pip install 'fabula[scale]')")


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere", "127.0.0.1:none"])
def test_no_cluster_at_the_address(tmp_path: Path, address: str) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(5)])
    with pytest.raises(FabulaError, match="no Ray cluster answers; give the address of its head"):
        clean(path, tmp_path / "out", ray=address)
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(("end", "told"), [("os._exit(1)", "Ray is gone\n"), ("pass", "")])
def test_a_program_that_ray_ends_says_so(end: str, told: str) -> None:
    """Ray's library ends the process itself, so that no `except` sees it."""
    code = f"import os\nfrom fabula.corpus.runners import _told_if_killed\nwith _told_if_killed('Ray is gone'): {end}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == told


def files_of_people(folder: Path) -> Path:
    """A folder with stories as people have them: Word, Markdown, a web page, a table, packed text."""
    folder.mkdir()
    stories = iter(range(100, 200))

    def paragraphs() -> list[str]:
        return story(next(stories)).split("\n\n")

    W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    lines = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs())
    with zipfile.ZipFile(folder / "a.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "word/document.xml", f'<w:document xmlns:w="{W}"><w:body>{lines}</w:body></w:document>'
        )
    (folder / "b.md").write_text("\n\n".join(["# The Lamp", *paragraphs()]), encoding="utf-8")
    page = "".join(f"<p>{text}</p>" for text in paragraphs())
    (folder / "c.html").write_text(f"<html><body><h1>The Gull</h1>{page}</body></html>", encoding="utf-8")
    with (folder / "d.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["title", "text"], *([f"No {n}", story(200 + n)] for n in range(4))])
    rows = "".join(json.dumps({"text": story(300 + n)}) + "\n" for n in range(3))
    (folder / "e.jsonl.gz").write_bytes(gzip.compress(rows.encode(), mtime=0))
    return folder


def test_a_lost_machine_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    texts = [story(number) + NOTE * (number % 3 == 0) for number in range(100)]
    path = stories_file(tmp_path / "a.jsonl", [*texts, *texts[:5]])
    clean(path, tmp_path / "here", rules="reddit")
    quick = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 200,
        "health_check_failure_threshold": 3,
    }
    memory = 80 << 20
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": memory, "_system_config": quick},
    )
    try:
        machines = [cluster.add_node(num_cpus=1, object_store_memory=memory) for _ in range(2)]
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False)

        def lose_one(progress: Progress) -> None:
            if progress.stage == "clean" and progress.done and len(machines) == 2:
                cluster.remove_node(machines.pop(), allow_graceful=False)

        monkeypatch.setattr(lines, "RANGE_BYTES", 4000)
        clean(path, tmp_path / "there", rules="reddit", ray=cluster.address, on_progress=lose_one)
        assert len(machines) == 1
        assert bytes_of(tmp_path / "there") == bytes_of(tmp_path / "here")
        folder = files_of_people(tmp_path / "people")
        here, there = clean(folder, tmp_path / "h"), clean(folder, tmp_path / "t", ray=cluster.address)
        assert here.counts.num_kept == there.counts.num_kept == 10
        assert bytes_of(tmp_path / "t") == bytes_of(tmp_path / "h")
        with path.open("a") as file:
            file.write('{"nothing": 1}\n')
        with pytest.raises(FabulaError, match=r"a\.jsonl:106: column 'text' is missing"):
            clean(path, tmp_path / "there", rules="reddit", ray=cluster.address)
    finally:
        ray.shutdown()
        cluster.shutdown()

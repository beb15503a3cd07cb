"""Input and output on another file system. Skipped if the library for URLs is not installed."""

import gzip
import json
from pathlib import Path

import pytest
from made import bytes_of, clean, stories_file, story

from fabula.errors import FabulaError

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("upath", reason="universal_pathlib is not installed (pip install 'fabula[scale]')")


def test_from_memory_to_memory(tmp_path: Path) -> None:
    texts = [story(number) for number in range(20)]
    memory = fsspec.filesystem("memory")
    memory.pipe("/tales/in/a.jsonl", stories_file(tmp_path / "a.jsonl", texts[:12]).read_bytes())
    memory.pipe(
        "/tales/in/b.jsonl.gz",
        gzip.compress(b"".join(json.dumps({"text": t}).encode() + b"\n" for t in texts[12:])),
    )
    memory.get("/tales/in/", str(tmp_path / "in"), recursive=True)
    here = clean(tmp_path / "in", tmp_path / "here", rules="none")
    there = clean("memory://tales/in", "memory://tales/out", rules="none")
    assert (there.counts.num_kept, there.counts.splits) == (here.counts.num_kept, here.counts.splits)
    assert str(there.corpus) == "memory://tales/out"
    memory.get("/tales/out/", str(tmp_path / "there"), recursive=True)
    ours, theirs = bytes_of(tmp_path / "here"), bytes_of(tmp_path / "there")
    assert {name: theirs[name] for name in ours if name.startswith("data/")} == {
        name: ours[name] for name in ours if name.startswith("data/")
    }
    assert set(ours) == set(theirs)
    assert clean("memory://tales/in", "memory://tales/out", rules="none").unchanged
    memory.pipe("/tales/in/a.jsonl", b'{"text": "Another one."}\n')
    assert not clean("memory://tales/in", "memory://tales/out", rules="none").unchanged
    with pytest.raises(FabulaError, match="this folder has unexpected files"):
        clean(tmp_path / "in", "memory://tales/in", rules="none")
    with pytest.raises(FabulaError, match="no such file or folder"):
        clean("memory://tales/none", tmp_path / "x", rules="none")
    with pytest.raises(FabulaError, match="cannot be read"):
        clean("gopher://tales/none", tmp_path / "x", rules="none")

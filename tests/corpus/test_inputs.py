"""Files, folders, archives and compressions; what is passed over is named."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from fabula.corpus.read import open_stories
from fabula.errors import FabulaError

STORY = "The tide came in before the boats did, and nobody had lit the lamp. " * 12


def story(number: int) -> str:
    return f"Story number {number}. {STORY}".strip()


def test_compression_is_detected_by_content(tmp_path: Path) -> None:
    text = "\n".join(story(number) for number in range(5)).encode()
    for name, pack in (
        ("a", gzip.compress),
        ("b", bz2.compress),
        ("c", lzma.compress),
        ("d", zstandard.compress),
    ):
        (tmp_path / name).write_bytes(pack(text))
        assert [each.text for each in open_stories(tmp_path / name)] == [story(number) for number in range(5)]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_file_that_is_cut_short_is_an_error(tmp_path: Path, pack) -> None:
    packed = pack(bytes(number * number % 251 for number in range(40_000)) + STORY.encode())
    (tmp_path / "a.txt").write_bytes(packed[: len(packed) * 2 // 3])
    with pytest.raises(FabulaError, match="damaged or cut short"):
        list(open_stories(tmp_path / "a.txt"))


def test_zip_and_tar_are_read_like_folders(tmp_path: Path) -> None:
    names = ["s/story 2.txt", "s/story 10.txt", "s/story 1.txt"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, story(number))
        archive.writestr("__MACOSX/s/._story 1.txt", b"\0\5")
        archive.writestr("s/cover.jpg", b"\xff\xd8\xff\0\0\0" * 99)
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = len(story(number))
            archive.addfile(info, io.BytesIO(story(number).encode()))
    for name in ("a.zip", "a.tgz"):
        source = open_stories(tmp_path / name)
        assert [each.source for each in source] == ["s/story 1.txt", "s/story 2.txt", "s/story 10.txt"]
        assert [each.text for each in source] == [story(2), story(0), story(1)]
    assert "passed over 1 file" in open_stories(tmp_path / "a.zip").description


def test_archives_in_archives(tmp_path: Path) -> None:
    """A zip in a tar.gz in a zip is read like folders in folders; a deeper one is refused."""
    pack = io.BytesIO()
    with zipfile.ZipFile(pack, "w") as archive:
        archive.writestr("1.txt", story(1))
        archive.writestr("2.txt.gz", gzip.compress(story(2).encode()))
    for level in range(4):
        outer = io.BytesIO()
        with tarfile.open(fileobj=outer, mode="w:gz" if level else "w") as archive:
            info = tarfile.TarInfo("inner")
            info.size = len(pack.getvalue())
            archive.addfile(info, io.BytesIO(pack.getvalue()))
        with zipfile.ZipFile(tmp_path / f"{level}.zip", "w") as archive:
            archive.writestr("3.txt", story(3))
            archive.writestr("pack", outer.getvalue())
        pack = outer
    found = list(open_stories(tmp_path / "0.zip"))
    assert {each.source: each.text for each in found} == {
        "3.txt": story(3), "pack/inner/1.txt": story(1), "pack/inner/2.txt.gz": story(2),
    }  # fmt: skip
    with pytest.raises(FabulaError, match="nested too deeply"):
        open_stories(tmp_path / "3.zip")


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstandard.compress])
def test_a_compressed_archive(tmp_path: Path, pack) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(5):
            archive.writestr(f"{number}.txt", story(number))
    (tmp_path / "a.zip.gz").write_bytes(pack(buffer.getvalue()))
    assert [one.text for one in open_stories(tmp_path / "a.zip.gz")] == [story(number) for number in range(5)]


def test_archives_that_are_not_read_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(40))
    with pytest.raises(FabulaError, match="7z archives are not read; unpack it, and name the folder"):
        open_stories(tmp_path / "a.txt")


def test_files_of_a_folder_that_are_not_stories_are_named(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(story(number))
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "README.md").write_text("# About\n\nStories of the quay.")
    (tmp_path / "tool.py").write_text("print()")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    source = open_stories(tmp_path)
    assert len(list(source)) == 3
    assert {one.source: one.text for one in source.passed_over} == {
        "empty.txt": "empty, hidden or a backup", "README.md": "about the files", "picture.png": "no text", "tool.py": "no stories",
    }  # fmt: skip
    assert "passed over 4 files" in source.description


def test_several_inputs(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "a.txt").write_text(story(1))
    (tmp_path / "f" / "b.txt").write_text(story(2))
    (tmp_path / "c.jsonl").write_text(f'{{"text": "{story(3)}"}}\n')
    source = open_stories([tmp_path / "a.txt", tmp_path / "f", tmp_path / "c.jsonl"])
    assert [(each.source, each.text) for each in source] == [
        ("a.txt", story(1)), ("f/b.txt", story(2)), ("c.jsonl", story(3)),
    ]  # fmt: skip
    assert source.title == "a.txt and 2 more"
    lines = "\n".join(story(number) for number in range(8))
    (tmp_path / "lines.txt").write_text(lines)
    assert len(list(open_stories([tmp_path / "f", tmp_path / "lines.txt"]))) == 9
    (tmp_path / "f" / "a.txt").write_text(story(4))
    twins = list(open_stories([tmp_path / "a.txt", tmp_path / "f" / "a.txt"]))
    assert [each.text for each in twins] == [story(1), story(4)]
    assert twins[0].source != twins[1].source
    with pytest.raises(FabulaError, match="this is named twice"):
        open_stories([tmp_path / "a.txt", tmp_path / "a.txt"])
    with pytest.raises(FabulaError, match="no such file or folder"):
        open_stories([tmp_path / "a.txt", tmp_path / "none"])

"""What a reader or the cleaner must never do, whatever bytes it is given: one function, `check`, for the short tests and for
the long search.

An input is a byte that chooses the target, and the data for it. A fault is anything raised but `FabulaError`, a story
that its ledger does not bring back, pieces that are not the whole, or more time than a linear pass takes.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import zstandard

from fabula.corpus import lines
from fabula.corpus.ledger import read_decisions, restore
from fabula.corpus.normalise import normalise
from fabula.corpus.read import open_stories
from fabula.corpus.stages import Cleaning, clean_story
from fabula.errors import FabulaError
from fabula.story import Story
from fabula.training.recipe import Recipe

SECONDS = 1.0
SECONDS_PER_MB = 20.0
"""Bounds on the time of one input. Ordinary text takes a tenth of the second one."""

Way = Callable[[bytes], None]

FOLDER = tempfile.TemporaryDirectory(
    dir="/dev/shm" if Path("/dev/shm").is_dir() else None, prefix="fabula-fuzz-"
)


def reads(name: str, pack: Callable[[bytes], bytes] = bytes, **options: Any) -> Way:
    """Reads a file of this name, whole and in small pieces."""
    path = Path(FOLDER.name) / name

    def way(data: bytes) -> None:
        path.write_bytes(pack(data))
        source = open_stories(path, **options)
        whole = list(source)
        for story in whole:
            assert story.text == story.text.strip() != ""
            story.text.encode()
        if source.can_cut(0) and len(data) < 4096:
            with patch.object(lines, "RANGE_BYTES", 64):
                pieces = [story.text for piece in source.ranges() for story in source.read(piece)]
            assert pieces == [story.text for story in whole], "pieces are not the whole"

    return way


def cleans(rules: str, **options: Any) -> Way:
    """Cleans a story, and restores it from the ledger."""
    cleaning = Cleaning(rules=rules, **options)

    def way(data: bytes) -> None:
        text = data.decode(errors="replace")
        raw, _ = normalise(text, cleaning.markdown)
        cleaned = clean_story(Story("", text, "", 1), cleaning)
        assert restore(cleaned.story.text, cleaned.removals) == raw, (
            "the ledger does not bring the story back"
        )
        position = 0
        for removal in cleaned.removals:
            assert position <= removal.start < removal.end <= len(raw)
            assert removal.text == raw[removal.start : removal.end]
            position = removal.end

    return way


def file_of(name: str, read: Callable[[Path], object]) -> Way:
    """Reads a file that is not a story."""
    path = Path(FOLDER.name) / name

    def way(data: bytes) -> None:
        path.write_bytes(data)
        read(path)

    return way


WAYS: dict[str, Way] = {
    "text": reads("detected.txt"),
    "markers": reads("markers.txt", split_at="markers"),
    "lines": reads("lines.txt", split_at="lines"),
    "blank lines": reads("blank.txt", split_at="blank-lines"),
    "separator": reads("separator.txt", split_at="====="),
    "file": reads("file.txt", split_at="files"),
    "json lines": reads("rows.jsonl"),
    "csv": reads("rows.csv"),
    "tsv": reads("rows.tsv", column="text"),
    "parquet": reads("rows.parquet"),
    "gzip": reads("damaged.txt.gz"),
    "zstandard": reads("damaged.txt.zst"),
    "gzip of rows": reads("rows.jsonl.gz", pack=lambda data: gzip.compress(data, 0)),
    "zstandard of rows": reads("rows.csv.zst", pack=zstandard.ZstdCompressor(level=1).compress),
    "utf-16": reads("wide.txt", encoding="utf-16"),
    "windows-1252": reads("old.txt", encoding="windows-1252"),
    "clean reddit": cleans("reddit"),
    "clean web": cleans("web"),
    "clean gutenberg": cleans("gutenberg-headings"),
    "clean markdown": cleans("reddit", markdown=True),
    "clean unrepaired notebook": cleans("notebook"),
    "decisions": file_of("decisions.jsonl", read_decisions),
    "recipe": file_of("recipe.toml", Recipe.read),
    "zip": reads("stories.zip"),
    "tar": reads("stories.tar"),
    "xz": reads("stories.xz"),
    "bzip2": reads("stories.bz2"),
    "markdown": reads("story.md"),
    "chapters": reads("book.txt"),
    "web page": reads("page"),
    "rich text": reads("letter"),
    "chat": reads("chat.txt"),
    "regular expression": reads("days.txt", split_at=r"Day \d+"),
}
"""The targets. Saved inputs depend on their order: add new ones at the end."""

NAMES = list(WAYS)


def check(data: bytes) -> None:
    """Run one input.

    Raises:
        AssertionError: a fault; so is any other exception.
    """
    if not data:
        return
    began = time.process_time()
    try:
        WAYS[NAMES[data[0] % len(NAMES)]](data[1:])
    except FabulaError as error:
        if "\n" in str(error):
            raise AssertionError("an error of more than one line") from error
    took, most = time.process_time() - began, SECONDS + SECONDS_PER_MB * len(data) / 1e6
    assert took < most, f"{took:.1f} s for {len(data):,} bytes"


def seeds() -> dict[str, bytes]:
    """A valid input for each target, by name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    told = "The lamp burned. “Who is it?” said Wren.\n\nNobody came.\n\n***\n\nEDIT: Thanks for the gold! More at r/lamps"
    two = [told, "Once upon a time a fox sang &amp; slept.\n\n[Part 2](https://a.example/2)"]
    buffer = io.BytesIO()
    columns = {"text": two, "title": ["a", None], "split": ["train", "test"]}
    pq.write_table(pa.table(columns), buffer)
    rows = '{"text": "The lamp burned.", "title": "A", "split": "val"}\n{"text": "\\ud83d\\ude00 \\ud800", "n": 1}\n'
    marked = "".join("<sos> " + text.replace("\n", " <nl> ") + " <eos>\n" for text in two)
    book = (
        "*** START OF THE PROJECT GUTENBERG EBOOK LAMPS ***\n\nCHAPTER I.\n\n[Illustration: x]\n\n" + told
        + "\n\n[Transcriber's Note: two.]\n\n*** END OF THE PROJECT GUTENBERG EBOOK LAMPS ***\n\nlicence"
    )  # fmt: skip
    broken = "It\u00e2\u20ac\u2122s a caf\u00c3\u00a9\u200b, &amp;nbsp; \\*said\\* ^(small) he\u0301\u0308\x07\x85\u2028"
    decided = '{"story": "a", "start": 0, "end": 9, "decision": "undo"}\n'
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive, tarfile.open(fileobj=tarred, mode="w") as tar:
        for number, text in enumerate(two):
            archive.writestr(zipfile.ZipInfo(f"{number}.txt", (2026, 1, 1, 0, 0, 0)), text)
            info = tarfile.TarInfo(f"{number}.txt")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    plain = {
        "text": "\n\n".join(two).encode(),
        "markers": marked.encode(),
        "lines": b"one story\nanother story\n",
        "blank lines": b"one\n\nmore\n\n\n\nanother\n",
        "separator": b"one\n=====\ntwo\n",
        "file": told.encode(),
        "json lines": rows.encode(),
        "csv": b'text,title\n"The lamp, ""burned"".\nSo.",A\nB,\n',
        "tsv": b"text\ttitle\nThe lamp\tA\n",
        "parquet": buffer.getvalue(),
        "gzip": gzip.compress(marked.encode(), mtime=0),
        "zstandard": zstandard.compress(marked.encode()),
        "gzip of rows": rows.encode(),
        "zstandard of rows": b"story,n\nlong ago,1\n",
        "utf-16": "one\ntwo\n".encode("utf-16"),
        "windows-1252": "caf\u00e9\nna\u00efve\n".encode("windows-1252"),
        "decisions": decided.encode(),
        "recipe": b'num_epochs = 2\nschedule = "linear"\n',
        "zip": zipped.getvalue(),
        "tar": tarred.getvalue(),
        "xz": lzma.compress(marked.encode()),
        "bzip2": bz2.compress(marked.encode()),
        "markdown": f"---\ntags: [a]\n---\n\n# One\n\n*{two[0]}*\n\n* * *\n\n> {two[1]}\n".encode(),
        "chapters": f"TITLE\n\nContents\n\nChapter 1\n{told}\n\n12\n\f\nChapter 2\n\n{two[1]}\n\nII.\n".encode(),
        "web page": f"<!DOCTYPE html><html><body><h1>One</h1><p>{told}<br>x</p><hr></body></html>".encode(),
        "rich text": b"{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 A;}}\\pard One\\par \\u8212?two\\'e9\\par}",
        "chat": b"[01/03/2023 10:11] ann\nHello there.\n\n[01/03/2023 10:12] bob\nGood day.\n" * 5,
        "regular expression": f"Day 1\n{told}\nDay 2\n{two[1]}\n".encode(),
    }
    found = {name: bytes([NAMES.index(name)]) + content for name, content in plain.items()}
    for name in NAMES:
        if name.startswith("clean"):
            for number, text in enumerate([told, two[1], book, broken]):
                found[f"{name} {number}"] = bytes([NAMES.index(name)]) + text.encode()
    return found


WORDS = """<sos> <eos> <nl> <|endoftext|> ===== *** --- EDIT: Edit thanks for reading gold silver upvote subscribe r/ /r/ u/ Part
[Part](https://a.b/c) http:// &amp; &nbsp; &#8217; \\* ^( prompt feedback author's note A/N TL;DR Chapter CHAPTER XIV. THE END
[Illustration: [Transcriber's Note: Project Gutenberg *** START OF THE *** END OF THE criticism welcome patreon tip jar thank you
"text": "title": "split": {" }, \\ud800 \\u0000 null true 1e999 NaN [[[[ PAR1 story start end decision undo confirm""".split()  # noqa: SIM905
"""Words that the readers and the rules look for."""

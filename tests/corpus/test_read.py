"""Every format that stories are read from, and every error in an input."""

import contextlib
import gzip
import json
import re
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.corpus import lines as limits
from fabula.corpus import text_records
from fabula.corpus.lines import FileRange, Lines, begins_anywhere
from fabula.corpus.read import StorySource, open_stories
from fabula.corpus.tables.columns import NoText
from fabula.corpus.text_records import (
    blank_records,
    line_records,
    marked_records,
    parted_records,
    separated_records,
)
from fabula.errors import FabulaError

STORIES = [
    "One day the fox left the wood where it was born, and nobody knew why.\nIt went down to the river, drank for a long"
    " while, and looked at the far bank, where a light was burning in the house of the miller, who had not slept for three"
    " nights because of the noise that the water made in his wheel, and who now stood at his window and saw the fox.",
    "Über den Fluss ging kein Steg mehr, seit das Eis ihn mitgenommen hatte, und so blieb der alte Lehrer auf seiner Seite"
    " und die Schule auf der anderen. Jeden Morgen rief er die Namen der Kinder über das Wasser, und jedes Kind rief seinen"
    " zurück, bis im Mai ein Boot kam und niemand mehr wusste, was er in diesem Winter gelernt hatte.",
    "The end of the pier was where she sold her bread, and each morning the gulls were there before her customers. On the day"
    " of the storm she gave all of it to the birds, went home over the wet stones, and found her door open, her lamp lit, and"
    " her brother asleep in the chair from which he had got up nine years before, to see about a boat.",
]
MARKED = "".join(f"<sos> {text.replace(chr(10), ' <nl> ')} <eos>\n" for text in STORIES)
ROWS = [{"text": text, "title": f"T{number}"} for number, text in enumerate(STORIES)]


def table(delimiter: str) -> str:
    rows = [f'T{number}{delimiter}"{text}"\n' for number, text in enumerate(STORIES)]
    return f"title{delimiter}text\n" + "".join(rows)


def texts(path: Path | str, **options: str) -> list[str]:
    return [story.text for story in open_stories(path, **options)]


def way(source: StorySource) -> str:
    """How the first file is cut, or its format if it is a table."""
    plan = source.plans[0]
    return plan.split.kind if plan.format == "text" else plan.format


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def error_of(path: Path | str, **options: str) -> str:
    with pytest.raises(FabulaError) as caught:
        texts(path, **options)
    return str(caught.value).replace(str(path), "STORIES")


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.txt", MARKED, "markers"),
        ("crlf.txt", MARKED.replace("\n", "\r\n"), "markers"),
        ("bom.txt", "\ufeff" + MARKED, "markers"),
        ("no-last-newline.txt", MARKED.rstrip("\n"), "markers"),
        ("spread.txt", MARKED.replace(" <nl> ", "\n").replace("<sos> ", "<sos>\n"), "markers"),
        ("in-one-line.txt", MARKED.replace("\n", " "), "markers"),
        ("blank.txt", "\n\n".join(STORIES) + "\n", "blank-lines"),
        ("wide.txt", "\n\n\n".join(text.replace("\n", "\n\n") for text in STORIES), "blank-lines"),
        ("eot.txt", "\n<|endoftext|>\n".join(STORIES), "markers"),
        ("a.jsonl", "\n".join(json.dumps(row) for row in ROWS), "jsonl"),
        ("a.csv", table(","), "csv"),
        ("a.tsv", table("\t"), "csv"),
        ("semicolon.csv", table(";"), "csv"),
    ],
)
@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_format_is_detected_and_read(
    tmp_path: Path, name: str, content: str, format: str, packed: str
) -> None:
    raw = content.encode()
    if packed == ".gz":
        raw = gzip.compress(raw)
    elif packed == ".zst":
        raw = zstandard.compress(raw)
    path = write(tmp_path / (name + packed), raw)
    source = open_stories(path)
    assert way(source) == format
    assert [story.text.replace("\n\n", "\n") for story in source] == STORIES
    assert {story.source for story in source} == {path.name}


def test_one_story_a_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "A fox.\nA cat.\n   \nA dog.\n")
    lines = [text.replace("\n", " ") for text in STORIES]
    assert texts(write(tmp_path / "long.txt", "\n".join(lines))) == lines
    assert texts(path, split_at="lines") == ["A fox.", "A cat.", "A dog."]
    assert [story.source_line for story in open_stories(path, split_at="lines")] == [1, 2, 4]


def test_parquet_keeps_title_and_split(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [row | {"split": split} for row, split in zip(ROWS, ["train", "dev", "other"], strict=True)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    stories = list(open_stories(path))
    assert [story.text for story in stories] == STORIES
    assert [story.title for story in stories] == ["T0", "T1", "T2"]
    assert [story.split for story in stories] == ["train", "validation", ""]
    assert [story.source_line for story in stories] == [1, 2, 3]


def test_folder_of_text_files_is_one_story_a_file(tmp_path: Path) -> None:
    write(tmp_path / "b.md", "Second.\n\nStill second.")
    write(tmp_path / "a" / "x.txt", "First.")
    write(tmp_path / "notes.bin", b"\0")
    write(tmp_path / ".hidden.txt", "Not this.")
    source = open_stories(tmp_path)
    assert way(source) == "file"
    assert [(story.source, story.text) for story in source] == [
        ("a/x.txt", "First."),
        ("b.md", "Second.\n\nStill second."),
    ]


def test_folder_of_marked_files_and_of_rows(tmp_path: Path) -> None:
    write(tmp_path / "m" / "1.txt", MARKED)
    write(tmp_path / "m" / "2.txt.gz", gzip.compress(MARKED.encode()))
    assert texts(tmp_path / "m") == STORIES * 2
    write(tmp_path / "r" / "1.jsonl", json.dumps(ROWS[0]))
    write(tmp_path / "r" / "2.jsonl", json.dumps(ROWS[1]))
    assert texts(tmp_path / "r") == STORIES[:2]


def test_separator_named_by_the_user(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "A fox.\n\nIt ran.\n=====\nA cat.\n=====\n")
    source = open_stories(path, split_at="=====")
    assert [story.text for story in source] == ["A fox.\n\nIt ran.", "A cat."]
    assert "'====='" in source.description


def test_format_can_be_forced(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "A fox.\n\nA cat.\n")
    assert way(open_stories(path)) == "file"
    assert texts(path, split_at="blank-lines") == ["A fox.", "A cat."]
    assert texts(path, split_at="files") == ["A fox.\n\nA cat."]
    assert texts(path, split_at="lines") == ["A fox.", "A cat."]
    rows = write(tmp_path / "rows.txt", "\n".join(json.dumps(row) for row in ROWS))
    assert texts(rows, format="jsonl") == STORIES


def test_column_is_named_or_found(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", json.dumps({"key": "x", "tale": "A long tale of a fox.", "note": "short"})
    )
    assert open_stories(path).plans[0].columns.text == ("tale",)
    assert texts(path, column="note") == ["short"]


def test_other_encodings(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "caf\u00e9 noir\nth\u00e9 vert\n".encode("windows-1252"))
    assert texts(path, encoding="windows-1252", split_at="lines") == ["café noir", "thé vert"]
    wide = write(tmp_path / "b.txt", "café noir\nthé vert\n".encode("utf-16"))
    assert texts(wide, encoding="utf-16", split_at="lines") == ["café noir", "thé vert"]
    assert texts(wide, split_at="lines") == ["café noir", "thé vert"]


def test_hub_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(name: str, config: str | None) -> datasets.DatasetDict:
        asked.append((name, config))
        parts = {"train": ROWS[:2], "test": ROWS[2:]}
        return datasets.DatasetDict({key: datasets.Dataset.from_list(rows) for key, rows in parts.items()})

    monkeypatch.setattr(datasets, "load_dataset", load)
    source = open_stories("hub:someone/tales:small")
    assert asked == [("someone/tales", "small")]
    assert [(story.text, story.split) for story in source] == list(
        zip(STORIES, ["train", "train", "test"], strict=True)
    )
    assert source.fingerprint == open_stories("hub:someone/tales:small").fingerprint


def test_hub_dataset_that_is_not_there() -> None:
    assert "cannot be loaded" in error_of("hub:nobody/nothing")
    assert "no dataset is named" in error_of("hub:")


def test_surrogates_in_json_become_characters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a \\ud83d\\ude00 b \\ud800 c"}')
    assert texts(path) == ["a 😀 b \ufffd c"]


# Errors in the input, and their messages.


def test_missing_and_empty(tmp_path: Path) -> None:
    assert error_of(tmp_path / "none.txt").startswith("STORIES: no such file or folder;")
    assert "this file is empty" in error_of(write(tmp_path / "empty.txt", ""))
    assert "there is no story" in error_of(write(tmp_path / "blank.txt", " \n\n \n"))
    assert "there is no story" in error_of(write(tmp_path / "blank.jsonl", "\n\n"))
    write(tmp_path / "folder" / "picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    assert "this is neither text nor a document" in error_of(tmp_path / "folder")


def test_bytes_that_are_in_no_encoding_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "first line\ndéjà vu, naïve café\n" * 9)
    assert "is not ascii" in error_of(path, encoding="ascii")
    assert "unknown encoding" in error_of(path, encoding="klingon")
    wild = write(tmp_path / "b.txt", b"a\nb \x81\x8d\xff\xfe\x90 \x9d\n")
    assert error_of(wild).startswith(
        "b.txt:2: the encoding of this text cannot be detected; name the file's encoding"
    )


def test_marker_that_is_never_closed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "<sos> a <eos>\n<sos> b\n<sos> c <eos>\n")
    assert error_of(path).startswith("a.txt:2: <sos> is opened and never closed;")
    assert error_of(write(tmp_path / "b.txt", "<sos> a <eos>\n\n<sos> b")).startswith("b.txt:3: <sos>")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n\n{"txt": "b"}', "a.jsonl:3: column 'text' is missing;"),
        ('{"text": "a"}\n{"text": 7}', "a.jsonl:2: column 'text' is not text;"),
        ('{"text": "a"}\n{"text": "b"', "a.jsonl:2: this is not valid JSON:"),
        ('{"text": "a"}\n[7]', "a.jsonl:2: this line is not a record;"),
        ('{"text": "a"}\n' + "[" * 100_000, "a.jsonl:2: this JSON is nested too deeply"),
        ('{"number": 1}', "STORIES: no column holds text; columns: number"),
    ],
)
def test_rows_that_cannot_be_read(tmp_path: Path, content: str, message: str) -> None:
    assert error_of(write(tmp_path / "a.jsonl", content)).startswith(message)


def test_column_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "tekst,title\na,b\n")
    assert error_of(path, column="text") == "STORIES: no column 'text'; did you mean tekst?"
    assert "has no columns" in error_of(write(tmp_path / "a.txt", "x\n"), column="text")


def test_damaged_files(tmp_path: Path) -> None:
    cut = gzip.compress(b"A fox ran. \n" * 100)[:-9]
    assert "compressed file is damaged" in error_of(write(tmp_path / "b.txt.gz", cut))
    assert "not a readable Parquet file" in error_of(write(tmp_path / "a.parquet", b"PAR1 no"))
    assert "this is neither text nor a document" in error_of(write(tmp_path / "a.txt", b"\x7fELF\0\0\0\0"))


def test_unknown_format(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "x\n")
    assert error_of(path, format="jsonlines") == "--format: unknown format 'jsonlines'; did you mean jsonl?"


@pytest.mark.parametrize(
    ("format", "head", "tail"),
    [
        ("lines", "", ""),
        ("", "<sos> ", " <eos>"),
        ("", "<sos>\n", "\n<eos>"),
        ("", "", "<|endoftext|> tale"),
        ("blank-lines", "a\n", "\nb"),
        ("==", "a\n", "\n=="),
        ("files", "", ""),
        ("jsonl", '{"text": "', '"}'),
        ("csv", 'text\n"', '"'),
    ],
)
def test_a_story_beyond_the_limit_is_refused_while_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, head: str, tail: str
) -> None:
    """As one line, which is never read as a whole, and as many lines."""
    monkeypatch.setattr(limits, "MAX_STORY_BYTES", 1 << 20)
    options = {"format": format} if format in ("jsonl", "csv") else {"format": "text"}
    options |= {"split_at": format} if format not in ("", "jsonl", "csv") else {}
    small = write(tmp_path / "small.txt", f"{head}{'tale ' * 200_000}{tail}")
    assert len(texts(small, **options)[0]) == pytest.approx(1_000_000, abs=10)
    messages = [error_of(write(tmp_path / "one.txt", f"{head}{'tale ' * 220_000}{tail}"), **options)]
    if format not in ("lines", "jsonl"):
        messages.append(error_of(write(tmp_path / "many.txt", head + "tale \n" * 200_000 + tail), **options))
    for message in messages:
        assert "a story is longer than 1 MiB" in message


@given(
    st.lists(st.sampled_from(["<nl>", "<newline>", "<NL>", " ", "\t", "a", "<", "nl>"]), max_size=20).map(
        "".join
    )
)
@settings(max_examples=500, deadline=None)
def test_newline_markers(text: str) -> None:
    assert text_records.with_newlines(text) == re.sub(r"\s?<(?:nl|newline)>\s?", "\n", text, flags=re.I)


# A file cut into pieces is the same file.


READERS = {
    "lines": (line_records, begins_anywhere),
    "markers": (marked_records(b"<sos>", b"<eos>"), text_records.begins_at(b"<sos>")),
    "ends": (parted_records(b"<eos>"), text_records.begins_after(b"<eos>")),
    "starts": (parted_records(b"<sos>"), text_records.begins_at(b"<sos>")),
    "blank": (blank_records(1), text_records.begins_after_blank(1)),
    "wide": (blank_records(2), text_records.begins_after_blank(2)),
    "separator": (separated_records(b"=="), text_records.begins_after_separator(b"==")),
}


LINE = st.sampled_from(["", " ", "a", "bb", "==", "<sos> c <eos>", "é" * 5, "word " * 9])
MARKED_RECORD = st.sampled_from(
    [
        "<sos> a <eos>",
        "<sos> a\nb\n\nc <eos>",
        "<sos> x <eos> <sos> y <eos>",
        "<sos>\n\n<eos>",
        "<sos> " + "z" * 40 + " <eos>",
    ]
)


@pytest.mark.parametrize("name", READERS)
@given(data=st.data(), piece_bytes=st.integers(1, 60), newline=st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=150, deadline=None)
def test_pieces_give_the_records_of_the_whole(
    name: str, data: st.DataObject, piece_bytes: int, newline: str
) -> None:
    import io

    lines = data.draw(st.lists(MARKED_RECORD if name in ("markers", "ends", "starts") else LINE, max_size=25))
    raw = newline.join("\n".join(lines).split("\n")).encode()
    records, begins = READERS[name]
    whole = list(records(Lines(io.BytesIO(raw), "f", 0, None, begins)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "RANGE_BYTES", piece_bytes)
        found, before = [], 0
        for start in range(0, max(1, len(raw)), piece_bytes):
            part = Lines(io.BytesIO(raw), "f", start, start + piece_bytes, begins)
            found += [(line + before, offset, record) for line, offset, record in records(part)]
            before += part.num_lines
    assert found == whole
    assert before == raw.count(b"\n") + (bool(raw) and not raw.endswith(b"\n"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_any_text_survives_json(tmp_path_factory: pytest.TempPathFactory, stories: list[str]) -> None:
    path = write(
        tmp_path_factory.mktemp("j") / "a.jsonl", "\n".join(json.dumps({"text": text}) for text in stories)
    )
    no_value = re.compile(
        r"|\\N|null|none|nan|#?n/a|\W*(removed|deleted|data missing)( by \w+)?\W*", re.IGNORECASE
    )
    wanted = [text.strip() for text in stories if not no_value.fullmatch(text.strip())]
    if wanted:
        assert texts(path) == wanted
    else:
        with contextlib.suppress(NoText):
            assert texts(path) == []


def test_a_source_can_be_read_again_and_by_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RANGE_BYTES", 64)
    source = open_stories(write(tmp_path / "a.txt", MARKED * 50))
    assert [story.text for story in source] == [story.text for story in source] == STORIES * 50
    assert len(list(source.ranges())) > 50
    assert [story.text for piece in source.ranges() for story in source.read(piece)] == STORIES * 50
    packed = open_stories(write(tmp_path / "a.txt.gz", gzip.compress((MARKED * 50).encode())))
    assert list(packed.ranges()) == [FileRange(0, 0, None)]

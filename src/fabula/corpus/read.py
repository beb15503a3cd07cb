"""Open what the user names, find out its format, and read its stories as a stream.

source = open_stories("stories.txt")
print(source.description)
for story in source:
    ...
"""

import io
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

from fabula.corpus import formats, remote
from fabula.corpus.formats import END_OF_TEXT_LINE, NO_COLUMNS, Columns, Lines
from fabula.errors import FabulaError, did_you_mean
from fabula.files import fingerprint, hash_file
from fabula.story import Story

FORMATS = {
    "markers": "plain text, `<sos> ... <nl> ... <eos>`",
    "lines": "plain text, one story a line",
    "blank-lines": "plain text, stories apart by blank lines",
    "separator": "plain text, stories apart by a separator line",
    "file": "plain text, one story a file",
    "jsonl": "JSON Lines, one story a row",
    "csv": "CSV (or TSV) with a header line, one story a row",
    "parquet": "Parquet, one story a row",
    "hub": "a dataset on the Hugging Face hub, one story a row",
}
"""The formats that stories are read from, by name."""

HUB = "hub:"
_ENDINGS = {
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
_COMPRESSED = (".gz", ".zst")
_TEXT_FORMATS = ("markers", "lines", "blank-lines", "separator", "file")
_SPLITTABLE = ("markers", "lines", "blank-lines", "separator", "jsonl")
_SAMPLE_BYTES = 1 << 20
_SAMPLE_ROWS = 50


class Piece(NamedTuple):
    """A part of a source that can be read on its own: bytes `start` to `end` of its file number `file`."""

    file: int
    start: int
    end: int | None
    """None: to the end; such a piece is the whole file."""


@dataclass(frozen=True)
class StorySource:
    """Stories that can be read, as often as one likes.

    Attributes:
        path: what the user named.
        format: a name in `FORMATS`.
        description: one line for the reader: what was found, and why it is read so.
        files: the files, in reading order; none for a hub dataset.
        names: what each file is called in `Story.source`.
        columns: for formats with columns.
        separator: for the format "separator".
        num_blank: for the format "blank-lines": how many blank lines at least stand between two stories.
    """

    path: str
    format: str
    description: str
    files: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()
    columns: Columns = NO_COLUMNS
    separator: str = ""
    num_blank: int = 1
    encoding: str = "utf-8"

    @cached_property
    def fingerprint(self) -> str:
        """Hash over the contents and names of the files (not their place) and over the way they are read."""
        if self.format == "hub":
            contents: list[Any] = [
                [split, len(dataset), str(dataset.features), sorted(dataset.info.download_checksums or {})]
                for split, dataset in self._hub
            ]
        else:
            hashed = remote.stamp if remote.is_url(self.path) else hash_file
            contents = [[name, hashed(path)] for name, path in zip(self.names, self.files, strict=True)]
        return fingerprint(
            [contents, self.format, self.columns, self.separator, self.num_blank, self.encoding]
        )

    @property
    def title(self) -> str:
        """What the user named, without the folders it is in."""
        local = self.format != "hub" and not remote.is_url(self.path)
        return Path(self.path).resolve().name if local else self.path

    @cached_property
    def num_bytes(self) -> int:
        """Size on the disk; 0 for a hub dataset."""
        return sum(path.stat().st_size for path in self.files)

    def __iter__(self) -> Iterator[Story]:
        for number in range(len(self.files) or 1):
            yield from self.read(Piece(number, 0, None))

    def pieces(self) -> Iterator[Piece]:
        """The source in parts that can be read at the same time, in order.

        A file is cut into ranges of `formats.PIECE_BYTES` where its format allows it.
        """
        for number, path in enumerate(self.files):
            if self.can_cut(number):
                size = path.stat().st_size
                for start in range(0, max(size, 1), formats.PIECE_BYTES):
                    yield Piece(number, start, start + formats.PIECE_BYTES)
            else:
                yield Piece(number, 0, None)
        if not self.files:
            yield Piece(0, 0, None)

    def piece_bytes(self, piece: Piece) -> int:
        """Bytes of a piece of a file that is cut."""
        size = self.files[piece.file].stat().st_size
        return (size if piece.end is None else min(piece.end, size)) - piece.start

    def can_cut(self, file: int) -> bool:
        """Whether file number `file` can be read from any byte range."""
        return (
            self.format in _SPLITTABLE
            and self.encoding == "utf-8"
            and self.files[file].suffix not in _COMPRESSED
        )

    def read(self, piece: Piece) -> Iterator[Story]:
        """The stories that begin in a piece. Lines are counted from the piece's first line."""
        with self.open_piece(piece) as stories:
            yield from stories

    def open_piece(self, piece: Piece) -> "OpenPiece":
        """A context manager that gives a piece's stories, and in the end its number of lines."""
        return OpenPiece(self, piece)

    @cached_property
    def _hub(self) -> list[tuple[str, Any]]:
        return _load_hub(self.path)

    def _hub_stories(self) -> Iterator[Story]:
        for split, dataset in self._hub:
            for number, row in enumerate(dataset, 1):
                story = formats.row_story(dict(row), self.columns, f"{self.path}/{split}", number, unit="row")
                if story:
                    yield replace(story, split=story.split or formats.SPLIT_NAMES.get(split, ""))

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_hub"}


class OpenPiece:
    """See `StorySource.open_piece`."""

    def __init__(self, source: StorySource, piece: Piece) -> None:
        self._source, self._piece = source, piece
        self._file: Any = None
        self._lines: Lines | None = None

    @property
    def num_lines(self) -> int:
        """Number of lines of the piece; right once its stories were read."""
        return self._lines.num_lines if self._lines else 0

    def __enter__(self) -> Iterator[Story]:
        source, piece = self._source, self._piece
        if source.format == "hub":
            return source._hub_stories()
        path, name = source.files[piece.file], source.names[piece.file]
        if source.format == "parquet":
            return formats.parquet_stories(path, name, source.columns)
        self._file = formats.open_bytes(path, name, source.encoding)
        file: IO[bytes] = self._file.__enter__()
        begins, separator = formats.begins_anywhere, source.separator.encode()
        if source.format == "markers":
            begins = formats.begins_at_marker
        elif source.format == "blank-lines":
            begins = formats.begins_after_blank(source.num_blank)
        elif source.format == "separator":
            begins = formats.begins_after_separator(separator)
        self._lines = lines = Lines(file, name, piece.start, piece.end, begins)
        if source.format == "jsonl":
            return formats.json_stories(lines, source.columns)
        if source.format == "csv":
            return formats.csv_stories(lines, source.columns)
        if source.format == "file":
            return formats.whole_story(lines)
        if source.format == "markers":
            records = formats.marked_records(lines)
        elif source.format == "lines":
            records = formats.line_records(lines)
        elif source.format == "blank-lines":
            records = formats.blank_records(source.num_blank)(lines)
        else:
            records = formats.separated_records(separator)(lines)
        return formats.text_stories(records, name, marked=source.format == "markers")

    def __exit__(self, *error: Any) -> None:
        if self._file is not None:
            self._file.__exit__(*error)


def open_stories(
    source: str | Path,
    *,
    format: str | None = None,
    column: str | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
) -> StorySource:
    """Find out how stories are written in a file or folder. Reads no more than the beginning.

    Args:
        source: a file (.txt, .md, .jsonl, .csv, .parquet, each also as .gz or .zst), a folder of such files, a URL of
            either that fsspec reads, or `hub:user/dataset`.
        format: a name in `FORMATS`, where what is detected is wrong.
        column: name of the text's column; found where it is not given.
        separator: a line that stands between two stories.
        encoding: of text files, as Python names it.

    Raises:
        FabulaError: there is nothing to read, or no way to read it. Some faults show only while reading.
    """
    if format is not None and format not in FORMATS:
        raise FabulaError(f"unknown format {format!r}", where="--format", hint=did_you_mean(format, FORMATS))
    if format == "separator" and not separator:
        raise FabulaError(
            "format 'separator' needs the line that separates",
            where="--separator",
            hint="for example --separator =====",
        )
    try:
        "".encode(encoding)
    except LookupError:
        raise FabulaError(
            f"unknown encoding {encoding!r}",
            where="--encoding",
            hint="for example utf-8, windows-1252 or utf-16",
        ) from None
    if str(source).startswith(HUB):
        return _open_hub(str(source), column)
    path = remote.path_of(source)
    files, names = _find_files(path)
    kinds = [_kind(file) for file in files]
    kind = kinds[0]
    if format is None and len(set(kinds)) > 1:
        raise FabulaError(
            f"this folder holds files of several kinds ({', '.join(sorted(set(kinds)))})",
            where=path,
            hint="keep one kind, or give the files one by one",
        )
    found = StorySource(str(source), "", "", files, names, encoding=encoding)
    if format is None and separator:
        format = "separator"
    if format is None and kind == "text":
        format, num_blank, why = _detect_text(found, is_folder=path.is_dir())
    else:
        num_blank, why = 1, "named by you" if format else "by the file's ending"
        format = format or kind
        if format == "blank-lines":
            num_blank = _count_blank(_sample(found)) or 1
    described = FORMATS[format]
    if format == "separator":
        separator = separator or END_OF_TEXT_LINE
        described = f"plain text, stories apart by the line {separator.strip()!r}"
    elif format == "blank-lines" and num_blank > 1:
        described = f"plain text, stories apart by {num_blank} or more blank lines"
    columns = NO_COLUMNS
    if format in ("jsonl", "csv", "parquet"):
        columns = _find_columns(replace(found, format=format), column)
        described += f", text in column {columns.text!r}"
    elif column:
        raise FabulaError(f"{FORMATS[format]} has no columns", where=path, hint="leave --column out")
    where = f"{len(files):,} files, " if path.is_dir() else ""
    return replace(
        found,
        format=format,
        description=f"{where}{described} ({why})",
        columns=columns,
        separator=(separator or "").strip() if format == "separator" else "",
        num_blank=num_blank,
    )


def _kind(path: Path) -> str:
    if path.suffix in _COMPRESSED:
        path = path.with_suffix("")
    return _ENDINGS.get(path.suffix.lower(), "text")


def _find_files(path: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    try:
        if not path.is_dir():
            with path.open("rb") as file:
                if not file.read(1):
                    raise FabulaError("this file is empty", where=path, hint="name a file with stories in it")
            return (path,), (formats.valid_unicode(path.name),)
        found = []
        for file in path.rglob("*"):
            inner = file.with_suffix("") if file.suffix in _COMPRESSED else file
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if inner.suffix.lower() in _ENDINGS and not hidden and file.is_file():
                name = formats.valid_unicode(file.relative_to(path).as_posix())
                found.append((name, file))
    except FileNotFoundError:
        hint = "check the spelling; the path is taken from the folder you are in"
        raise FabulaError("no such file or folder", where=path, hint=hint) from None
    except OSError as error:
        raise FabulaError(f"this cannot be read ({error.strerror})", where=path) from None
    if not found:
        endings = ", ".join(sorted(_ENDINGS))
        raise FabulaError(
            "nothing in this folder can be read",
            where=path,
            hint=f"stories are read from {endings} (also .gz, .zst)",
        )
    found.sort()
    return tuple(file for _, file in found), tuple(name for name, _ in found)


def _sample(source: StorySource) -> list[bytes]:
    """The first lines of the first file that has any, without their ends."""
    for path, name in zip(source.files, source.names, strict=True):
        with formats.open_bytes(path, name, source.encoding) as file:
            head = _read_up_to(file, _SAMPLE_BYTES)
        if b"\0" in head[:4096]:
            utf16 = head[:2] in (b"\xff\xfe", b"\xfe\xff")
            raise FabulaError(
                "this is no plain text (it holds zero bytes)",
                where=name,
                hint="try --encoding utf-16"
                if utf16
                else "stories are read from text, .jsonl, .csv and .parquet",
            )
        if head.strip():
            lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
            return lines[:-1] if len(head) == _SAMPLE_BYTES and len(lines) > 1 else lines
    raise FabulaError(
        "there is no story in this file" if len(source.files) == 1 else "there is no story in these files",
        where=source.path,
    )


def _read_up_to(file: IO[bytes], size: int) -> bytes:
    head = b""
    while len(head) < size and (block := file.read(size - len(head))):
        head += block
    return head


def _detect_text(source: StorySource, is_folder: bool) -> tuple[str, int, str]:
    """Format of plain text, the number of blank lines between stories, and why."""
    lines = _sample(source)
    if any(line.lstrip().startswith(b"<sos>") for line in lines):
        return "markers", 1, "a line begins with <sos>"
    if any(line.strip() == END_OF_TEXT_LINE.encode() for line in lines):
        return "separator", 1, f"{END_OF_TEXT_LINE} stands on a line of its own"
    if is_folder:
        return "file", 1, "a folder of text files"
    num_blank = _count_blank(lines)
    if num_blank:
        return "blank-lines", num_blank, "blank lines stand between blocks of text"
    return "lines", 1, "no markers and no blank lines"


def _count_blank(lines: list[bytes]) -> int:
    """How many blank lines stand at least between two stories: where some gaps are single and others wider, the
    wider ones part stories and the single ones paragraphs. 0 where no blank line stands between two others."""
    gaps, blank, seen = set(), 0, False
    for line in lines:
        if not line.strip():
            blank += seen
            continue
        if blank:
            gaps.add(blank)
        blank, seen = 0, True
    if not gaps:
        return 0
    return 2 if len(gaps) > 1 and 1 in gaps else min(gaps)


def _find_columns(source: StorySource, column: str | None) -> Columns:
    """The columns of text, title and split, from the first rows of the first file with any."""
    rows: list[dict[str, Any]] = []
    names: list[str] = []
    for path, name in zip(source.files, source.names, strict=True):
        if source.format == "parquet":
            import pyarrow as pa

            file = formats.open_parquet(path, name)
            names = list(file.schema_arrow.names)
            try:
                batch = next(file.iter_batches(batch_size=_SAMPLE_ROWS), None)
                rows = batch.to_pylist() if batch else []
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise FabulaError(
                    f"this Parquet file is damaged ({formats._first_line(error)})", where=name
                ) from None
        else:
            with formats.open_bytes(path, name, source.encoding) as file:
                head = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
                lines = Lines(head, name, 0, None, formats.begins_anywhere)
                if source.format == "csv":
                    with formats.csv_rows(lines) as found:
                        rows = [row for _, row in itertools.islice(found, _SAMPLE_ROWS)]
                else:
                    rows = list(itertools.islice(_json_rows(lines), _SAMPLE_ROWS))
            names = list(dict.fromkeys(key for row in rows for key in row))
        if rows:
            break
    if not rows:
        raise FabulaError("there is no story in this file", where=source.path)
    return choose_columns(names, rows, column, source.path)


def _json_rows(lines: Lines) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.strip():
            if lines.number == 1 and line.lstrip().startswith(b"["):
                raise FabulaError(
                    "this is one JSON array, not JSON Lines",
                    where=lines.name,
                    line=1,
                    hint="write one object a line, for example with: jq -c '.[]'",
                )
            yield formats.parse_json_row(line, lines.name, lines.number, lines.offset)


def choose_columns(
    names: list[str], rows: Iterable[dict[str, Any]], column: str | None, where: str
) -> Columns:
    """The column of the text as named, or by a usual name, or the one with the longest texts in `rows`."""
    if column is not None:
        # Not checked against the first rows of JSON Lines, which may all lack it by chance: reading names the line.
        text = column
        if column not in names:
            raise FabulaError(f"no column {column!r}", where=where, hint=did_you_mean(column, names))
    else:
        lengths = {
            name: sum(len(value) for row in rows if isinstance(value := row.get(name), str)) for name in names
        }
        usual = [name for name in formats.TEXT_COLUMNS if lengths.get(name)]
        text = usual[0] if usual else max(lengths, key=lambda name: lengths[name], default="")
        if not lengths.get(text):
            raise FabulaError("no column holds text", where=where, hint=f"columns: {', '.join(names)}")
    title = next((name for name in formats.TITLE_COLUMNS if name in names and name != text), "")
    split = "split" if "split" in names and text != "split" else ""
    return Columns(text, title, split)


def _open_hub(source: str, column: str | None) -> StorySource:
    found = StorySource(source, "hub", "")
    splits = found._hub
    _, first = splits[0]
    rows = [dict(row) for row in itertools.islice(first, _SAMPLE_ROWS)]
    if not rows:
        raise FabulaError("this dataset has no rows", where=source)
    columns = choose_columns(list(first.column_names), rows, column, source)
    parts = ", ".join(f"{name} {len(dataset):,}" for name, dataset in splits)
    description = f"hub dataset {source.removeprefix(HUB)} ({parts} rows), text in column {columns.text!r}"
    result = replace(found, description=description, columns=columns)
    result.__dict__["_hub"] = splits
    return result


def _load_hub(source: str) -> list[tuple[str, Any]]:
    """The splits of a hub dataset, by name. It is downloaded once and then read from the disk."""
    import datasets

    name, _, config = source.removeprefix(HUB).partition(":")
    if not name.strip("/"):
        raise FabulaError(
            "no dataset is named", where=source, hint="write hub:user/dataset, or hub:user/dataset:config"
        )
    try:
        splits = datasets.load_dataset(name, config or None)
    except Exception as error:  # the hub's client raises many kinds
        first = formats._first_line(error) or type(error).__name__
        raise FabulaError(
            f"this dataset cannot be loaded ({first})", where=source, hint="check its name and the network"
        ) from None
    return [(str(split), splits[split]) for split in splits]

"""Stories, files and calls that the tests of cleaning share."""

import hashlib
import json
from pathlib import Path
from typing import Any

import fabula
from fabula.corpus.clean import CleanResult
from fabula.corpus.options import CleaningOptions, ReadingOptions, WorkerOptions
from fabula.progress import OnProgress, silent

NOTE = "\n\nEDIT: Thank you so much for the gold, kind stranger!"


def story(number: int) -> str:
    """A story of four paragraphs, a different one for each number."""
    people, places = (
        ["a miller", "a queen", "an old fox", "two sisters"],
        ["mill", "tower", "wood", "harbour"],
    )
    return "\n\n".join(
        f"On day {number * 7 + part} of winter {number}, {people[(number + part) % 4]} walked {part + 2} miles to the "
        f"{places[(number * part) % 4]} of number {number}, and counted {number * part + 3} gulls there."
        for part in range(1, 5)
    )


def stories_file(path: Path, texts: list[str], **columns: list[str]) -> Path:
    """A JSON Lines file of these texts, with further columns."""
    rows = [{"text": text} for text in texts]
    for name, values in columns.items():
        rows = [row | {name: value} for row, value in zip(rows, values, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def bytes_of(folder: Path) -> dict[str, str]:
    """Hash of each file below a folder, by its path."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def clean(
    stories: str | Path,
    out: str | Path | None,
    *,
    workers: int | None = None,
    ray: str | None = None,
    decisions: Path | None = None,
    jsonl: Path | None = None,
    on_progress: OnProgress = silent,
    force: bool = False,
    **options: Any,
) -> CleanResult:
    """`fabula.clean` with the fields of its records as keywords."""
    return fabula.clean(
        stories,
        out,
        CleaningOptions(**options),
        reading=ReadingOptions(force=force),
        workers=WorkerOptions(workers=workers, ray=ray),
        decisions=decisions,
        jsonl=jsonl,
        on_progress=on_progress,
    )

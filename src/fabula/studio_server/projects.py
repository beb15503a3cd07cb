"""Projects: the run folders in one folder, with the user's files and the state of each."""

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from fabula.corpus.options import ReadingOptions
from fabula.corpus.store import open_corpus
from fabula.defaults import RECIPE, SEED
from fabula.errors import FabulaError
from fabula.files import MANIFEST, rename
from fabula.models.bases import TINY
from fabula.pipeline.events import DONE, STOPPED, last_event
from fabula.pipeline.run import DECISIONS, INPUTS, PROJECT
from fabula.report.render import REPORT
from fabula.results import (
    LOG,
    RUN,
    CorpusManifest,
    LogRow,
    Result,
    RunArguments,
    RunRecord,
    TrainingLog,
    parse_log_row,
    read_rows,
)
from fabula.training.job import CHECKPOINTS

NAME = re.compile(r"\w(?:[\w .-]{0,78}\w)?")
"""A project's name. It is the name of its folder, and part of addresses."""

MAX_FILES = 5_000
MAX_DEPTH = 8
MAX_PART_BYTES = 200

Phase = Literal["empty", "unread", "reading", "ready", "queued", "working", "stopped", "failed", "done"]


class Choices(Result):
    """What the user chose for a project before its run begins."""

    reading: ReadingOptions = ReadingOptions()
    base: str = TINY
    recipe: str = RECIPE
    max_minutes: float | None = Field(default=10.0, gt=0, le=100_000)
    improves: str = ""
    """The project whose model it trains further, or ""."""


@dataclass(frozen=True)
class Project:
    """A run folder, or the folder of a run that has not begun."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def inputs(self) -> Path:
        """The files that the user put in."""
        return self.folder / INPUTS

    @property
    def decisions(self) -> Path:
        """What the user decided about removals. An empty file is made where there is none, since a corpus also depends
        on whether there is one."""
        path = self.folder / DECISIONS
        if not path.exists():
            path.touch()
        return path

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def files(self) -> list[Path]:
        """The user's files, sorted by name."""
        return sorted(path for path in self.inputs.rglob("*") if path.is_file() and path.suffix != ".upload")

    def source(self) -> str:
        """What the run reads: the one file, or the folder of several.

        Raises:
            FabulaError: there is none.
        """
        files = self.files()
        if not files:
            raise FabulaError("there are no stories in this project yet", where=self.name)
        return str((files[0] if len(files) == 1 else self.inputs).resolve())

    def choices(self) -> Choices:
        return Choices.load_optional(self.folder / PROJECT) or Choices()

    def choose(self, choices: Choices) -> None:
        choices.save(self.folder / PROJECT)

    @property
    def improves(self) -> str:
        """The project whose model it trains further, or ""."""
        try:
            return self.choices().improves
        except FabulaError:  # of another version
            return ""

    def arguments(self) -> RunArguments:
        """The arguments of its run: those it was started with, or else the user's choice."""
        if self.has_run:
            return RunRecord.load(self.folder / RUN).arguments
        chosen = self.choices()
        return RunArguments(
            stories=self.source(),
            base=chosen.base,
            recipe=chosen.recipe,
            seed=SEED,
            max_minutes=chosen.max_minutes,
            decisions=str(self.decisions.resolve()),
            **dict(chosen.reading),
        )

    @property
    def has_run(self) -> bool:
        """Whether a run was started in it."""
        return (self.folder / RUN).is_file()

    def phase(self) -> tuple[Phase, str]:
        """Its phase, and a sentence about an error."""
        event = last_event(self.folder)
        if event is not None and event.process is not None:
            return ("working" if self.has_run else "reading"), ""
        if not self.has_run:
            if (self.corpus / MANIFEST).is_file():
                return "ready", ""
            return ("unread" if self.files() else "empty"), ""
        if event is not None and event.outcome not in (DONE, STOPPED, None):
            return "failed", str(event.outcome)
        if (event is None or event.outcome == DONE) and (self.folder / REPORT).is_file():
            return "done", ""
        return "stopped", ""

    def corpus_manifest(self) -> CorpusManifest | None:
        return CorpusManifest.find(self.corpus)

    def training_log(self) -> TrainingLog:
        """The log of the current or last training, without a row that is still being written."""
        found = [*self.folder.glob(f"model{CHECKPOINTS}/*/{LOG}"), self.folder / LOG]
        logs = sorted((path for path in found if path.is_file()), key=lambda path: path.stat().st_mtime)
        rows: list[LogRow] = []
        try:
            for number, value in read_rows(logs[-1]) if logs else ():
                rows.append(parse_log_row(value, logs[-1], number))
        except FabulaError:
            pass
        return TrainingLog.of_rows(rows)


class Projects:
    """The projects below one folder.

    Args:
        root: the folder; it is made where there is none.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root.resolve()

    def all(self) -> list[Project]:
        """All projects, the most recently changed first."""
        found = [
            Project(path)
            for path in self.root.iterdir()
            if NAME.fullmatch(path.name)
            and path.is_dir()
            and not path.is_symlink()
            and any((path / mark).exists() for mark in (RUN, PROJECT))
        ]
        return sorted(found, key=lambda project: -project.folder.stat().st_mtime)

    def find(self, name: str) -> Project:
        """The project of a name.

        Raises:
            FabulaError: there is none. Nothing outside the folder can be named.
        """
        folder = self.root / name
        if not NAME.fullmatch(name) or folder.is_symlink() or folder.resolve().parent != self.root:
            raise FabulaError("There is no such project.")
        if not any((folder / mark).exists() for mark in (RUN, PROJECT)):
            raise FabulaError("There is no such project.")
        return Project(folder)

    def create(self, wanted: str, base: str = TINY) -> Project:
        """Create a project, with a number after the name if the name is taken.

        Args:
            base: the base model that is chosen at first.
        """
        stem = re.sub(r"[^\w -]+", "-", wanted).strip(" -")[:60].strip(" -") or "stories"
        number = 0
        while True:
            number += 1
            folder = self.root / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            project = Project(folder)
            project.inputs.mkdir()
            project.choose(Choices(base=base))
            return project

    def improve(self, project: Project, name: str, text: str) -> Project:
        """A new project with the stories of another and one more to train on, whose base is the other's model. The
        other stays as it is, and the same stories are held out.

        Raises:
            FabulaError: it has no model or no stories.
        """
        if not (project.model / MANIFEST).is_file():
            raise FabulaError("there is no model in this project yet", where=project.name)
        corpus = open_corpus(project.corpus)
        made = self.create(project.name)
        has_prompts = False
        with (made.inputs / CLEANED).open("w", encoding="utf-8") as file:
            for split in corpus.splits:
                for story in corpus.stories(split):
                    has_prompts = has_prompts or bool(story.prompt)
                    file.write(story_row(story.text, story.title, split, story.prompt))
        written = made.inputs / WRITTEN
        written.write_text(story_row(text, name, "train", ""), encoding="utf-8")
        minutes = project.arguments().max_minutes if project.has_run else project.choices().max_minutes
        made.choose(
            Choices(
                reading=ReadingOptions(prompt_column="prompt" if has_prompts else None),
                base=str(project.model.resolve()),
                max_minutes=minutes,
                improves=project.name,
            )
        )
        return made

    def remove(self, project: Project, bin: Path) -> None:
        """Move a project out of the way, so that it can be put back.

        Args:
            bin: where removed projects are.

        Raises:
            FabulaError: another project trains its model further.
        """
        for other in self.all():
            if other.name != project.name and other.improves == project.name:
                raise FabulaError(
                    f"{other.name} improves this project; remove that first", where=project.name
                )
        bin.mkdir(parents=True, exist_ok=True)
        place = bin / project.name
        if place.exists():  # an earlier one of this name stays, under another
            numbers = itertools.count(1)
            place.rename(
                next(free for number in numbers if not (free := bin / f"{project.name}.{number}").exists())
            )
        project.folder.rename(place)

    def put_back(self, name: str, bin: Path) -> Project:
        """Put a removed project back.

        Raises:
            FabulaError: there is none, or another project has this name now.
        """
        removed, folder = bin / name, self.root / name
        if not NAME.fullmatch(name) or not removed.is_dir():
            raise FabulaError("There is no such project.")
        if folder.exists():
            raise FabulaError("another project has this name now", where=name)
        removed.rename(folder)
        return Project(folder)


def story_row(text: str, title: str, split: str, prompt: str) -> str:
    """A story as a line of JSON Lines, as cleaning reads it."""
    return (
        json.dumps({"title": title, "prompt": prompt, "split": split, "text": text}, ensure_ascii=False)
        + "\n"
    )


CLEANED, WRITTEN = "stories.jsonl", "written.jsonl"
"""Inputs of a project that improves another: the stories of the other as they were cleaned, and the new one."""


def input_path(project: Project, name: str) -> Path:
    """Where a file of this name goes, below the project's inputs.

    Args:
        name: its path in the folder that was dropped, with "/" between the parts.

    Raises:
        FabulaError: a name that leads elsewhere, is hidden or too long, or one file too many.
    """
    parts = name.split("/")
    for part in parts:
        is_odd = any(ord(character) < 32 or character in '\\:*?"<>|\x7f' for character in part)
        if not part or part.startswith(".") or part != part.strip() or part.endswith(".upload") or is_odd:
            raise FabulaError(f"a file cannot have the name {name[:100]!r}", hint="rename it")
        if len(part.encode()) > MAX_PART_BYTES:
            raise FabulaError("this file's name is too long", where=part[:40])
    if len(parts) > MAX_DEPTH:
        raise FabulaError(f"this folder has subfolders more than {MAX_DEPTH} levels deep", where=parts[0])
    path = project.inputs.joinpath(*parts)
    if not path.parent.resolve().is_relative_to(project.inputs.resolve()) or path.is_symlink():
        raise FabulaError(f"a file cannot have the name {name[:100]!r}", hint="rename it")
    if not path.exists() and len(project.files()) >= MAX_FILES:
        raise FabulaError(
            f"a project can have at most {MAX_FILES:,} files", hint="put them into one .zip archive"
        )
    return path


def take_chunk(project: Project, name: str, data: bytes, offset: int, total: int, max_bytes: int) -> bool:
    """Add bytes to a file of the project's inputs. Chunks come in order; the last one puts the file in its place.

    Args:
        offset: bytes of the file before these; 0 begins it anew.
        total: size of the whole file.
        max_bytes: that all files of the project may take.

    Returns:
        Whether the file is complete.

    Raises:
        FabulaError: a bad name, a chunk that does not follow, or too large a file.
    """
    path = input_path(project, name)
    others = sum(file.stat().st_size for file in project.files() if file != path)
    if total + others > max_bytes:
        raise FabulaError(
            f"a project can have at most {max_bytes / 1e6:,.0f} MB",
            where=name,
            hint="leave some files out",
        )
    if offset + len(data) > total:
        raise FabulaError("the upload has more bytes than announced", where=name)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".upload")
    if offset and (not partial.is_file() or partial.stat().st_size != offset):
        raise FabulaError("the upload was interrupted", where=name, hint="drop the file again")
    with partial.open("ab" if offset else "wb") as file:
        file.write(data)
    if offset + len(data) < total:
        return False
    rename(partial, path)
    return True


def describe(project: Project, *, is_queued: bool, is_starting: bool, problem: str = "") -> dict[str, Any]:
    """The data of one project for the list of projects.

    Args:
        is_queued: whether its run waits.
        is_starting: whether the process of its run was started; the first event comes seconds later.
    """
    phase, error = project.phase()
    if phase != "working":
        phase = "queued" if is_queued else "working" if is_starting else phase
    manifest = project.corpus_manifest()
    return {
        "name": project.name,
        "phase": phase,
        "error": error or problem,
        "num_stories": manifest.counts.num_kept if manifest else None,
        "num_words": manifest.counts.words_kept if manifest else None,
        "has_model": (project.model / MANIFEST).is_file(),
        "improves": project.improves,
        "changed": project.folder.stat().st_mtime,
    }

"""The contents of a project's files, and the removals of cleaning, for a person to review and decide on.

`read_stories` makes the same corpus that the run uses, so nothing is cleaned twice.
"""

import itertools
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from fabula.corpus.boilerplate import RULES
from fabula.corpus.clean import clean
from fabula.corpus.judge import overview
from fabula.corpus.ledger import DroppedRow, RemovalRow, read_decisions
from fabula.corpus.options import ReadingOptions
from fabula.corpus.review import CONTEXT
from fabula.corpus.splitting.choose import ReadingQuestion
from fabula.corpus.store import Corpus, open_corpus
from fabula.errors import FabulaError
from fabula.files import atomic_file
from fabula.pipeline.events import EventLog
from fabula.results import Result
from fabula.studio_server.projects import CLEANED, Project

NUM_BEGINNINGS = 3
BEGINNING_CHARS = 700
MAX_SHOWN_CHARS = 3_000
"""Number of characters of a removal that are shown."""

PAGE_ROWS = 40


class Decision(Result):
    """A row of a project's review file: the removal as it was shown, and the decision about it."""

    story: str
    start: int
    end: int
    decision: str
    """ "undo" or "confirm", or "" to withdraw a decision."""
    rule: str = ""
    confidence: float = 1.0
    place: str = ""
    before: str = ""
    text: str = ""
    after: str = ""

    @property
    def key(self) -> tuple[str, int, int]:
        return self.story, self.start, self.end


def read_stories(folder: Path, reading: ReadingOptions) -> dict[str, Any]:
    """Clean the files of a project into its corpus.

    Returns:
        `summary`, or where it has to be asked where stories begin, `question` with the readings to choose from.

    Raises:
        FabulaError: they cannot be read.
    """
    project = Project(folder)
    choices = project.choices()
    project.choose(choices.model_copy(update={"reading": reading}))
    with EventLog(folder) as log:
        read = partial(clean, project.source(), project.corpus, reading=reading, on_progress=log)
        try:
            read(decisions=project.decisions)
            if choices.improves and undo_in_cleaned(project):
                read(decisions=project.decisions)
        except ReadingQuestion as question:
            return {
                "question": {
                    "what": str(question.what),
                    "readings": [asdict(one) for one in question.readings],
                }
            }
    return {"summary": summarise(project)}


def undo_in_cleaned(project: Project) -> bool:
    """Decide that nothing more is taken out of the stories that the improved project has cleaned.

    Returns:
        Whether there was anything to decide.
    """
    found = [
        Decision(story=row.story, start=row.start, end=row.end, decision="undo", rule=row.rule, text=row.text)
        for row in open_corpus(project.corpus).ledger()
        if isinstance(row, RemovalRow) and row.source == CLEANED
    ]
    known = {one.key for one in load_decisions(project)}
    new = [one for one in found if one.key not in known]
    write_decisions(project, [*load_decisions(project), *new])
    return bool(new)


def summarise(project: Project) -> dict[str, Any] | None:
    """The result of reading, for the page; None before the files have been read."""
    manifest = project.corpus_manifest()
    if manifest is None:
        return None
    counts = manifest.counts
    corpus = Corpus(project.corpus, manifest)
    beginnings = [
        {
            "title": story.title,
            "place": f"{story.source}:{story.source_line}",
            "num_words": story.num_words,
            "text": story.text[:BEGINNING_CHARS],
            "is_whole": len(story.text) <= BEGINNING_CHARS,
        }
        for story in itertools.islice(corpus.stories(), NUM_BEGINNINGS)
    ]
    return {
        "format": counts.format,
        "overview": overview(counts),
        "num_read": counts.num_read,
        "num_kept": counts.num_kept,
        "num_dropped": counts.num_dropped,
        "num_left_out": counts.num_left_out,
        "num_words": counts.words_kept,
        "median_words": counts.median_words,
        "words_removed": counts.words_removed,
        "num_removals": counts.num_removals,
        "removals_by_rule": counts.removals_by_rule,
        "splits": counts.splits,
        "warnings": counts.warnings,
        "repairs": sum(counts.repairs.values()),
        "rules": f"{counts.rule_set} ({counts.rule_set_reason})",
        "beginnings": beginnings,
    }


def list_removals(project: Project, offset: int) -> dict[str, Any]:
    """Some of what cleaning took out, the least certain first, with what stood around it; those that the user undid, which
    are not in the ledger any more, come first.

    Returns:
        `rows`, `num_rows` in all, and `dropped`: the first stories that were not kept.
    """
    corpus = open_corpus(project.corpus)
    decided = {one.key: one for one in load_decisions(project)}
    removals: dict[tuple[str, int], list[RemovalRow]] = {}
    dropped: list[DroppedRow] = []
    for row in corpus.ledger():
        if isinstance(row, RemovalRow):
            removals.setdefault((row.source, row.source_line), []).append(row)
        elif isinstance(row, DroppedRow) and len(dropped) < PAGE_ROWS:
            dropped.append(row)
    rows = sorted(
        (row for each in removals.values() for row in each),
        key=lambda row: (row.confidence, row.source, row.source_line, row.start),
    )
    there = {(row.story, row.start, row.end) for row in rows}
    gone = [one for key, one in decided.items() if key not in there and one.decision == "undo"]
    shown = rows[max(0, offset - len(gone)) :][: max(0, PAGE_ROWS - max(0, len(gone) - offset))]
    texts = _texts(corpus, {(row.source, row.source_line) for row in shown})
    listed = [one.model_dump(mode="json") for one in gone[offset : offset + PAGE_ROWS]]
    for row in shown:
        place = (row.source, row.source_line)
        one = _in_its_place(row, removals[place], texts.get(place, ""))
        decision = decided[one.key].decision if one.key in decided else ""
        listed.append(one.model_copy(update={"decision": decision}).model_dump(mode="json"))
    for one in listed:
        one["why"] = RULES.get(one["rule"], "").replace("`", "")
    return {
        "rows": listed,
        "num_rows": len(gone) + len(rows),
        "dropped": [
            {
                "reason": row.dropped,
                "place": f"{row.source}:{row.source_line}",
                "text": (row.text or row.title)[:300],
            }
            for row in dropped
        ],
    }


def _texts(corpus: Corpus, places: set[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """The kept stories at these places."""
    found: dict[tuple[str, int], str] = {}
    for story in corpus.stories():
        place = (story.source, story.source_line)
        if place in places:
            found[place] = story.text
            if len(found) == len(places):
                break
    return found


def _in_its_place(row: RemovalRow, of_story: list[RemovalRow], text: str) -> Decision:
    at = row.start - sum(other.end - other.start for other in of_story if other.start < row.start)
    return Decision(
        story=row.story,
        start=row.start,
        end=row.end,
        decision="",
        rule=row.rule,
        confidence=row.confidence,
        place=f"{row.source}:{row.source_line}",
        before=text[max(0, at - CONTEXT) : at],
        text=row.text[:MAX_SHOWN_CHARS],
        after=text[at : at + CONTEXT],
    )


def load_decisions(project: Project) -> list[Decision]:
    """The decisions of a project, in the order in which they were made.

    Raises:
        FabulaError: the file is damaged.
    """
    read_decisions(project.decisions)  # says what is wrong with a row, as the run would
    rows = project.decisions.read_text(encoding="utf-8").splitlines()
    return [Decision.of(json.loads(row), project.decisions) for row in rows if row.strip()]


def decide(project: Project, wanted: Decision) -> int:
    """Save a decision, or with "" withdraw it.

    Returns:
        The current number of decisions.

    Raises:
        FabulaError: it is not a valid decision.
    """
    if wanted.decision not in ("", "undo", "confirm") or not 0 <= wanted.start < wanted.end:
        raise FabulaError("this is not a decision about a removal")
    decisions = [one for one in load_decisions(project) if one.key != wanted.key]
    if wanted.decision:
        decisions.append(wanted)
    write_decisions(project, decisions)
    return len(decisions)


def write_decisions(project: Project, decisions: list[Decision]) -> None:
    with atomic_file(project.decisions) as file:
        for one in decisions:
            file.write(one.model_dump_json() + "\n")

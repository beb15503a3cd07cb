"""Whole texts in the style of many sites, with their boilerplate marked, in `data/boilerplate/sites/`.

A file of cases has a line `@site` before each case. Boilerplate is between ⟦ and ⟧; `{a}` is a story of `bodies.txt`.
`heldout.txt` was written before the detector was tuned on `dev.txt`, and is only for the figure that is published.
`independent.jsonl` has 80 cases by a writer who knew nothing of the detector, many of them stories that look like notes.
`usual.txt` has 50 cases as a sample of such sites would carry them, a third of them without a note. `first_sight.txt` and
`first_sight_heldout.txt` have 30 more each, half of them without a note; `second_sight.txt` and `second_sight_heldout.txt` 30
each again, 17 of the 60 without a note. The held-out ones are only for the figure that is published. `mended.txt` has 30 stories
without a note that look like notes, and 29 notes, written while the kinds of mistakes in `second_sight.txt` were mended.
`third_sight.txt` has 159 cases in four waves (59, 59, 24 and 17; 67 without a note), each scored before anything was mended for it, and
`third_sight_heldout.txt` the 17 of the last wave for which nothing was mended. `fourth_sight.txt` and `fourth_sight_heldout.txt` have 15
each: 9 documents, letters, posts and speeches without a note, and 6 usual notes of r/WritingPrompts. `fifth_sight.txt` has 85 cases in
two waves (48 and 37; 33 without a note), nearly all in the manner of r/WritingPrompts, each scored before anything was mended for it.
`sixth_sight.txt` and `sixth_sight_heldout.txt` have 33 and 18 of two more such waves (37 and 14), 21 of them without a note.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "data" / "boilerplate" / "sites"


@dataclass(frozen=True)
class SiteCase:
    """A text from a site, and the places [start, end) of its boilerplate."""

    site: str
    text: str
    boilerplate: list[tuple[int, int]]


def _parts(name: str) -> list[tuple[str, str]]:
    """Name and text of each part of a file."""
    found = re.split(r"^@(\w+)\n", (FOLDER / name).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [(mark, text.strip("\n")) for mark, text in zip(found[::2], found[1::2], strict=True)]


def site_cases(name: str) -> list[SiteCase]:
    """The cases of one of the files."""
    if name.endswith(".jsonl"):
        return [_from_segments(json.loads(line)) for line in (FOLDER / name).read_text("utf-8").splitlines()]
    bodies = dict(_parts("bodies.txt"))
    cases = []
    for site, marked in _parts(name):
        marked = re.sub(r"\{(\w)\}", lambda match: bodies[match[1]], marked)
        text, places = "", []
        for part in re.split("([⟦⟧])", marked):
            if part == "⟦":
                places.append((len(text), len(text)))
            elif part == "⟧":
                places[-1] = (places[-1][0], len(text))
            else:
                text += part
        cases.append(SiteCase(site, text, places))
    return cases


def _from_segments(row: dict[str, Any]) -> SiteCase:
    """The case of a line of JSON: the text in segments, each "story" or "note"."""
    text, places = "", []
    for kind, segment in row["segments"]:
        if kind == "note":
            places.append((len(text), len(text) + len(segment.rstrip())))
        text += segment
    return SiteCase(row["site"], text, places)

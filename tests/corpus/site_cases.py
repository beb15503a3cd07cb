"""Whole texts in the style of many sites, with their boilerplate marked, in `data/boilerplate/sites/`.

A file of cases has a line `@site` before each case. Boilerplate is between ⟦ and ⟧; `{a}` is a story of `bodies.txt`.
`heldout.txt` was written before the detector was tuned on `dev.txt`, and is only for the figure that is published.
"""

import re
from dataclasses import dataclass
from pathlib import Path

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
    """The cases of `dev.txt` or `heldout.txt`."""
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

"""The seed notebook's one pattern, exactly, without its quadratic time.

The pattern `<nl>.*?(\\[.*?\\]\\(http[s]?://\\S+\\)|subscribe|/r/|PART \\d+).*?<eos>` (ignoring case) starts at a story's first
`<nl>` and runs to its end wherever one of the alternatives follows. So it fires or not; what it takes is always
everything after the first paragraph.
"""

import re

from fabula.story import Span

_WORDS = re.compile(r"subscribe|/r/|part \d", re.IGNORECASE)
_LINK = re.compile(r"\]\(https?://\S", re.IGNORECASE)


def find(text: str) -> list[Span]:
    """The span that the seed's pattern removes from `text`, if any."""
    start = text.find("\n")
    if start < 0:
        return []
    if _WORDS.search(text, start) or _has_link(text, start):
        return [Span(start, len(text), "seed", 1.0)]
    return []


def _has_link(text: str, start: int) -> bool:
    opening = text.find("[", start)
    if opening < 0:
        return False
    space = re.compile(r"\s|$")
    position = opening
    while match := _LINK.search(text, position):
        end_of_run = space.search(text, match.end())
        stop = end_of_run.start() if end_of_run else len(text)
        if text.find(")", match.end(), stop) >= 0:
            return True
        position = stop
    return False

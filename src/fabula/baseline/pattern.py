"""The notebook's cleaning pattern, exactly, without its quadratic time.

The pattern `<nl>.*?(\\[.*?\\]\\(http[s]?://\\S+\\)|subscribe|/r/|PART \\d+).*?<eos>` (ignoring case) starts at a story's first
`<nl>` and runs to its end wherever one of the alternatives follows. So it either matches or does not; what it removes
is always everything after the first paragraph.
"""

import re

from fabula.story import Span

RULES: dict[str, str] = {
    "notebook": "The notebook's pattern: everything after the first paragraph of a story that has a Markdown link, `/r/`, "
    "`subscribe` or `part` and a number in it.",
}

_WORDS = re.compile(r"subscribe|/r/|part \d", re.IGNORECASE)
_LINK = re.compile(r"\]\(https?://\S", re.IGNORECASE)
_SPACE = re.compile(r"\s")


def find(text: str) -> list[Span]:
    """The span that the notebook's pattern removes from `text`, if any."""
    start = text.find("\n")
    if start >= 0 and (_WORDS.search(text, start) or _has_link(text, start)):
        return [Span(start, len(text), "notebook")]
    return []


def _has_link(text: str, start: int) -> bool:
    position = text.find("[", start)
    while position >= 0 and (match := _LINK.search(text, position)):
        space = _SPACE.search(text, match.end())
        position = space.start() if space else len(text)
        if text.find(")", match.end(), position) >= 0:
            return True
    return False

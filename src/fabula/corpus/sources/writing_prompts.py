"""The files of WritingPrompts (Fan et al. 2018, fairseq's examples/stories): one story per line, tokenised."""

import re
from collections.abc import Sequence

_NEWLINE = re.compile(r"\s*(?:<newline>\s*)+")
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), into)
    for pattern, into in (
        (r"(?:^|(?<=\s))(?:``|“) ?", '"'),
        (r" ?(?:''|”)", '"'),
        (r"(?:^|(?<=\s))` ", "'"),
        (r"\b([Cc]an) not\b", r"\1not"),
        (r"\b([Gg]on|[Ww]an) na\b", r"\1na"),
        (r"\b([Gg]ot) ta\b", r"\1ta"),
        (r" (n't|'(?:s|d|ll|re|ve|m|em))\b", r"\1"),
        (r" ([.,!?;:%)\]}]|\.{2,}|…)", r"\1"),
        (r"([(\[{$#]) ", r"\1"),
    )
)


def is_tokenised(lines: Sequence[str]) -> bool:
    """Whether lines have `<newline>` for the ends of paragraphs."""
    return any("<newline>" in line for line in lines)


def restore(line: str) -> str:
    """A line in its original form: `<newline>` becomes the end of a paragraph, and spaces around punctuation are
    restored."""
    paragraphs = []
    for paragraph in _NEWLINE.split(line):
        text = " ".join(paragraph.split())
        for pattern, into in _RULES:
            text = pattern.sub(into, text)
        paragraphs.append(text)
    return "\n".join(paragraph for paragraph in paragraphs if paragraph)

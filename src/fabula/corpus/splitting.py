"""Where one story ends and the next begins, in text and in documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SplitKind = Literal["markers", "lines", "blank-lines", "separator", "file"]

END_OF_TEXT_LINE = "<|endoftext|>"
SPLIT_NAMES = ("markers", "lines", "blank-lines", "files")
"""What `--split-at` takes beside a line or a regular expression."""


@dataclass(frozen=True, slots=True)
class Split:
    """A way to cut a text into stories.

    Attributes:
        kind: "markers": each story stands between a start and an end marker; "lines": a story a line;
            "blank-lines": `num_blank` blank lines or more between stories; "separator": a line that is `separator`
            between stories; "file": a story a file.
    """

    kind: SplitKind
    separator: str = ""
    num_blank: int = 1

    @property
    def description(self) -> str:
        """For the user, after the name of the format."""
        return {
            "markers": "`<sos> ... <nl> ... <eos>`",
            "lines": "one story a line",
            "blank-lines": "stories apart by blank lines"
            if self.num_blank == 1
            else f"stories apart by {self.num_blank} or more blank lines",
            "separator": f"stories apart by the line {self.separator!r}",
            "file": "one story a file",
        }[self.kind]


WHOLE = Split("file")


def named_split(split_at: str, lines: Sequence[str]) -> Split:
    """The split that the user names."""
    if split_at == "files":
        return WHOLE
    if split_at == "lines" or split_at == "markers":
        return Split(split_at)
    if split_at == "blank-lines":
        return Split("blank-lines", num_blank=_count_blank(lines) or 1)
    return Split("separator", split_at.strip())


def choose_split(lines: Sequence[str], is_folder: bool) -> tuple[Split, str]:
    """The split of plain text, and why."""
    if any(line.lstrip().startswith("<sos>") for line in lines):
        return Split("markers"), "a line begins with <sos>"
    if any(line.strip() == END_OF_TEXT_LINE for line in lines):
        return Split("separator", END_OF_TEXT_LINE), f"{END_OF_TEXT_LINE} stands on a line of its own"
    if is_folder:
        return WHOLE, "a folder of text files"
    num_blank = _count_blank(lines)
    if num_blank:
        return Split("blank-lines", num_blank=num_blank), "blank lines stand between blocks of text"
    return Split("lines"), "no markers and no blank lines"


def _count_blank(lines: Sequence[str]) -> int:
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

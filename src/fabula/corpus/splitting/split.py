"""A way to cut text into stories."""

import re
from dataclasses import dataclass
from typing import Literal

from fabula.errors import FabulaError, did_you_mean

SplitKind = Literal["markers", "lines", "blank-lines", "separator", "headings", "scenes", "pattern", "file"]

SPLIT_AT = ("chapters", "scenes", "blank-lines", "lines", "files")
"""The names that `--split-at` takes; anything else is a line, or a regular expression for one."""


@dataclass(frozen=True, slots=True)
class Split:
    """A way to cut a text into stories.

    Attributes:
        kind: "markers": each story begins with `start` and ends with `end`, of which one may be ""; "lines": one story
            per line, without `start` before it; "blank-lines": `num_blank` blank lines or more between stories; "separator": a line that is `end`
            between stories; "headings": at headings of `level` and above; "scenes": also at dividers; "pattern": at
            lines that match the regular expression `start`, or, if `end` is not "", from a line that matches `start` to
            one that matches `end`; "file": one story per file.
        unwrap: whether lines are broken at one width, and are joined to paragraphs.
        is_book: whether the stories are the parts of one book, in order.
        any_case: whether marks are the same in capitals and in small letters.
    """

    kind: SplitKind
    start: str = ""
    end: str = ""
    num_blank: int = 1
    level: int = 0
    unwrap: bool = False
    is_book: bool = False
    any_case: bool = False

    @property
    def description(self) -> str:
        """A description for the user, such as "stories under headings"."""
        return {
            "markers": self._marks(),
            "lines": "one story a line",
            "blank-lines": "stories between blank lines"
            if self.num_blank == 1
            else f"stories between {self.num_blank} or more blank lines",
            "separator": f"stories between lines {self.end!r}",
            "headings": "the chapters of a book" if self.is_book else "stories under headings",
            "scenes": "stories between dividers",
            "pattern": f"stories between lines like {self.start!r}"
            + (f" and {self.end!r}" if self.end else ""),
            "file": "one story a file",
        }[self.kind]

    def _marks(self) -> str:
        if self.end == "\f":
            return "stories between form feeds"
        if self.start and self.end:
            return f"stories in {self.start} ... {self.end}"
        return f"stories after {self.start}" if self.start else f"stories before {self.end}"

    @property
    def split_at(self) -> str:
        """The value of `--split-at` that names this way to cut."""
        name = {
            "headings": "chapters",
            "scenes": "scenes",
            "blank-lines": "blank-lines",
            "lines": "lines",
            "file": "files",
        }.get(self.kind, "")
        if self.kind == "pattern":
            return f"{self.start}|{self.end}" if self.end else self.start
        return name or {"\f": "\\f", "\x1e": "\\x1e"}.get(self.end, self.end) or self.start

    @property
    def pattern(self) -> re.Pattern[str] | None:
        """The pattern for the lines at which it cuts, if it is of the kind "pattern"."""
        return line_pattern(self.split_at) if self.kind == "pattern" else None

    @property
    def option(self) -> str:
        """The option that names this way to cut, as it is typed."""
        value = self.split_at
        return (
            f"--split-at {value}" if value in SPLIT_AT else "--split-at '" + value.replace("'", "'\\''") + "'"
        )


WHOLE = Split("file")


def line_pattern(split_at: str) -> re.Pattern[str]:
    """The pattern for the lines that `--split-at` names: the line itself, or a regular expression that matches the
    whole line.

    Raises:
        FabulaError: it is neither, but resembles a name.
    """
    literal = re.escape(split_at.strip())
    try:
        return re.compile(f"{literal}|(?:{split_at})")
    except re.error:
        return re.compile(literal)


def check_split_at(split_at: str) -> None:
    """
    Raises:
        FabulaError: it looks like a mistyped name.
    """
    if re.fullmatch(r"[a-z-]+", split_at) and split_at not in SPLIT_AT:
        hint = did_you_mean(split_at, SPLIT_AT)
        if hint.startswith("did you mean"):
            raise FabulaError(f"unknown way to split {split_at!r}", where="--split-at", hint=hint)

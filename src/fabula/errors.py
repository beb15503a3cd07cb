"""The one error that a user sees as a line of text."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

CONTROL_BUT_LINES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class FabulaError(Exception):
    """An error that the user can fix.

    The command line prints it as one line and exits with code 2; `--debug` shows the traceback.

    Args:
        what: what is wrong, in a few words, without a full stop ("this file has no story").
        where: the file, folder or option that the error is about.
        line: the 1-based line in `where`.
        hint: what to do or type next, without a full stop ("name another column with --column").
        details: lines that the command line shows above the error, such as what there is to choose from.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | None = None,
        line: int | None = None,
        hint: str | None = None,
        details: str = "",
    ) -> None:
        self.what, self.where, self.line, self.hint = what, where, line, hint
        self.details = CONTROL_BUT_LINES.sub(
            lambda found: found[0].encode("unicode_escape").decode(), details
        )
        place = "" if where is None else f"{where}:{line}: " if line is not None else f"{where}: "
        message = f"{place}{what}" + (f"; {hint}" if hint else "")
        # Names of files and columns may hold any character: keep the error on one line, without control characters, and
        # encodable.
        super().__init__(CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), message))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a mistyped `word`: the known word that it begins or abbreviates ("lr"), or the nearest one, or all of
    them if none is near."""
    known = sorted(known)
    begun = [each for each in known if len(word) > 2 and each.startswith(word)]
    begun = begun or [
        each for each in known if "".join(part[0] for part in re.split("[_-]+", each) if part) == word
    ]
    near = begun[:1] or difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__

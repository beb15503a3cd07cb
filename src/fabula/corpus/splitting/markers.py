"""Marks around each story: the pairs that notebooks use, and the user's own pairs."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from fabula.corpus.splitting.split import Split
from fabula.errors import FabulaError

_STARTS = {
    "<sos>", "<|startoftext|>", "<s>", "<bos>", "<|begin_of_text|>", "<|bos|>", "<|sos|>", "<|start|>", "<start>", "<story>",
    "<|story|>", "[bos]", "[sos]", "[start]", "[story]", "<|startofstory|>", "<|beginofstory|>", "<begin>", "<|begin|>",
    "<|start_of_text|>", "<|start_of_story|>", "<startoftext>", "<start_of_story>", "[story_start]", "[begin]",
}  # fmt: skip
_ENDS = {
    "<eos>", "<|endoftext|>", "</s>", "<|end_of_text|>", "<|eos|>", "<|end|>", "<end>", "</story>", "<|/story|>", "[eos]", "[end]",
    "[/story]", "<|endofstory|>", "<|end_of_story|>", "<endoftext>", "<end_of_story>", "[story_end]", "<|endofdoc|>", "<|eot_id|>",
    "<endofstory>", "<|eot|>", "[eot]", "<eot>",
}  # fmt: skip
_TOKEN = re.compile(
    r"<\|/?[\w ]{1,30}\|>|</?[A-Za-z][A-Za-z_]{0,24}>|\[\[/?\w{2,24}\]\]|\[/?[A-Za-z][A-Za-z_]{1,24}\]|\{\{?/?[A-Za-z_]{2,24}\}?\}|<<+/?\w{2,24}>>+|@{2,}\w{2,24}@{2,}"
)
_HTML = {
    "p", "br", "i", "b", "em", "strong", "div", "span", "hr", "u", "h1", "h2", "h3", "li", "ul", "a", "html", "body",
    "head",
}  # fmt: skip
_MIN_OWN = 3


def find_markers(texts: Sequence[str]) -> Split | None:
    """The marks around the stories in the beginnings of one or more files, or None.

    For well-known marks one is enough; others count if at least three of a pair alternate with hardly any text outside,
    or if one kind is alone on many lines.
    """
    usual = _usual_case(texts)
    if usual:
        texts = [_TOKEN.sub(lambda mark: usual.get(mark[0].casefold(), mark[0]), text) for text in texts]
    found = _find(texts)
    if found and found.kind == "markers" and {found.start.casefold(), found.end.casefold()} & {*usual}:
        return replace(found, any_case=True)
    return found


def _usual_case(texts: Sequence[str]) -> dict[str, str]:
    """Marks that are written in capitals and in small letters, each in small letters, with the more common way to write it."""
    cases: dict[str, Counter[str]] = {}
    for text in texts:
        for mark, count in Counter(_TOKEN.findall(text)).items():
            cases.setdefault(mark.casefold(), Counter())[mark] += count
    return {mark: ways.most_common(1)[0][0] for mark, ways in cases.items() if len(ways) > 1}


def _find(texts: Sequence[str]) -> Split | None:
    if tags := _tag_lines(texts):
        return tags
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_TOKEN.findall(text))
    start = _most_common(counts, _STARTS)
    end = _most_common(counts, _ENDS)
    if start and end and (counts[start] > 1 or not _inside_prose(texts, start, end)):
        if counts[start] < 0.1 * counts[end]:
            start = ""
        elif counts[end] < 0.1 * counts[start]:
            end = ""
        if not (start and end) or not _inside_prose(texts, start, end):
            return Split("markers", start=start, end=end)
    elif end and not start and (counts[end] > 1 or end.startswith("<|")):
        return Split("markers", end=end)
    elif (
        start
        and not end
        and counts[start] > 1
        and (_begins_lines(texts, start) or not _inside_prose(texts, start, start))
    ):
        return Split("markers", start=start)
    return _own_markers(texts, counts) or _line_pair(texts)


def refuse_odd_marks(text: str, name: str, markers: Split) -> None:
    """
    Raises:
        FabulaError: a mark is written in another way than the others, as `<|endoftext>` is among `<|endoftext|>`.
    """
    marks = {markers.start, markers.end} - {""} if markers.kind == "markers" else set[str]()
    for letters in {re.sub(r"\W", "", mark) for mark in marks if re.match("<[^<]", mark)}:
        for found in re.finditer(rf"(?i)<[|/ ]*{letters}\b[| ]*>?", text) if len(letters) > 2 else ():
            mark = found[0].strip()
            if mark not in marks and not (markers.any_case and mark.casefold() in map(str.casefold, marks)):
                what = f"this mark is written {mark!r}, not {' or '.join(sorted(marks))}"
                line = text.count("\n", 0, found.start()) + 1
                raise FabulaError(what, where=name, line=line, hint="write all marks in the same way")


def _most_common(counts: Counter[str], known: set[str]) -> str:
    found = [(count, token) for token, count in counts.items() if token.lower() in known]
    return max(found)[1] if found else ""


def _inside_prose(texts: Sequence[str], start: str, end: str) -> bool:
    """Whether marks are around words within sentences, like `<s>` for text that is struck out."""
    outside = total = 0
    for text in texts:
        total += len(text)
        pieces = re.split(f"{re.escape(start)}.*?(?:{re.escape(end)}|$)", text, flags=re.DOTALL)
        outside += sum(len(piece.strip()) for piece in pieces)
    return outside > 0.3 * total and start.lower() not in ("<sos>", "<|startoftext|>")


def _begins_lines(texts: Sequence[str], start: str) -> bool:
    """Whether a mark stands only at the beginnings of lines."""
    return all(
        len(re.findall(rf"(?m)^[ \t]*{re.escape(start)}", text)) == text.count(start) for text in texts
    )


def _own_markers(texts: Sequence[str], counts: Counter[str]) -> Split | None:
    """A pair that alternates throughout the texts, or None."""
    often = [
        token
        for token, count in counts.most_common(8)
        if count >= _MIN_OWN and token.strip("</>[]{}|@").lower() not in _HTML
    ]
    for start in often:
        for end in often:
            if start != end and abs(counts[start] - counts[end]) <= 1 and _alternate(texts, start, end):
                return Split("markers", start=start, end=end)
    return None


def _tag_lines(texts: Sequence[str]) -> Split | None:
    """Tags with attributes around each story, on their own lines (`<doc id="3" title="The Lamp">`), or None."""
    tags = Counter(name for text in texts for name in _TAG_LINE.findall(text))
    for name, count in tags.most_common(3):
        closed = sum(len(re.findall(rf"(?m)^[ \t]*</{name}>[ \t]*$", text)) for text in texts)
        if count >= _MIN_OWN and abs(count - closed) <= 1 and name.lower() not in _HTML:
            return Split("pattern", start=rf"<{name}\b[^<>]*>", end=f"</{name}>")
    return None


def _line_pair(texts: Sequence[str]) -> Split | None:
    """Lines around each story that say so in words, perhaps with numbers ("START" and "END", "--- BEGIN STORY 3 ---"),
    or None."""
    forms: Counter[str] = Counter()
    for text in texts:
        forms.update(
            re.sub(r"\d+", "0", line.strip()) for line in text.split("\n") if 2 < len(line.strip()) <= 60
        )
    often = [form for form, count in forms.most_common(40) if count >= _MIN_OWN]
    ends = [form for form in often if _LINE_END.search(form)]
    for start in often:
        for end in ends if _LINE_START.search(start) and start not in ends else ():
            patterns = [re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", form) for form in (start, end)]
            first, last = (pattern.replace("0", r"\d+") for pattern in patterns)
            marked = [
                re.sub(rf"(?m)^[ \t]*(?:({first})|{last})[ \t]*$", lambda at: "\0" if at[1] else "\1", text)
                for text in texts
            ]
            if abs(forms[start] - forms[end]) <= 1 and _alternate(marked, "\0", "\1"):
                return Split("pattern", start=first, end=last)
    return None


_TAG_LINE = re.compile(r"(?m)^[ \t]*<([A-Za-z]\w{0,20})\s[^<>\n]{1,300}[^/<>]>[ \t]*$")
_LINE_START = re.compile(r"\b(?:begin|start|beginning|opening)\b|^<\w[^/]*>$|^\[\w[^/\]]*\]$", re.IGNORECASE)
_LINE_END = re.compile(r"\b(?:end|stop|finish)\b|^</|^\[/", re.IGNORECASE)


def _alternate(texts: Sequence[str], start: str, end: str) -> bool:
    both = re.compile(f"({re.escape(start)}|{re.escape(end)})")
    inside = outside = 0
    for text in texts:
        parts = both.split(text)
        marks = parts[1::2]
        if any(mark == after for mark, after in itertools.pairwise(marks)) or marks[:1] == [end]:
            return False
        inside += sum(len(part.strip()) for part in parts[2::4])
        outside += sum(len(part.strip()) for part in parts[0::4])
    return outside <= 0.02 * inside


_NEWLINE = re.compile(
    r"<(?:nl|NL|newline|NEWLINE|lf|LF)>|<\|(?:nl|newline)\|>|\[(?:NL|NEWLINE|BR)\]|¶"
)  # without the spaces: the search then skips all characters that none of them begins with


def with_newlines(text: str) -> str:
    """`<nl>`, `<newline>`, `[NL]` and the like, with at most one space on either side, become a newline."""
    usual = text.replace(" <nl> ", "\n")
    if "<" not in usual and "[" not in usual and "¶" not in usual:
        return usual
    first, *rest = _NEWLINE.split(text)  # the newlines that were put in are no space beside a mark
    lines = [first]
    for part in rest:
        if lines[-1][-1:].isspace():
            lines[-1] = lines[-1][:-1]
        lines.append(part[1:] if part[:1].isspace() else part)
    return "\n".join(lines)

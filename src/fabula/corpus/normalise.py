"""Repairs the characters of a story before all other stages, and counts the repairs.

ftfy undoes wrong decodings ("â€™"), HTML entities, control characters and decomposed letters. It takes far longer than
the rest of cleaning, and most text does not need it: only paragraphs with characters that ordinary English prose does
not have are passed to it. Curly quotes stay curly.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

import ftfy
from ftfy.badness import is_bad
from ftfy.chardata import CONTROL_CHARS, LIGATURES
from ftfy.fixes import unescape_html

from fabula.corpus.splitting.headings import without_bbcode
from fabula.corpus.splitting.pages import CAPTION, unwrap_pages

_CONFIG = ftfy.TextFixerConfig(
    unescape_html=False,  # done before, also if the text has "<"
    uncurl_quotes=False,
    fix_character_width=False,
    fix_line_breaks=False,
)
_SEGMENT = 100_000
"""Most characters passed to ftfy at once, so that a huge paragraph costs linear time."""

# None of ftfy's repairs changes a text that has only these characters (tests/test_clean_normalise.py).
_UNUSUAL = re.compile(r"[^\t\n\x20-\x7e‘’“”–—…]")
_ORDINARY = bytes([9, 10, *range(0x20, 0x7F)])
_BROKEN = re.compile(f"[\x80-\x9f{re.escape(''.join(map(chr, [*CONTROL_CHARS, *LIGATURES])))}]")
# All that ftfy calls bad has two neighbours that are not ASCII, or one of these letters; quotes and dashes may be neighbours.
_ODD_RUN = re.compile(
    _BROKEN.pattern + r"|[ÂÃŒœ]|[^\x00-\x7f‘’“”–—…][^\x00-\x7f]|[^\x00-\x7f][^\x00-\x7f‘’“”–—…]"
)
_APART = bytes(32 if byte in _ORDINARY else byte for byte in range(256))
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_LINE_ENDS = re.compile(r"\r\n?|[\v\u0085\u2028\u2029]")
_INVISIBLE = re.compile(r"[\u200b\u2060\ufeff\u00ad]")
_SPACES = re.compile(r"[\u00a0\u2000-\u200a\u202f\u205f\u3000\f]")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_ESCAPED_DIVIDER = re.compile(r"(?m)^[ \t]*(?:\\[*_~#=-][ \t]*){2,}$")
_WRITTEN_END = re.compile(r"[.!?…\"”’*]\s?(?:\\r)?\\n")
_WRITTEN_ENDS = re.compile(r"\s?(?:\\r)?\\n\s?")
_SUPERSCRIPT = re.compile(r"\^\(([^()\n]{0,1000})\)|\^(?=\w)")
_CAPTIONS = re.compile(rf"^[ \t]*{CAPTION.pattern}[ \t]*(?:\n\s*|\Z)", CAPTION.flags | re.MULTILINE)

PAGE_LINES = "page_lines"
"""The repair that takes page numbers and running heads out of the wrapped lines of a story."""

REPAIRS = {
    "line_ends": "line ends of other systems became newlines",
    "html_entities": "HTML entities such as &amp; became characters",
    "unicode": "wrongly decoded, decomposed or control characters were repaired",
    "controls": "control characters were taken out",
    "invisible": "zero-width spaces, byte order marks and soft hyphens were taken out",
    "spaces": "no-break and other special spaces became spaces",
    "line_wraps": "lines that were wrapped at one width were joined to paragraphs",
    PAGE_LINES: "page numbers and running heads were taken out of wrapped texts",
    "captions": "captions of pictures, and numbers of pages in brackets, were taken out",
    "escapes": "line ends that were written out as \\\\n became newlines",
    "bbcode": "tags of forums such as [b]...[/b] were taken out",
    "markdown": "backslash escapes and superscript marks of Reddit's markdown were taken out",
}
"""What `normalise` repairs, by the name under which each repair is counted."""


def normalise(text: str, markdown: bool = False) -> tuple[str, Counter[str]]:
    """Repair a text.

    Args:
        text: any text.
        markdown: also remove Reddit's backslash escapes and `^(...)`. Off by default, since authors also use both on
            purpose.

    Returns:
        The text with white space stripped from its ends, and how often each of `REPAIRS` was needed ("unicode":
        in how many paragraphs).
    """
    counts: Counter[str] = Counter()
    if "&" in text:
        for _ in range(2):  # Reddit's exports escape twice: &amp;nbsp;
            text, found = _ENTITY.subn(_unescape, text)
            counts["html_entities"] += found
            if not found:
                break
    # Deleting the ordinary bytes first is ten times as fast as searching the whole text.
    rest = text.encode().translate(None, _ORDINARY).decode()
    if _UNUSUAL.search(rest):
        counts["controls"] += len(_CONTROLS.findall(rest))
        if _LINE_ENDS.search(rest):
            text = _count(_LINE_ENDS, "\n", text, counts, "line_ends")
        if _INVISIBLE.search(rest):
            text = _count(_INVISIBLE, "", text, counts, "invisible")
        is_odd = _may_need_ftfy(text)
        if is_odd:
            paragraphs = text.split("\n")
            for number, paragraph in enumerate(paragraphs):
                if _UNUSUAL.search(paragraph) and _needs_ftfy(paragraph):
                    fixed = _fix(paragraph)
                    if fixed != paragraph:
                        counts["unicode"] += 1
                        paragraphs[number] = fixed
            text = "\n".join(paragraphs)
        # This is last, because a no-break space is evidence of wrong decoding.
        if is_odd or _SPACES.search(rest):
            text = _count(_SPACES, " ", text, counts, "spaces")
    if "\n" in text:
        joined, removed = unwrap_pages(text)
        if joined is not text:
            counts[PAGE_LINES] += len(removed)
            counts["line_wraps"] += text.count("\n") - len(removed) - joined.count("\n")
            text = joined
    elif "\\n" in text and _WRITTEN_END.search(text):
        text = _count(_WRITTEN_ENDS, "\n", text, counts, "escapes").replace("\\t", "\t")
    if ("[" in text or "(" in text) and _CAPTIONS.search(text):
        text = _count(_CAPTIONS, "", text, counts, "captions")
    if "[/" in text or "[hr]" in text:
        text, counts["bbcode"] = without_bbcode(text)
    if "\\" in text:
        text = _count(_ESCAPED_DIVIDER, lambda match: match[0].replace("\\", ""), text, counts, "markdown")
    if markdown:
        text = _count(_ESCAPE, r"\1", text, counts, "markdown")
        text = _count(_SUPERSCRIPT, lambda match: match[1] or "", text, counts, "markdown")
    return text.strip(), +counts


def _may_need_ftfy(text: str) -> bool:
    """Whether a paragraph of a text may need ftfy: it has an odd run of characters that are not ASCII, or a mark that
    combines with the letter before it."""
    runs = b" ".join(set(text.encode().translate(_APART).split())).decode()
    return (
        _ODD_RUN.search(runs) is not None
        or any(map(unicodedata.combining, set(runs)))
        or not unicodedata.is_normalized("NFC", runs)
    )


def _needs_ftfy(paragraph: str) -> bool:
    """Whether any repair of ftfy could change the paragraph: the conditions of its fixers, at a fraction of their cost."""
    return (
        _BROKEN.search(paragraph) is not None
        or is_bad(paragraph)
        or not unicodedata.is_normalized("NFC", paragraph)
    )


def _fix(paragraph: str) -> str:
    fixed = _ftfy(paragraph)
    if _SPACES.search(fixed):
        # A special space can hide a wrong decoding: "\xa0Â\x80" is repaired only once it has become " Â\x80".
        plain = _SPACES.sub(" ", fixed)
        again = _ftfy(plain)
        return fixed if again == plain else again
    return fixed


def _ftfy(paragraph: str) -> str:
    parts = [
        ftfy.fix_and_explain(paragraph[at : at + _SEGMENT], _CONFIG).text
        for at in range(0, len(paragraph), _SEGMENT)
    ]
    # What ftfy decodes (a zero-width space, for example) is handled like the rest.
    return _INVISIBLE.sub("", _LINE_ENDS.sub("\n", "".join(parts)))


def _unescape(match: re.Match[str]) -> str:
    return unescape_html(match[0])


def _count(
    pattern: re.Pattern[str],
    by: str | Callable[[re.Match[str]], str],
    text: str,
    counts: Counter[str],
    name: str,
) -> str:
    text, found = pattern.subn(by, text)
    counts[name] += found
    return text

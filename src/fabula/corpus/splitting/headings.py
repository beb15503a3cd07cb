"""Lines of plain text that are headings, by their form."""

import re
from dataclasses import dataclass
from typing import Literal

_NUMBER_WORDS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    "|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?"
    "|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|final|the\\s\\w+"
)
_ROMAN = "(?=[ivxlc])(?:c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})"
_NUMBER = rf"(?:\d{{1,4}}|{_ROMAN}|{_NUMBER_WORDS})"
_TITLE = r"(?P<title>\s*[:.–—|-]+\s*\S.{0,80}|\s+[“\"(]?(?-i:[^\W\d_a-z])(?:.{0,60}[^.,;])?)?"

_PART = re.compile(
    rf"(?:part|book|volume|act|teil|buch|band|partie|livre|tome|parte|libro|часть|книга|том)\s+(?:the\s+)?{_NUMBER}\b[.:)]?{_TITLE}"
    r"|(?:часть|книга|том)\s+\w{2,14}(?:ая|ья|ый|ой|ий)\b[.:]?",
    re.IGNORECASE,
)
_CHAPTER = re.compile(
    rf"(?:chapter|ch(?:ap)?\.|story|tale|episode|scene|section|letter|canto|stave|day|night|kapitel|chapitre|cap[íi]tulo|capitolo|hoofdstuk"
    rf"|rozdzia[łl]|kapitola|fejezet|глава|рассказ|kap\.|розділ|раздел|poglavlje|bölüm|luku|kapittel|chương|κεφάλαιο|פרק|अध्याय|บทที่|ตอนที่)"
    rf"\s*(?:no\.?\s*|#\s*)?{_NUMBER}\b[.:)]?{_TITLE}"
    rf"|(?:the\s+)?(?:{_NUMBER}|\w{{2,16}}tes)(?:\.|st|nd|rd|th)?\s+(?:chapter|story|tale|kapitel|глава|fejezet|bölüm|luku|κεφάλαιο)\b[.:]?{_TITLE.replace('title', 'title2')}"
    r"|(?:الفصل|الجزء|فصل|अध्याय|פרק|κεφ[άα]λαιο)\s+\S+(?:\s+\S+)?",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?:prologue|prolog|epilogue|epilog|interlude|intermission|foreword|preface|introduction|afterword|coda|postscript"
    r"|пролог|эпилог|prólogo|epílogo|vorwort|nachwort|(?:chapitre|cap[íi]tulo|capitolo|hoofdstuk|rozdzia[łl]|kapitola|глава|розділ)\s+\w{4,16})(?:\s+\d+)?[.:]?(?:\s*[:.–—-]\s*\S.{0,60})?",
    re.IGNORECASE,
)
RUN_IN = re.compile(
    rf"(?:chapter|part|story|tale|kapitel|teil|chapitre|partie|cap[íi]tulo|capitolo|глава|часть|hoofdstuk)\s+{_NUMBER}\s*[.:)–—-]\s+(?=\S.{{30}})",
    re.IGNORECASE,
)
"""The number of a chapter before its first words, in the same paragraph."""

_HAN = re.compile(
    r"(?:正文\s*)?第\s*[0-9０-９零〇一二三四五六七八九十百千两]+\s*[章回节節話话卷部篇集](?:\s*[:：、.]?\s*\S.{0,40})?|[（【〔]\s*[\d一二三四五六七八九十百]{1,5}\s*[）】〕]|(?:正文\s+)?(?:序章|楔子|尾声|尾聲|番外)(?:\s*\S.{0,30})?|제\s*\d+\s*[장화부편막회](?:[\s:.]+\S.{0,40})?"
)
_DECORATED = re.compile(
    r"(?P<mark>[=*~#_+•◆★☆-]{2,})\s*(?P<text>[^\W_](?:.{0,78}[\w!?.)\"”’])?)\s*(?P=mark)|==> (?P<file>\S.{0,78}) <==|(?:title|titel|story title|название)\s*:\s*(?P<named>\S.{0,78})",
    re.IGNORECASE,
)
NUMBER_LINE = re.compile(
    rf"[\s(\[{{<.·•*~=_|§#–—-]{{0,20}}(?P<number>\d{{1,3}}|{_ROMAN})(?:\s*/\s*\d{{1,3}})?[\s)\]}}>.·•*~=_|–—-]{{0,20}}",
    re.IGNORECASE,
)
"""A line that is only a number, perhaps with decoration."""

_SIGNED_NUMBER = re.compile(r"#\d{1,3}")
_NUMBERED = re.compile(
    rf"(?P<number>\d{{1,3}}|{_ROMAN.upper()})(?:[.):]\s+|\s+[–—-]\s+|\s{{2,}}|\t)(?P<text>[^\W\d_a-z].{{0,60}})"
)
_NOT_TITLE = re.compile(
    r"(?:the end|end|fin|finis|ende|конец|contents|table of contents|inhalt|summary|notes?|author'?s? notes?|a/?n|by\b.*|from\b.*,"
    r"|copyright.*|all rights.*|page \d+|chorus|verse|bridge|refrain|outro|intro|edit\b.*|tl;?dr.*|to be continued.*|continued.*"
    r"|dear\b.*|yours\b.*|sincerely.*|love)\W*",
    re.IGNORECASE,
)

_DATE = re.compile(
    r"(?:[^\W\d]{2,12}\.?,? )?(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}"
    r"|\d{1,2}(?:st|nd|rd|th|er|[.º])? (?:de )?[^\W\d]{3,12}[.,]? (?:de )?\d{4}(?: ?(?:г\.|г|года))?"
    r"|[^\W\d]{3,12}\.? \d{1,2}(?:st|nd|rd|th)?, \d{4})"
    r"(?:,? (?:at |um |à )?\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?: ?[ap]\.?m\.?)?)?",
    re.IGNORECASE,
)
"""A date, perhaps with the day of the week and the hour, as a diary has above each day."""

_QUOTED = re.compile(r"[\"“«„]([^\"“”«»]{2,60}[^\"“”«».,!?…;:—–-])[\"”»“](?:,? by [A-Z]\S.{1,40})?")
_COUNT = re.compile(
    r"\s*[(\[]\s*(?:~|about |ca\.? )?[\d.,]+k?\s*(?:words?|w/?c)\s*[)\]]$|\s+[-–—]\s+[\d.,]+k? words$",
    re.IGNORECASE,
)
"""The number of words behind a title."""

_REMARK = re.compile(r"(?<=\w) \([^()]{1,30}\)$")
"""What stands in brackets behind a title: "The Lamp (2)", "The Lamp (1922)"."""

_WITH_COLON = re.compile(
    r"(?!(?i:to|my|from|note)\b)[^\W\d_a-z][^\s:]*"
    r"(?: (?:[^\W\d_a-z][^\s:]*|an?|the|of|in|on|at|to|and|or|for|by|with|de|du|la|le|el|y|et|und|der|die|das))*(?<=\w\w):"
)
"""A title with a colon behind it, if its words have capitals: "A Coat on the Nail:"."""

_SYMBOL = re.compile(r"^[\u2190-\u2bff\u3000-\u3004\U0001f000-\U0001faff\ufe0f]+\s+|\s+$")
"""A star or a picture before a title."""

_SLUG_LINE = re.compile(r"(?:INT|EXT|EST|INT\.?/EXT|I/E)[. ]")
"""The beginning of a scene in a screenplay, which is part of its text."""

PROMPT = re.compile(
    r"\[\s*(?:WP|SP|EU|PI|TT|CW|MP|IP|RF|PM|PW)\s*\]\s*\S.{0,400}"
    r"|(?:(?:writing|story) )?prompt(?: (?:no\.? ?|# ?)?\d{1,4})?\s*[:–—-]\s*\S.{0,400}",
    re.IGNORECASE,
)
_WITH_PART = re.compile(
    rf"\S.{{2,140}}[\s,:;–—-]+(?:[(\[]\s*)?(?:part|pt\.?|chapter|ch\.?)\s*#?{_NUMBER}(?:\s*(?:/|of)\s*{_NUMBER})?\s*[)\]]"
    rf"|\S.{{2,140}}\s[–—-]+\s(?:part|chapter)\s+{_NUMBER}",
    re.IGNORECASE,
)
"""The title of a part of a serial: "My uncle keeps the light (Part 3)"."""

POST = re.compile(
    r"(?:re: .{1,60}\s)?(?:post(?:ed)?|submitted|published|written)(?: #?\d+)? (?:by|on) .{3,80}\b\d{4}\b.{0,20}",
    re.IGNORECASE,
)
"""The line that a forum puts above each post."""

_BBCODE = re.compile(
    r"\[(b|i|u|s|center|left|right|justify|size|color|font|url|quote|spoiler|indent)(?:=[^\]\n]{0,100})?\]"
    r"((?:(?!\[\1[=\]]).)*?)\[/\1\]",
    re.IGNORECASE | re.DOTALL,
)
_BBCODE_RULE = re.compile(r"(?im)^[ \t]*\[hr\](?:\[/hr\])?[ \t]*$")
PART, CHAPTER, DECORATED, NUMERAL, TITLE = 1, 2, 3, 4, 5
"""Levels of headings in plain text: the more certain their form, the higher. Only lines with blank lines around them
are `NUMERAL` (just a number without "#") or `TITLE` (short, and not a sentence)."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A line that is a heading: its level, and its text without decoration."""

    level: Literal[1, 2, 3, 4, 5]
    text: str


_LONGEST = 1000
"""A longer line is no heading, with or without the tags of forums."""


def find_heading(line: str, alone: bool) -> Heading | None:
    """The heading in a line, or None.

    Args:
        line: a line of text without the white space at its ends.
        alone: whether there is no text directly above and below it.
    """
    if len(line) > _LONGEST:  # also because some patterns take time quadratic in the length of a line
        return None
    if PROMPT.fullmatch(line):
        return Heading(DECORATED, line)
    if alone and (_DATE.fullmatch(line) or ((quoted := _QUOTED.fullmatch(line)) and _is_title(quoted[1]))):
        return Heading(TITLE, line)
    if alone and _WITH_PART.fullmatch(line):
        return Heading(CHAPTER, line)
    if alone and POST.fullmatch(line):
        return Heading(TITLE, line)
    line = _COUNT.sub("", line)
    line = without_bbcode(line)[0].strip()
    if not line or len(line) > 100:
        return None
    if _HAN.fullmatch(line) and not line.endswith(("。", "，", "！", "？")):
        return Heading(CHAPTER, line)
    if _is_sentence(line) and not re.match(r"(?i)chapter|part|глава", line):
        return None
    plain = _SYMBOL.sub("", line.strip("*_#=~ "))
    bare = plain.strip("[]<>{} ")
    if match := _PART.fullmatch(bare):
        return Heading(PART, bare) if _is_title_part(match["title"]) else None
    if match := _CHAPTER.fullmatch(bare):
        return Heading(CHAPTER, bare) if _is_title_part(match["title"] or match["title2"]) else None
    if alone and _NAMED.fullmatch(plain):
        return Heading(CHAPTER, plain)
    if match := _DECORATED.fullmatch(line):
        text = (match["text"] or match["file"] or match["named"]).strip()
        if not _NOT_TITLE.fullmatch(text):
            return Heading(DECORATED, text)
    if NUMBER_LINE.fullmatch(line) and (alone or _SIGNED_NUMBER.fullmatch(line)):
        return Heading(NUMERAL, line)
    if alone:
        if match := _NUMBERED.fullmatch(line):
            return Heading(NUMERAL, line) if _is_short(match["text"]) else None
        if _is_title(plain):
            return Heading(TITLE, plain)
    return None


def without_bbcode(text: str) -> tuple[str, int]:
    """A text without forum tags (`[b]...[/b]`), and how many pairs there were."""
    text, count = _BBCODE_RULE.subn("***", text)
    while "[/" in text:
        text, found = _BBCODE.subn(r"\2", text)
        count += found
        if not found:
            break
    return text, count


def numeral_value(line: str) -> int:
    """The number that a heading of level `NUMERAL` begins with; 0 for none."""
    match = re.match(rf"[\W_]*(?:(\d{{1,3}})|({_ROMAN}))\b", line, re.IGNORECASE)
    if not match:
        return 0
    return int(match[1]) if match[1] else roman_value(match[2])


def roman_value(text: str) -> int:
    """The value of a Roman number."""
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[letter] for letter in text.lower()]
    later = [*values[1:], 0]
    return sum(-value if value < after else value for value, after in zip(values, later, strict=True))


def _is_sentence(line: str) -> bool:
    """Whether a line ends or begins like running text."""
    return (
        line[0] in "\"“‘'«„—–"
        or (line[0].islower() and line[:2] != "ii")
        or line.endswith((",", ";", "…", ".”", '."', ".’"))
    )


def _is_title_part(text: str | None) -> bool:
    """Whether the text after a chapter's number is a title, and not the rest of a sentence."""
    if not text:
        return True
    text = text.strip(" :.–—|-")
    return (
        len(text.split()) <= 18
        and not re.search(r"[a-z]{2}[,;]$", text)
        and not re.search(r"[a-z]\. [A-Z]", text)
    )


def _is_short(text: str) -> bool:
    return len(text.split()) <= 9 and not text.endswith((".", ",", ";", ":"))


def _is_title(text: str) -> bool:
    """Whether a line on its own is a title: short, not a sentence, with a capital at its beginning."""
    text = _REMARK.sub("", text)
    text = text[:-1] if _WITH_COLON.fullmatch(text) else text
    words = text.split()
    if (
        not 1 <= len(words) <= 10
        or len(text) > 64
        or not re.search(r"[^\W\d_]", text)
        or _NOT_TITLE.fullmatch(text)
        or _SLUG_LINE.match(text)
    ):
        return False
    if (
        text[-1] in ".,;:—–-”\"'’)]…"
        or text[0] in "[({<@>|+"
        or not (text[0].isalnum() or text[0] > "\u2e80")
        or text[0].islower()  # many scripts have no capitals
    ):
        return False
    if text[-1] in "。！？」，、؟۔،؛।॥" or (text[0] > "\u2e80" and len(text) > 16):
        return False
    if re.search(r"https?:|www\.|@\w|[{}=<>]|\d\d:\d\d", text):
        return False
    capital = sum(not word[0].islower() for word in words)
    return len(words) <= 4 or capital >= 0.5 * len(words)

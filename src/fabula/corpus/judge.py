"""Checks whether the input looks like stories: warns the user, or stops if most of it is clearly something else."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from fabula.corpus.dedup import split_words
from fabula.corpus.filters import language_of
from fabula.corpus.formats.base import ReaderRemoval
from fabula.corpus.splitting.pages import is_in_sentence, numbers_alone
from fabula.errors import FabulaError
from fabula.formatting import format_percent
from fabula.results import CleaningCounts
from fabula.story import Story

MAX_EXAMINED = 300
"""Number of stories that are examined, evenly spaced."""

EXAMINED_CHARS = 8000
"""Characters of each that are examined."""

BEGINNING_CHARS = 1000
"""Characters of each whose words are compared first, to find stories in other languages."""

COMMON, KNOWN = (0.4, 0.5), (0.1, 0.4)
"""What tells a story in another language: of the words that occur in the first share of the stories, it has less than the second
share of what is usual. `COMMON` is tested on its beginning, `KNOWN` on more of the few that fail. (Dutch beside English has 0.36,
the barest English of children 0.42.)"""

FEW_WORDS = 40
"""A smaller median number of words is too short for stories."""

MANY = 0.1
"""A larger share of odd stories, or of copies, gets a warning."""

BINARY_SHARE = 0.005
"""With a larger share of control characters a text is binary."""

FLAGRANT = 0.5
"""If at least this share is markup, JSON or binary, cleaning stops."""

MIN_STORIES = 20
"""With fewer stories than these, shares are not meaningful."""

LINE_CHARS = 120
"""Characters of a first line that are shown."""

_MARKUP = re.compile(
    r"</?(?:p|div|span|br|a|b|i|em|strong|font|img|table|t[dr]|h[1-6]|html|body|script|style|w:\w+)\b[^<>\n]{0,300}>"
    r"|\\(?:par|pard|rtf1|fs\d+|cf\d|f\d)\b|<\|\w{2,20}\|>|</?s>|<(?:sos|eos|bos|pad)>",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"<[|｜][\w▁]{2,20}[|｜]>|<(?:SEP|CLS|PAD|UNK|NL|BOS|EOS|SOS|EOT|nl|newline|sos|eos|bos|pad|sep)>|\[(?:SEP|CLS|PAD|BOS|EOS|SOS|/?INST)\]|</?(?:text|story|tale|doc)>"
)
"""Tokens of models, which no story holds."""

_TAG = re.compile(
    r"</?(?!(?:strong|span|div|font|small|sup|sub|del|ins|cite|code|pre|html|body|table|center|blockquote|section)>)[A-Za-z][\w-]{2,24}>|<\|[^|<>\n]{1,24}\|>|\{\{\w{1,24}\}\}|@@\w{1,24}@@"
)
"""What may be a mark of the user's own, and is no tag of HTML."""

_CODE = re.compile(r"(?:=[0-9A-F]{2}){2,}|(?:%[0-9A-F]{2}){2,}|\\u[0-9a-fA-F]{4}|\\[\"\'](?!\s)")
"""Letters as mail, addresses and programs write them."""

_JSON = re.compile(r'\s*[\[{]\s*(?:"|\{|\[)')
_BINARY = re.compile("[\x00-\x08\x0e-\x1f\ufffd]")
_SCRIPTS = {
    "Latin": re.compile("[A-Za-z\u00c0-\u024f]"),
    "Cyrillic": re.compile("[\u0400-\u04ff]"),
    "Greek": re.compile("[\u0370-\u03ff]"),
    "Hebrew": re.compile("[\u0590-\u05ff]"),
    "Arabic": re.compile("[\u0600-\u06ff]"),
    "Devanagari": re.compile("[\u0900-\u097f]"),
    "Thai": re.compile("[\u0e00-\u0e7f]"),
    "Hangul": re.compile("[\uac00-\ud7af]"),
    "Chinese or Japanese": re.compile("[\u3040-\u30ff\u3400-\u9fff]"),
}


@dataclass
class Examination:
    """What was found in the examined stories.

    Attributes:
        num_examined: number of examined stories.
        oddities: number of these with each oddity ("markup", "json", "codes", "binary", "page_numbers", "running_heads").
        scripts: number of these in each script.
        examples: the place of the first story with each oddity.
        lines, tags: in how many of these each line, and each token in angle brackets or the like, occurs.
        beginnings: the place, the script and the examined text of each story.
    """

    num_examined: int = 0
    oddities: Counter[str] = field(default_factory=Counter)
    scripts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    lines: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    beginnings: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, story: Story, num_controls: int = 0) -> None:
        """Examine a story; `num_controls` is the number of control characters that were taken out of it."""
        self.num_examined += 1
        text = story.text[:EXAMINED_CHARS]
        lines = [line.strip() for line in text.split("\n")]
        self.lines.update({line for line in lines if 8 <= len(line) <= LINE_CHARS and " " in line})
        self.tags.update(set(_TAG.findall(text)))
        found = oddities(text)
        if num_controls > BINARY_SHARE * len(story.text) and "binary" not in found:
            found.append("binary")
        for oddity in found:
            self.oddities[oddity] += 1
            self.examples.setdefault(oddity, f"{story.source}:{story.source_line}")
        if script := script_of(text):
            self.scripts[script] += 1
        self.beginnings.append((f"{story.source}:{story.source_line}", script, text))

    def share(self, oddity: str) -> float:
        """Share of the stories with an oddity."""
        return self.oddities[oddity] / max(1, self.num_examined)


def oddities(text: str) -> list[str]:
    """What is odd about a text that should be a story."""
    found = []
    if (("<" in text or "\\" in text) and len(_MARKUP.findall(text)) >= 3) or _TOKEN.search(text):
        found.append("markup")
    if _is_json(text):
        found.append("json")
    if any(sign in text for sign in "=%\\") and len(_CODE.findall(text)) >= 3:
        found.append("codes")
    if len(_BINARY.findall(text)) > BINARY_SHARE * len(text) or text.count("\ufffd") > 2:
        found.append("binary")
    if _has_page_numbers(text):
        found.append("page_numbers")
    elif _has_running_heads(text):
        found.append("running_heads")
    return found


def _is_json(text: str) -> bool:
    if not _JSON.match(text):
        return False
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return text.count('":') >= 3


def _has_page_numbers(text: str) -> bool:
    """Whether at least four lines are numbers that increase by one or two, or one of them interrupts a sentence."""
    lines = text.split("\n")
    found = numbers_alone(lines)
    if any(is_in_sentence(lines, at) for at, _ in found):
        return True
    numbers = [number for _, number in found]
    rising = sum(0 < after - before <= 2 for before, after in pairwise(numbers))
    return rising >= 4 and rising >= 0.8 * (len(numbers) - 1)


def _has_running_heads(text: str) -> bool:
    """Whether one short line in capitals recurs at distances that look like pages."""
    lines = [line.strip() for line in text.split("\n")]
    common = Counter(line for line in lines if 8 <= len(line) <= 60 and line.isupper()).most_common(1)
    return bool(common) and common[0][1] >= 4


def script_of(text: str) -> str:
    """The most common script of a text, or "" if it has no letter of a known one."""
    text = text[:500]
    if text.isascii():
        return "Latin" if _SCRIPTS["Latin"].search(text) else ""
    counts = {name: len(script.findall(text)) for name, script in _SCRIPTS.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else ""


def other_languages(beginnings: Sequence[tuple[str, str, str]]) -> tuple[str, Counter[str], str]:
    """The language of most stories, how many are in each of the others, and the place of the first of these.

    Only stories that have few of the words that most stories have, and few of the words of the others, are tested by
    py3langid, whose model takes half a second to load.
    """
    common_script = Counter(script for _, script, _ in beginnings).most_common(1)
    same = [
        (place, text) for place, script, text in beginnings if [script] == [one for one, _ in common_script]
    ]
    if len(same) < 2:
        return "", Counter(), ""
    told = [split_words(text[:BEGINNING_CHARS]) for _, text in same]
    suspects = _with_few(told, told, COMMON)
    if suspects and len(suspects) <= FLAGRANT * len(same):
        rest = [words for at, words in enumerate(told) if at not in suspects]
        longer = [split_words(same[at][1]) for at in suspects]
        suspects = [suspects[at] for at in _with_few(longer, rest, KNOWN)]
    if not suspects or len(suspects) > FLAGRANT * len(same):
        return "", Counter(), ""
    others_text = (text[:BEGINNING_CHARS] for at, (_, text) in enumerate(same) if at not in suspects)
    usually = language_of(" ".join(others_text)[:20_000])
    languages = {at: language_of(same[at][1]) for at in suspects}
    others = [at for at in suspects if languages[at] != usually]
    return usually, Counter(languages[at] for at in others), same[others[0]][0] if others else ""


def _with_few(
    texts: Sequence[list[bytes]], stories: Sequence[list[bytes]], least: tuple[float, float]
) -> list[int]:
    """Which texts have few of the words that are common in the stories (see `COMMON`)."""
    common, few = least
    times = Counter(word for words in stories for word in set(words))
    known = {word for word, count in times.items() if count >= common * len(stories)}

    def share(words: list[bytes]) -> float:
        return sum(map(known.__contains__, words)) / len(words) if len(words) >= 20 else 1.0

    usual = sorted(map(share, stories))[len(stories) * 3 // 4]
    return [at for at, words in enumerate(texts) if share(words) < few * usual]


_SAYINGS = {
    "markup": "hold markup or tags",
    "json": "are JSON",
    "codes": "hold letters written as codes, such as =E2=80=99, \\u2019 or \\'",
    "binary": "hold control characters or signs of a wrong encoding",
    "page_numbers": "have page numbers in lines of their own",
    "running_heads": "have a line in capitals that recurs, as a running head does",
}


def judge(
    examined: Examination,
    *,
    num_kept: int,
    num_copies: int,
    median_words: int,
    held_out: tuple[float, float, float],
    left_out: Sequence[ReaderRemoval],
    unused: Sequence[str],
) -> list[str]:
    """Warnings about the stories, one sentence each.

    Args:
        examined: what was noticed in some of them.
        num_kept, num_copies: stories kept, and dropped as copies.
        median_words: median number of words of a kept story.
        held_out: share of the stories, and of the words, that are held out, and the share that was requested.
        left_out: files that were not read.
        unused: columns of a table that hold texts and were not read.
    """
    warnings = []
    for oddity, saying in _SAYINGS.items():
        if examined.share(oddity) >= MANY:
            where = examined.examples[oddity]
            warnings.append(
                f"{format_percent(examined.share(oddity), 0)} of the stories {saying} (the first: {where})"
            )
    line, times = examined.lines.most_common(1)[0] if examined.lines else ("", 0)
    if times >= max(5, FLAGRANT * examined.num_examined):
        share = times / examined.num_examined
        warnings.append(
            f"{line!r} is a line in {format_percent(share, 0)} of the stories: you can remove it with a rule of your own (--rules)"
        )
    if median_words < FEW_WORDS:
        warnings.append(
            f"half of the stories have fewer than {median_words + 1} words: are these whole stories? See --split-at"
        )
    if num_copies > MANY * (num_kept + num_copies) and num_kept + num_copies >= MIN_STORIES:
        share = num_copies / (num_kept + num_copies)
        warnings.append(
            f"{format_percent(share, 0)} of the stories were dropped as copies of others (see --copies and --similarity)"
        )
    stories, words, asked = held_out
    far = max(0.03, min(0.1, asked / 2), 1.5 / num_kept)
    if abs(stories - asked) > far:
        warnings.append(
            f"{format_percent(stories, 0)} of the stories are held out, where {format_percent(asked, 0)} were asked for"
        )
    elif abs(words - asked) > 2 * far:
        warnings.append(
            f"the held-out stories have {format_percent(words, 0)} of the words, where {format_percent(asked, 0)} were asked for"
        )
    common = examined.scripts.most_common()
    others = sum(count for _, count in common[1:])
    if others and others < 0.5 * examined.num_examined:
        warnings.append(
            f"{others:,} of {examined.num_examined:,} stories are not in the script of most ({common[0][0]})"
        )
    usually, languages, where = other_languages(examined.beginnings)
    if languages:
        named = ", ".join(f"{language} {count:,}" for language, count in languages.most_common(4))
        warnings.append(
            f"{languages.total():,} of {examined.num_examined:,} stories are not in the language of most ({usually}):"
            f" {named} (the first: {where}); --language {usually} drops them"
        )
    files = [removal for removal in left_out if removal.line == 0]
    if files:
        named = ", ".join(f"{removal.source} ({removal.text})" for removal in files[:5])
        more = f" and {len(files) - 5:,} more (see the ledger)" if len(files) > 5 else ""
        warnings.append(f"not read: {named}{more}")
    if unused:
        named = ", ".join(map(repr, unused))
        warnings.append(f"columns with texts that were not read: {named} (see --column and --prompt-column)")
    return warnings


def stop_if_flagrant(examined: Examination, source: str) -> None:
    """Stop if most of the input is not stories.

    Raises:
        FabulaError: at least half of the stories are markup, JSON, binary or hold letters written as codes.
    """
    for oddity in ("markup", "json", "codes", "binary"):
        if examined.share(oddity) >= FLAGRANT:
            raise FabulaError(
                f"{format_percent(examined.share(oddity), 0)} of the stories {_SAYINGS[oddity]} (the first: {examined.examples[oddity]})",
                where=source,
                hint="see whether --format names the right format, or add --force to take them as they are",
            )
    tag, times = examined.tags.most_common(1)[0] if examined.tags else ("", 0)
    if times >= max(3, FLAGRANT * examined.num_examined):
        raise FabulaError(
            f"the mark {tag!r} is in {format_percent(times / examined.num_examined, 0)} of the stories",
            where=source,
            hint="write what stands before and behind it in columns of their own, or add --force to take it as text",
        )


def overview(counts: CleaningCounts) -> list[tuple[str, str]]:
    """A summary of the input for the user to check: pairs of a label and a line of text."""
    splits = ", ".join(f"{count:,} {name}" for name, count in counts.splits.items())
    lines = [
        ("stories", f"{counts.num_kept:,} of {counts.num_read:,} kept ({splits})"),
        ("words", f"{counts.words_kept:,} in all, {counts.median_words:,} in the median story"),
    ]
    labels = ("first", "last") if len(counts.first_lines) == 2 else ("first", "middle", "last")
    return [
        *lines,
        *zip(labels, counts.first_lines, strict=False),
        *(("warning", one) for one in counts.warnings),
    ]


def first_line(text: str) -> str:
    """The first line of a text, cut to fit a terminal."""
    line = text.lstrip().split("\n", 1)[0].strip()
    cut = line[:LINE_CHARS]
    return line if len(line) <= LINE_CHARS else (cut.rpartition(" ")[0] or cut) + "…"

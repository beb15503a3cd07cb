"""Chooses the way to cut that makes the best stories; if two ways are equally good, the user has to choose."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fabula.corpus.blocks import Block
from fabula.corpus.documents import is_divider
from fabula.corpus.splitting.cut import FRONT_WORDS, cut_blocks
from fabula.corpus.splitting.headings import CHAPTER, DECORATED, NUMERAL, PART, PROMPT, TITLE, find_heading
from fabula.corpus.splitting.markers import find_markers
from fabula.corpus.splitting.pages import CAPTION, numbers_alone, unwrap
from fabula.corpus.splitting.score import Quality, go_on, quality
from fabula.corpus.splitting.split import WHOLE, Split, line_pattern
from fabula.corpus.splitting.text_blocks import SALUTATION, TextBlocks, text_blocks
from fabula.errors import FabulaError
from fabula.story import count_words

BEGINNING_CHARS = 90
"""Number of characters of a story that a question shows."""

CLOSE = 0.12
"""Two ways whose scores differ by less than this are equally good."""

_SCENE_MARK = re.compile(r"[*\s]+|[#~⁂❖•·o\s]+", re.IGNORECASE)
_THE_END = re.compile(r"\n\W*(?:the end|end|fin|finis|ende|конец)\W*$", re.IGNORECASE)
_NEWLINE_TOKENS = ("<newline>", "<nl>", "¶")


@dataclass(frozen=True)
class ReadSample:
    """The beginning of a text, or a document, for which a way to cut is chosen.

    Attributes:
        name: name of its file.
        text: of plain text, with "\\n" at the ends of lines; None for a document.
        document: blocks of a document.
        is_whole: whether `text` is the whole file.
    """

    name: str
    text: str | None = None
    document: tuple[Block, ...] = ()
    is_whole: bool = True

    @cached_property
    def _found(self) -> TextBlocks:
        return text_blocks(self.text or "")

    @property
    def blocks(self) -> Sequence[Block]:
        """The blocks of either."""
        return self.document if self.text is None else self._found.blocks

    @property
    def is_wrapped(self) -> bool:
        """Whether the lines of a text are broken at one width."""
        return self._found.num_joined > 0


@dataclass(frozen=True)
class Candidate:
    """A way to cut, and the pieces that it makes of the samples.

    Attributes:
        split: the way.
        why: the evidence for it.
        prior: how reliable the marks are at which it cuts, 0 to 1.
        texts: the pieces.
        quality: quality of the pieces; None for files that are not cut.
    """

    split: Split
    why: str
    prior: float
    texts: tuple[str, ...]
    quality: Quality | None

    @property
    def score(self) -> float:
        """Pieces under headings, between dividers and between wide gaps may be verse, whose beginnings and ends are no evidence."""
        is_sure = self.split.num_blank > 1 or self.split.kind in ("separator", "scenes")
        may_be_verse = self.split.kind == "headings" or (is_sure and _are_verse(self.texts))
        return self.prior * (self.quality.score(may_be_verse) if self.quality else 1.0)

    @property
    def ends(self) -> set[str]:
        """The last letters of each piece: equal for two ways that cut in the same places, also if one of them cuts at a line
        ("CURTAIN.") with which each piece of the other ends."""
        ends = [_THE_END.sub("", text[-120:]).rstrip() for text in self.texts]
        last, count = Counter(end.rpartition("\n")[2] for end in ends).most_common(1)[0]
        if count >= 0.8 * len(ends) > 1:
            ends = [end.removesuffix(last) for end in ends]
        return {re.sub(r"\W+", "", end)[-30:] for end in ends}


@dataclass(frozen=True)
class Reading:
    """One of the ways to read from which the user is asked to choose.

    Attributes:
        split_at: the value of `--split-at` that selects it.
        description: in words.
        num_stories, num_words: number of stories, and of words, that it makes of the samples.
        beginnings: the beginnings of its first three stories.
    """

    split_at: str
    description: str
    num_stories: int
    num_words: int
    beginnings: tuple[str, ...]


class ReadingQuestion(FabulaError):
    """The question that is asked if stories can be cut in several ways, the `readings`."""

    readings: tuple[Reading, ...] = ()


def _are_verse(texts: Sequence[str]) -> bool:
    """Whether most lines of most pieces are short."""
    lines = [[line for line in text.split("\n") if line.strip()] for text in texts]
    short = sum(len(own) >= _VERSE_LINES and sum(map(len, own)) < _VERSE_CHARS * len(own) for own in lines)
    return short >= 0.8 * len(texts)


_VERSE_LINES, _VERSE_CHARS = 4, 50


def _may_be_poems(texts: Sequence[str]) -> bool:
    """Whether most pieces have the same few short lines, as haiku do, and the verses of a poem."""
    lines = [text.strip().split("\n") for text in texts]
    count, times = Counter(map(len, lines)).most_common(1)[0]
    short = sum(max(map(len, own)) < _VERSE_CHARS for own in lines)
    return len(texts) > _RECURS and 2 <= count <= 14 and min(times, short) >= 0.8 * len(texts)


def _may_be_one_text(way: Candidate, sample: ReadSample) -> bool:
    """Whether the pieces may be paragraphs that go on from one to the next, or short lines in one story were taken for
    titles: there are few of them, or none is at its head."""
    split = way.split
    if split.kind == "lines" or (split.kind == "blank-lines" and split.num_blank == 1):
        return go_on(way.texts)
    if sample.text is None or split.kind != "headings" or split.level != TITLE:
        return False
    levels = [block.level if block.kind == "heading" else 0 for block in sample.blocks]
    first = next(at for at, level in enumerate(levels) if level)
    before = sum(count_words(block.text) for block in sample.blocks[:first])
    is_late = before > FRONT_WORDS
    return {*levels} == {0, TITLE} and (is_late or levels.count(TITLE) <= _FEW_TITLES)


_FEW_TITLES = 3


def choose_split(samples: Sequence[ReadSample]) -> tuple[Split, str]:
    """The way to cut files into stories, and why.

    Raises:
        FabulaError: two ways are equally good; its `details` show the stories that each makes.
    """
    texts = [sample.text for sample in samples if sample.text is not None]
    if len(texts) == len(samples) and (markers := find_markers(texts)):
        return markers, f"{markers.start or markers.end} marks them"
    for sample in samples:
        if sample.text is not None:
            _refuse_lines(sample.text.split("\n"), sample.name)
    candidates = sorted(find_candidates(samples), key=lambda candidate: -candidate.score)
    best = candidates[0]
    if best.split.kind == "blank-lines":  # the gaps before headings: headings say more
        is_same = [other for other in candidates[1:] if other.split.kind == "headings" and _same(best, other)]
        best = next((other for other in is_same if other.score > best.score - CLOSE / 2), best)
    rivals = [other for other in candidates[1:] if not _same(best, other)]
    near = [rival for rival in rivals if best.score - rival.score < CLOSE]
    if near and best.split.kind != "headings":
        rival = next((rival for rival in near if rival.split.kind == "scenes"), near[0])
        raise _question(samples, best, rival, near)
    if len(samples) == 1 and _may_be_one_text(best, samples[0]):
        likely = rivals if best.split.kind == "headings" else candidates
        rival = next(way for way in likely if way.split.kind in ("separator", "file"))
        raise _question(samples, best, rival)
    if best.quality is None and len(samples) == 1:
        for rival in rivals:
            # Stories that consist of speech look like the paragraphs of one text, and short poems like its verses.
            found = rival.quality
            is_speech = found and not found.broken and (found.in_speech > 0.9 or _is_even(rival))
            if is_speech or (rival.split.kind == "blank-lines" and _may_be_poems(rival.texts)):
                raise _question(samples, best, rival)
            is_line = (
                rival.split.kind == "separator"
                and rival.quality
                and rival.quality.median_words >= _RECURS_WORDS
            )
            if is_line and len(rival.texts) > _RECURS:
                raise _question(samples, best, rival)
    return best.split, best.why


def _is_even(lines: Candidate) -> bool:
    """Whether lines are alike as stories of two sentences are: the lines of one text differ in length, and often begin in
    speech."""
    words = sorted(count_words(text) for text in lines.texts)
    few, many = words[len(words) // 20], words[-1 - len(words) // 20]
    in_speech = lines.quality.in_speech if lines.quality else 1.0
    return (
        lines.split.kind == "lines"
        and len(words) >= _MANY_LINES
        and few >= 6
        and many <= 5 * few
        and in_speech < 0.12
    )


_MANY_LINES = 20
_RECURS, _RECURS_WORDS = 3, 80
"""A line that recurs so often, with so many words between, may separate stories, or be what a site puts around each."""


def _refuse_lines(lines: Sequence[str], name: str) -> None:
    """
    Raises:
        FabulaError: a program has put something before each line, all words are numbers, the lines are rows of a table, or
            prompts, or the posts or the comments of readers stand among or below the text.
    """
    filled = [line for line in lines if line.strip()]
    if len(filled) > 2:
        numbers = [
            int(found[1]) for line in lines[: len(filled)] if (found := re.match(r"\s*(\d+)(?:\t|: )", line))
        ]
        counts = sum(after == here + 1 for here, after in itertools.pairwise(numbers))
        is_labelled = all(re.match(r"__label__\S+ ", line) for line in filled)
        if is_labelled or counts >= 0.98 * (len(filled) - 1):
            what = "each line begins with " + ("a label for fastText" if is_labelled else "its number")
            raise FabulaError(what, where=name, hint="remove them, or read the file as --format csv")
    if len(filled) > 2 and all(line.startswith(">") for line in filled):
        raise FabulaError(
            'each line begins with ">", like a quoted mail', where=name, hint="remove these signs"
        )
    if sum("\x1b[" in line for line in filled) > 2:
        hint = "save it without colours"
        raise FabulaError("this text holds the control codes of a terminal's colours", where=name, hint=hint)
    words = " ".join(filled[:50]).split()
    long = sum(len(word) > _LONG_WORD and word[0] < "\u0e00" for word in words)
    if long > 0.5 * len(words):  # but for scripts without spaces, of which the first is Thai
        what = "this is no text but encoded words (base64, or %20 for spaces)"
        raise FabulaError(what, where=name, hint="decode it first")
    if len(words) > 20 and sum(word.isdecimal() for word in words) >= 0.95 * len(words):
        hint = "name the file with the text that they were made from"
        raise FabulaError("this file holds numbers, like the ids of tokens", where=name, hint=hint)
    fields = [[found["mark"] for found in _FIELD_MARK.finditer(line)] for line in filled]
    if len(filled) > 2 and fields[0] and all(one == fields[0] for one in fields):
        hint = f"write a tab in place of each {fields[0][0]}, and name the file .tsv"
        raise FabulaError(f"this is a table whose fields are apart by {fields[0][0]}", where=name, hint=hint)
    if len(filled) > 2 and sum(bool(PROMPT.fullmatch(line.strip())) for line in filled) > 0.9 * len(filled):
        raise FabulaError(
            "this file holds prompts and no stories", where=name, hint="name the file with the stories"
        )
    if len([line for line in filled if _OF_FORUMS.fullmatch(line.strip())]) > 2:
        what = "this is a copy of a forum's thread, with the posts of its readers"
        raise FabulaError(what, where=name, hint="copy only the posts of the story (the forum's reader mode)")
    comment = _COMMENT.match(filled[-1]) if filled else None
    if comment and any(comment[1] in line for line in filled[:-1] if not line.startswith(comment[1])):
        what = f"the comments of readers stand at the end of this text ({filled[-1][:40]!r})"
        hint = f"download it from Google Docs as .docx, or delete the comments and their marks such as {comment[1]}"
        raise FabulaError(what, where=name, hint=hint)


_FIELD_MARK = re.compile(
    r"(?<=[^\s:;|@%^&])[ \t]*(?P<mark>(?P<sign>[:;|@%^&])(?P=sign)+)(?=[ \t]*[^\s:;|@%^&])"
)
_LONG_WORD = 50
"""In characters; words of a text in an alphabet are shorter."""

_OF_FORUMS = re.compile(r"Click to expand\W*|(?:\S.{0,40} said: ?)?↑")
"""What a forum puts around the quotation of a post."""

_COMMENT = re.compile(r"(\[[a-z]{1,2}\])\S")
"""A comment as Google Docs writes it below a text."""


def choose_named(split_at: str, samples: Sequence[ReadSample]) -> Split:
    """The way to cut that the user names.

    Raises:
        FabulaError: there are no such places.
    """
    candidates = find_candidates(samples)
    if split_at not in ("chapters", "scenes", "blank-lines", "lines", "files"):
        for candidate in candidates:
            if candidate.split.split_at == split_at:
                return candidate.split
    wraps = any(sample.is_wrapped for sample in samples)
    is_text = all(sample.text is not None for sample in samples)
    if split_at == "files":
        return candidates[-1].split
    if split_at in ("chapters", "scenes"):
        headings = next(
            (candidate.split for candidate in candidates if candidate.split.kind == "headings"), None
        )
        if split_at == "chapters" and headings:
            return replace(headings, is_book=True)
        if split_at == "scenes":
            return Split("scenes", level=headings.level if headings else 0, is_book=True)
        raise FabulaError(
            "no headings were found",
            where="--split-at",
            hint="name a line or regular expression instead",
        )
    if split_at in ("lines", "blank-lines"):
        if not is_text:
            raise FabulaError(
                f"a document has no {split_at}", where="--split-at", hint="try chapters or scenes"
            )
        gaps = _gaps(samples)
        wide = min((gap for gap in gaps if gap > 1), default=1)
        return (
            Split("lines", start=_bullet(samples))
            if split_at == "lines"
            else Split("blank-lines", num_blank=wide, unwrap=wraps)
        )
    lines = [line.strip() for sample in samples for line in _lines(sample)]
    is_plain = not re.search(r"[\\^$.|?*+()\[\]{}]", split_at)
    may_come = any(not sample.is_whole for sample in samples)
    if is_text and (split_at.strip() in lines or (is_plain and may_come)):
        return Split("separator", end=split_at.strip(), unwrap=wraps)
    pattern = line_pattern(split_at)
    if not may_come and not any(pattern.fullmatch(line) for line in lines):
        raise FabulaError(
            f"no line is or matches {split_at!r}",
            where="--split-at",
            hint="a regular expression must match a whole line",
        )
    return Split("pattern", start=split_at)


def _lines(sample: ReadSample) -> list[str]:
    return sample.text.split("\n") if sample.text is not None else [block.text for block in sample.blocks]


def find_candidates(samples: Sequence[ReadSample]) -> list[Candidate]:
    """All ways to cut that the samples have marks for. The last is not to cut."""
    several = len(samples) > 1
    found: list[Candidate] = []

    def add(split: Split, prior: float, why: str) -> None:
        pieces = [text for sample in samples for text in cut_sample(sample, split)]
        if len(pieces) > max(1, sum(sample.is_whole for sample in samples)) and len(pieces) > len(samples):
            found.append(Candidate(split, why, prior, tuple(pieces), quality(pieces)))

    headings = _heading_splits(samples, several)
    for split, prior, why in headings:
        add(split, prior, why)
    if len(found) > 1:
        found = [_best_level(found)]
    if any(block.kind == "divider" for sample in samples for block in sample.blocks):
        add(Split("scenes"), 0.45 if several else 0.8, "dividers stand between them")
    for form, example in _line_forms(samples):
        add(Split("pattern", start=form), 0.5 if several else 0.84, f"lines like {example!r} part them")
    if all(sample.text is not None for sample in samples):
        for split, prior, why in _line_splits(samples, several):
            add(split, prior, why)
    else:
        for line in _repeated_paragraphs(samples):
            pattern = re.escape(line).replace("\\ ", " ")
            add(Split("pattern", start=pattern), 0.5 if several else 0.84, f"{line!r} stands between them")
    whole = tuple("\n".join(cut_sample(sample, WHOLE)) for sample in samples)
    wraps = any(sample.is_wrapped for sample in samples)
    why = "a folder of files" if several else "no line separates stories"
    found.append(Candidate(replace(WHOLE, unwrap=wraps), why, 0.72 if several else 0.35, whole, None))
    return found


def _heading_splits(samples: Sequence[ReadSample], several: bool) -> list[tuple[Split, float, str]]:
    """A split for each level of headings, with the prior and the reason."""
    by_level: dict[int, list[str]] = {}
    for sample in samples:
        for block in sample.blocks:
            if block.kind == "heading":
                by_level.setdefault(block.level, []).append(block.text)
    plain = all(sample.text is not None for sample in samples)
    found = []
    for level, texts in sorted(by_level.items()):
        forms = [heading.level if (heading := find_heading(text.strip(), True)) else 0 for text in texts]
        chapters = sum(form in (PART, CHAPTER, NUMERAL) for form in forms) / len(forms)
        if plain:
            prior = {PART: 0.9, CHAPTER: 0.95, DECORATED: 0.93, NUMERAL: 0.9, TITLE: 0.86}.get(level, 0.86)
        else:
            prior = 0.95 if chapters >= 0.5 and PART not in forms else 0.92 - 0.01 * level
        is_book = chapters >= 0.5
        if several and not is_book:
            prior -= 0.28
        example = " ".join(texts[len(texts) // 2].split())[:40]
        found.append((Split("headings", level=level, is_book=is_book), prior, f"headings like {example!r}"))
    return found


def _best_level(found: Sequence[Candidate]) -> Candidate:
    """The level of headings to cut at: the coarsest of the better ones, or a finer one if it cuts parts into
    chapters."""
    best = max(found, key=lambda candidate: candidate.score)
    for finer in found:
        if finer.quality and best.quality and finer.split.level > best.split.level:
            few = best.quality.num_stories <= 3 or best.quality.median_words > 15_000
            if few and finer.quality.median_words >= 100 and finer.score > 0.8 * best.score:
                best = finer
    return best


def _line_splits(samples: Sequence[ReadSample], several: bool) -> list[tuple[Split, float, str]]:
    """The ways to cut plain text by its lines."""
    found: list[tuple[Split, float, str]] = []
    wraps = any(sample.is_wrapped for sample in samples)
    alike = set[str]() if several else _alike_dividers(samples[0])
    for line, is_scene in _repeated_lines(samples):
        if line in alike:  # all of them cut together, as dividers
            continue
        prior = (0.5 if several else 0.85) if is_scene else (0.8 if several else 0.9)
        found.append(
            (Split("separator", end=line, unwrap=wraps), prior, f"{line!r} stands on lines of its own")
        )
    for mark, why in _marks_within_lines(samples):
        prior = 0.5 if several else 0.85
        found.append((Split("markers", end=mark, unwrap=wraps), prior, why))
    for num_blank in _gaps(samples):
        prior = 0.5 if several else 0.8 if num_blank == 1 else 0.87
        why = (
            "blank lines stand between blocks of text"
            if num_blank == 1
            else f"gaps of {num_blank} or more blank lines"
        )
        found.append((Split("blank-lines", num_blank=num_blank, unwrap=wraps), prior, why))
    if not wraps:
        tokens = any(token in (sample.text or "") for sample in samples for token in _NEWLINE_TOKENS)
        prior, why = (
            (0.96, "<newline> stands within lines") if tokens else (0.8, "each line is long enough for one")
        )
        found.append((Split("lines", start=_bullet(samples)), prior, why))
    return found


def _alike_dividers(sample: ReadSample) -> set[str]:
    """The dividers of a text if they are one sign, typed in numbers that differ a little ("-----", "-------"); else none."""
    lines = {line.strip() for line in _lines(sample)}
    dividers = {line for line in lines if is_divider(line)}
    signs = ["".join(line.split()) for line in dividers]
    lengths = sorted(map(len, signs))
    is_alike = (
        len(dividers) > 1
        and len(set("".join(signs))) == 1
        and 3 <= lengths[0] <= lengths[-1] <= 2 * lengths[0]
    )
    return dividers if is_alike else set()


def _line_forms(samples: Sequence[ReadSample]) -> list[tuple[str, str]]:
    """Patterns for short lines on their own that begin with a sign or hold a number, and are alike but for their words and
    numbers ("<<The Lamp>>", "[2021-03-04] The Lamp"), each with an example."""
    forms: Counter[str] = Counter()
    examples: dict[str, str] = {}
    blocks = [block for sample in samples for block in sample.blocks]
    for block, after in itertools.pairwise(blocks):
        line = block.text.strip()
        is_alone = block.kind == "paragraph" and len(line) <= 80 and "\n" not in line
        is_alone = is_alone and not SALUTATION.match(after.text)  # the head of a letter is part of it
        is_alone = is_alone and not CAPTION.fullmatch(line)
        if is_alone and _SIGNED.search(line) and not _SENTENCE_END.search(line):
            form = _WORDS.sub("\1", re.sub(r"\d+", "\0", line))
            forms[form] += 1
            examples[form] = line
    return [
        (
            re.escape(form).replace("\\ ", " ").replace("\0", r"\d+").replace("\1", r"\S.{0,70}"),
            examples[form],
        )
        for form, count in forms.most_common(2)
        if count > 2 and "\1" in form
    ]


_WORDS = re.compile(r"[^\W\d_]+(?:[ '’-]+[^\W\d_]+)*")
_SIGNED = re.compile(r"^[\[<({#@*~=+|/\\.:>%&$_]|\d")
_SENTENCE_END = re.compile(r"[\w)][.!?,;:…][\"”’')]*$|[\"”’]$")


def _marks_within_lines(samples: Sequence[ReadSample]) -> list[tuple[str, str]]:
    """Marks that need no lines of their own, each with the reason: form feeds, unless they begin pages; record separators; the
    byte order marks of files that were joined; and signs such as "####" that nearly always follow the end of a sentence."""
    found = []
    texts = [sample.text or "" for sample in samples]
    for mark, name in (("\f", "form feeds"), ("\x1e", "record separators"), ("\ufeff", "byte order marks")):
        if sum(text.count(mark) for text in texts) > 1 and not (
            mark == "\f" and any(map(_has_pages, samples))
        ):
            found.append((mark, f"{name} stand between them"))
    marks = [match for text in texts for match in _GLUED.finditer(text)]
    for mark, count in Counter(match["glued"] or match["other"] for match in marks).most_common(3):
        if count > 2 and sum(match["glued"] == mark for match in marks) >= 0.9 * count:
            found.append((mark, f"{mark!r} stands between them"))
    return found


_GLUED = re.compile(
    r"(?m)(?<=[.!?…\"”’'*)])[ \t]*(?P<glued>([#=~@%|+^])\2{2,}|<(?!br|hr|nl|newline)\w{2,20}>(?=[ \t]*$))|(?P<other>[#=~@%|+^]{3,})"
)


def _has_pages(sample: ReadSample) -> bool:
    """Whether page numbers or running heads were found in a text."""
    return any(reason in ("page-number", "running-head") for _, reason, _ in sample._found.removed)


def _bullet(samples: Sequence[ReadSample]) -> str:
    """The mark before each line of a list ("- "), or ""."""
    lines = [line for sample in samples for line in (sample.text or "").split("\n") if line.strip()]
    marks = Counter(line[:2] for line in lines if re.match(r"[-*+•–] \S", line))
    mark, count = marks.most_common(1)[0] if marks else ("", 0)
    return mark if count >= 0.95 * len(lines) else ""


def _repeated_lines(samples: Sequence[ReadSample]) -> list[tuple[str, bool]]:
    """Short lines that often occur on their own, and whether each also separates scenes."""
    counts: Counter[str] = Counter()
    for sample in samples:
        lines = (sample.text or "").split("\n")
        own: Counter[str] = Counter()
        pages = dict(numbers_alone(lines))
        pages = pages if len(set(pages.values())) > 1 else {}  # "[Page 3]" in each of several stories
        for at, (before, line, after) in enumerate(zip(["", *lines], lines, [*lines[1:], ""], strict=False)):
            stripped = line.strip()
            if at in pages or CAPTION.fullmatch(stripped):
                continue
            is_mark = is_divider(stripped) or not re.search(r"[^\W\d_]", stripped) or stripped.isupper()
            is_mark = is_mark or stripped[0] in "\\@%~="
            if stripped and len(stripped) <= 80 and (is_mark or not (before.strip() and after.strip())):
                own[stripped] += 1
        # A line that each of several files has once is its head or its foot.
        counts.update({line: count for line, count in own.items() if count > 1 or len(samples) == 1})
    found = []
    for line, count in counts.most_common(12):
        letters = bool(re.search(r"[^\W\d_]", line))
        if is_divider(line) and count >= 2:
            found.append((line, bool(_SCENE_MARK.fullmatch(line))))
        elif count >= 3 and (not letters or not re.search(r"[a-z].*[.!?,;:\"”’']$|^[\"“‘'—–-]", line)):
            found.append((line, False))
    return found


def _repeated_paragraphs(samples: Sequence[ReadSample]) -> list[str]:
    """Short paragraphs of documents that recur, such as "NEXT STORY" or "The End"."""
    counts = Counter(
        line
        for sample in samples
        for block in sample.blocks
        if block.kind == "paragraph" and len(line := block.text.strip()) <= _MAX_MARK
        if _OF_MARKS.search(line) and (line.isupper() or _THE_END.fullmatch(f"\n{line}"))
    )
    return [line for line, count in counts.most_common(2) if count > 2]


_MAX_MARK = 40
_OF_MARKS = re.compile(
    r"(?i)\b(?:story|stories|tale|next|new|break|separator|curtain|the end|end|fin|finis|ende|конец)\b"
)


def _gaps(samples: Sequence[ReadSample]) -> list[int]:
    """How many blank lines may separate stories: 1 if there are any, and the sizes of the wider gaps."""
    gaps: Counter[int] = Counter()
    for sample in samples:
        text = (sample.text or "").strip()
        gaps.update(match[0].count("\n") - 1 for match in re.finditer(r"\n(?:[^\S\n]*\n)+", text))
    wider = sorted(size for size, count in gaps.items() if size > 1)
    if not gaps:
        return []
    return [1, *wider[:4]] if 1 in gaps or wider else []


def cut_sample(sample: ReadSample, split: Split) -> list[str]:
    """The pieces that a split makes of a sample; if it is only the beginning of a file, without the last piece, which
    may be cut off."""
    if split.kind == "file":
        pieces = [
            sample.text if sample.text is not None else "\n\n".join(block.text for block in sample.blocks)
        ]
    elif split.kind in ("headings", "scenes", "pattern"):
        pieces = [part.text for part in cut_blocks(sample.blocks, split)[0]]
    else:
        pieces = _cut_text(sample.text or "", split)
    if not sample.is_whole and len(pieces) > 1:
        pieces.pop()
    if split.unwrap:
        pieces = [unwrap(piece) for piece in pieces]
    return [piece for piece in (piece.strip() for piece in pieces) if piece]


def _cut_text(text: str, split: Split) -> list[str]:
    if split.kind == "lines":
        return text.split("\n")
    if split.kind == "blank-lines":
        return re.split(rf"\n(?:[^\S\n]*\n){{{split.num_blank},}}", text)
    if split.kind == "markers":
        return text.split(split.end)
    lines: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip() == split.end:
            lines.append([])
        else:
            lines[-1].append(line)
    return ["\n".join(piece) for piece in lines]


def _same(one: Candidate, other: Candidate) -> bool:
    """Whether two ways cut in nearly the same places."""
    common = len(one.ends & other.ends)
    return common >= 0.8 * max(len(one.ends), len(other.ends))


def _question(
    samples: Sequence[ReadSample], one: Candidate, other: Candidate, near: Sequence[Candidate] = ()
) -> ReadingQuestion:
    """The question to the user when two ways are equally good."""
    parts, readings = [], []
    for candidate in (one, other):
        words = [count_words(text) for text in candidate.texts]
        parts.append(
            f"{candidate.split.option}: {candidate.split.description}; {len(words):,} of them, {sum(words):,} words"
        )
        for text in candidate.texts[:3]:
            first = " ".join(text.split())[:BEGINNING_CHARS]
            parts.append(
                f"    {first}{'...' if len(text) > BEGINNING_CHARS else ''}  ({count_words(text):,} words)"
            )
        beginnings = tuple(" ".join(text.split())[:BEGINNING_CHARS] for text in candidate.texts[:3])
        split = candidate.split
        readings.append(Reading(split.split_at, split.description, len(words), sum(words), beginnings))
    what = (
        "where its stories begin can be seen in two ways"
        if len(samples) == 1
        else "where stories begin can be seen in two ways"
    )
    hint = f"type {one.split.option} or {other.split.option}"
    if one.split.kind == other.split.kind == "separator":
        ends = dict.fromkeys(way.split.end for way in (one, other, *near) if way.split.kind == "separator")
        every = "|".join(re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", end) for end in ends)
        hint += f", or {Split('pattern', start=every).option} for {'both' if len(ends) == 2 else 'all'}"
    question = ReadingQuestion(
        what,
        where=samples[0].name if len(samples) == 1 else None,
        hint=hint,
        details="\n".join(parts),
    )
    question.readings = tuple(readings)
    return question

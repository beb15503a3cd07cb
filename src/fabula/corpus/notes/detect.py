"""The combiner: which paragraphs at the head and at the tail of a story are a note.

Every paragraph gets a score in log-odds: what the rules found, less what speaks for story. A note is a prefix or a suffix
of the text, so the tail note is the suffix whose scores add up to most, if they add up to `ENOUGH`. A rule line just
before it adds to it: so the rule line before a note goes with the note, and the one before more story stays. Inside a
note, a paragraph without a sign of its own costs little. The head is read the same way, from the other side.
"""

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from fabula.corpus.notes.paragraphs import (
    INLINE_DIVIDER,
    Paragraph,
    fold,
    from_the_end,
    from_the_start,
    pieces,
)
from fabula.corpus.notes.rules import CERTAIN, LIKELY, RULE_LIST, Sign
from fabula.corpus.notes.voice import hear, words
from fabula.story import Span

TAIL_CHARS, HEAD_CHARS = 8000, 3000
MAX_TAIL, MAX_HEAD = 60, 10  # paragraphs
MAX_SILENT = 8  # so many paragraphs in a row without a sign end the reading from an end
INLINE_CHARS = (
    1000  # of a last paragraph of story; signs are looked for in these where there is one in the last
)
LAST_CHARS = 300
LONG = 1200  # characters; the signs of a longer paragraph are looked for in its first and last words
MAX_WORDS = 100_000  # words whose keys are remembered

# All in log-odds.
PRIOR = -2.0  # a paragraph at the end of a text is story, until something speaks for a note
RUN_ON = -0.5  # the same after a paragraph that is a note
SENTENCE, SENTENCE_RUN_ON = -3.0, -1.0  # the same for sentences of a paragraph
RULE_LINE = 3.0  # a rule line comes before it
ENOUGH = 2.0
BARE = 1.0  # what a note needs on top where no rule found a sign, or at the head where no rule line follows
CAP = 9.0  # signs are not independent: no paragraph is surer than this
HOPELESS = -3.5  # a paragraph that speaks so much for story is not searched for signs
VOICE = 0.7  # how much of the log-odds of the voice counts, and
LISTEN = 0.75  # how much commoner notes are at an end than where the voice learned, and
QUIET, LOUD = -4.0, 4.0  # how far it goes either way
HEARD_AT_HEAD = 1.5  # how far at most for a paragraph without a sign at the head
MUTE = -4.5  # a voice so far from the author's that no signs are looked for
TRAILING = -5.0  # so much story after a paragraph that is a note, and it is none
STORY = -0.7  # a sentence that is story
BEYOND = -12.0  # so much story at an end that no note can lie behind it
LABELLED = -3.0  # a paragraph with the author's own label cannot speak more than this for story

_SPEECH = re.compile(r"[.,!?…—–-]\s?[\"”]")
_LETTERS = re.compile(r"[a-z']+")
_SENTENCE = re.compile(r"[^.!?]{12,}")
_TAG = re.compile(
    r",\W{0,2} (?:it|he|she|they|i|you|the \w+) (?:said|says|read|asked|replied|mouthed|whispered|called)\b"
)
# A story in the form of a letter: nothing before its last line of farewell is a note.
_SALUTATION = re.compile(
    r"\W{0,3}(?:(?:my )?dear(?:est)?|to who(?:m|ever|mever)) [^\n.!?]{0,60}[,:!-]", re.IGNORECASE
)
_FAREWELL = re.compile(
    r"\W{0,3}(?:(?:ever |sincerely |faithfully |very truly )?yours|(?:with |all my )?(?:much )?love|sincerely|respectfully|"
    r"(?:kind |best |warm )?regards|(?:with )?(?:best|kind|warm|good) wishes)\b[^\n.!?]{0,60}[,.]?\W{0,3}$",
    re.IGNORECASE,
)
_EDIT = re.compile(r"[*_~^(\[]{0,4}(?:EDIT|Edit)\b")
# he, his, her, hers, him, she, they, them; each alternative begins with its letter, so that the search skips all others.
_THEY = re.compile(r"h(?<!\wh)(?:e|is|ers?|im)\b|s(?<!\ws)he\b|t(?<!\wt)he[ym]\b")


@dataclass(slots=True)
class Reading:
    """What was read off one paragraph.

    Attributes:
        evidence: for each rule that found a sign, its log-odds.
        score: log-odds for a note, without the prior.
    """

    paragraph: Paragraph
    evidence: dict[str, float]
    score: float

    @property
    def rule(self) -> str:
        return max(self.evidence, key=lambda name: self.evidence[name]) if self.evidence else ""

    @property
    def is_note(self) -> bool:
        return self.score >= LIKELY


@dataclass(frozen=True)
class RuleBook:
    """The signs of a rule set for one end of a story, in the order to try them, and how to find the ones worth trying.

    Attributes:
        signs: (rule, sign), the strongest signs of each rule first.
        by_key: for each key of a sign, the indices of its signs.
        by_letters: for the longest run of letters in a key, the keys. It lies within one word of any text that has the
            key, so that most keys need not be looked for in a paragraph.
        longest: the length of the longest of these runs.
        by_word: for each word met so far, the keys that may be about it.
    """

    signs: tuple[tuple[str, Sign], ...]
    by_key: dict[str, list[int]]
    by_letters: dict[str, list[str]]
    longest: int
    by_word: dict[str, list[str]]

    def candidates(self, folded: str, words: Sequence[str]) -> list[int]:
        """The signs of which a key occurs in a folded paragraph of these words."""
        keys = set(self.by_letters[""])
        for word in words:
            found = self.by_word.get(word)
            if found is None:
                parts = {
                    word[start:end]
                    for start in range(len(word))
                    for end in range(start + 1, min(start + self.longest, len(word)) + 1)
                }
                found = [key for part in parts & self.by_letters.keys() for key in self.by_letters[part]]
                if len(self.by_word) < MAX_WORDS:
                    self.by_word[word] = found
            keys.update(found)
        return sorted({i for key in keys if key in folded for i in self.by_key[key]})


@cache
def _rule_book(rule_set: str, where: str) -> RuleBook:
    rules = [rule for rule in RULE_LIST if rule_set in rule.sets and rule.where in ("both", where)]
    signs = tuple(
        (rule.name, sign) for rule in rules for sign in sorted(rule.signs, key=lambda sign: -sign.evidence)
    )
    by_key: dict[str, list[int]] = {}
    by_letters: dict[str, list[str]] = {"": []}
    for i, (_, sign) in enumerate(signs):
        for key in sign.keys:
            if key not in by_key:
                by_letters.setdefault(max(_LETTERS.findall(key), key=len, default=""), []).append(key)
            by_key.setdefault(key, []).append(i)
    return RuleBook(signs, by_key, by_letters, max(map(len, by_letters)), {})


def read(paragraph: Paragraph, rule_set: str, where: str) -> Reading:
    """What the rules find in one paragraph, less what its manner says for story."""
    if paragraph.is_divider:
        return Reading(paragraph, {}, 0.0)
    raw = paragraph.raw
    if len(raw) > LONG:
        raw = f"{raw[: LONG // 2]} {raw[-LONG // 2 :]}"
    score = _narration(raw) - min(6.0, max(0, len(paragraph.raw) - 300) / 250)
    evidence: dict[str, float] = {}
    if score > HOPELESS or "edit" in raw[:30].lower():
        folded = fold(raw)
        said = words(folded)
        heard = hear(said)
        score += _weigh(heard)
        if heard < MUTE and not folded.startswith("edit"):
            return Reading(paragraph, evidence, score)
        book = _rule_book(rule_set, where)
        for i in book.candidates(folded, said):
            name, sign = book.signs[i]
            if name not in evidence and sign.pattern.search(folded):
                evidence[name] = sign.evidence
        if evidence.get("edit", 0.0) >= CERTAIN or evidence.get("label", 0.0) >= CERTAIN:
            score = max(score, LABELLED)
        elif not evidence and where == "head":  # at the head, a storyteller speaks much like an author
            score -= max(0.0, _weigh(heard) - HEARD_AT_HEAD)
        elif evidence:  # where some sentences are story, a character reads or says what the rules found
            sentences = _SENTENCE.findall(folded)
            score += max(QUIET, sum(min(0.0, _weigh(hear(words(sentence))) + 1.0) for sentence in sentences))
    return Reading(paragraph, evidence, min(sum(evidence.values()), CAP) + score)


def _weigh(heard: float) -> float:
    return min(max(VOICE * (heard + LISTEN), QUIET), LOUD)


def _narration(raw: str) -> float:
    """Log-odds for story (below 0) of speech, block quotes and third persons."""
    score = 0.0
    if raw[0] in "\"“'‘" and raw[-1] in "\"”'’":
        score -= 6.0
    elif ('"' in raw or "”" in raw) and _SPEECH.search(raw):
        score -= 3.0
    elif raw[0] in '"“':
        score -= 2.0
    elif raw[0] == ">":
        score -= 1.5
    low = raw.lower()
    if "," in low and _TAG.search(low):
        score -= 6.0
    return score - min(2.5, 0.6 * len(_THEY.findall(low)))


def _read_from_one_end(
    paragraphs: Iterable[Paragraph], rule_set: str, where: str, most: int
) -> list[Reading]:
    """The readings of `paragraphs`, until there is so much story that no note can lie behind it."""
    readings: list[Reading] = []
    total, silent = 0.0, 0
    for paragraph in paragraphs:
        reading = read(paragraph, rule_set, where)
        readings.append(reading)
        if paragraph.is_divider:
            continue
        total += reading.score + (RUN_ON if where == "tail" else PRIOR)
        silent = 0 if reading.evidence else silent + 1
        if total < BEYOND or silent >= MAX_SILENT or len(readings) >= most:
            break
    return readings


def _best_suffix(readings: Sequence[Reading], prior: float, run_on: float) -> tuple[int, float]:
    """Where the suffix of `readings` starts that is best as a note, and its score; len(readings) where none is good."""
    best, best_score = len(readings), 0.0
    # The score from here to the first paragraph that is a note, with the prior; of all that follows it, with `run_on`;
    # and of everything from here to the end with `run_on`.
    before = after = whole = 0.0
    for first in range(len(readings) - 1, -1, -1):
        reading = readings[first]
        if reading.paragraph.is_divider:
            continue
        if reading.is_note:
            before, after = reading.score + prior, whole
        else:
            before += reading.score + prior
        whole += reading.score + run_on
        score = before + after
        if first > 0 and readings[first - 1].paragraph.is_divider:
            score += RULE_LINE
        if score > best_score and after > TRAILING:
            best, best_score = first, score
    signed = any(reading.evidence for reading in readings[best:])
    if best_score < ENOUGH + (0.0 if signed else BARE):
        return len(readings), 0.0
    while 1 < best < len(readings) and readings[best - 1].paragraph.is_divider:
        best -= 1
    return best, best_score


def _spans(note: Sequence[Reading], start: int, end: int, score: float) -> list[Span]:
    """The note's paragraphs as spans that cover `start` to `end`, one for each run of paragraphs of one rule.

    A paragraph without a sign belongs to the rule before it, a rule line to the rule after it.
    """
    names = [reading.rule for reading in note]
    if not any(names):
        names[-1] = "voice"
    for i in range(1, len(names)):
        if not names[i] and not note[i].paragraph.is_divider:
            names[i] = names[i - 1]
    for i in range(len(names) - 2, -1, -1):
        names[i] = names[i] or names[i + 1]
    for i in range(1, len(names)):
        names[i] = names[i] or names[i - 1]
    confidence = round(1 / (1 + math.exp(-score)), 4)
    spans: list[Span] = []
    for i, name in enumerate(names):
        stop = note[i + 1].paragraph.start if i + 1 < len(note) else end
        if spans and spans[-1].rule == name:
            spans[-1] = Span(spans[-1].start, stop, name, confidence)
        else:
            spans.append(Span(spans[-1].end if spans else start, stop, name, confidence))
    return spans


def _tail(text: str, rule_set: str) -> list[Span]:
    readings = _read_from_one_end(from_the_end(text, TAIL_CHARS), rule_set, "tail", MAX_TAIL)
    readings.reverse()
    if _SALUTATION.match(text):
        for reading in readings:
            if _FAREWELL.match(reading.paragraph.raw.split("\n")[0]):
                reading.score = BEYOND
    first, score = _best_suffix(readings, PRIOR, RUN_ON)
    story, note = readings[:first], readings[first:]
    if note and not story and not _is_all_note(text, note, rule_set):
        story, note = readings, []
    elif note and not note[0].paragraph.is_divider and _opens_as_story(note[0], rule_set):
        story.append(note.pop(0))
    if not story:
        return _spans(note, 0, len(text), score) if note else []
    last = story[-1].paragraph
    spans = _inline_tail(text, last, rule_set)
    if note:
        return spans + _spans(note, last.end, len(text), score)
    if spans:
        spans[-1] = replace(spans[-1], end=len(text))
    return spans


def _is_all_note(text: str, note: Sequence[Reading], rule_set: str) -> bool:
    """Whether a text is nothing but a short note, every paragraph with a sign."""
    signed = all(reading.evidence or reading.paragraph.is_divider for reading in note)
    at_start = not text[: note[0].paragraph.start].strip()
    return at_start and signed and len(text) < LONG and not _opens_as_story(note[0], rule_set)


def _opens_as_story(reading: Reading, rule_set: str) -> bool:
    """Whether a paragraph that has signs of a note starts with a sentence of story."""
    if max(reading.evidence.get("edit", 0.0), reading.evidence.get("label", 0.0)) >= CERTAIN:
        return False
    paragraph = reading.paragraph
    opening, *others = pieces(paragraph.raw, 0, len(paragraph.raw))
    if not others:
        return False
    first = read(opening, rule_set, "tail")
    return not first.evidence and first.score < STORY


def _ends_as_story(reading: Reading, rule_set: str) -> bool:
    """Whether a paragraph that has signs of a note ends with a sentence of story."""
    *others, ending = pieces(reading.paragraph.raw, 0, len(reading.paragraph.raw))
    last = read(ending, rule_set, "head")
    return bool(others) and not last.evidence and last.score < STORY


def _inline_tail(text: str, paragraph: Paragraph, rule_set: str) -> list[Span]:
    """A note in the last sentences of a paragraph of story."""
    start = max(paragraph.start, paragraph.end - LAST_CHARS)
    last = [read(piece, rule_set, "tail") for piece in pieces(text, start, paragraph.end)]
    start = max(paragraph.start, paragraph.end - INLINE_CHARS)
    labelled = "EDIT" in text[start : paragraph.end] or "Edit" in text[start : paragraph.end]
    if not labelled and not any(reading.evidence or reading.paragraph.is_divider for reading in last):
        return []
    parts = pieces(text, start, paragraph.end)
    story_end = parts[0].end
    for before, part in pairwise(parts):  # what follows a rule or a label is read as a paragraph of its own
        if not before.is_divider:
            story_end = before.end
        if not part.is_divider and (before.is_divider or _EDIT.match(part.raw)) and not parts[0].is_divider:
            rest = Paragraph(part.start, paragraph.end, text[part.start : paragraph.end], False)
            reading = read(rest, rule_set, "tail")
            score = reading.score + PRIOR + (RULE_LINE if before.is_divider else 0.0)
            if score >= ENOUGH + (0.0 if reading.evidence else BARE):
                return _spans([reading], story_end, paragraph.end, score)
    readings = [read(piece, rule_set, "tail") for piece in parts]
    first, score = _best_suffix(readings, SENTENCE, SENTENCE_RUN_ON)
    if first == 0 or first == len(readings):
        return []
    return _spans(readings[first:], readings[first - 1].paragraph.end, paragraph.end, score)


def _head(text: str, rule_set: str) -> list[Span]:
    readings = _read_from_one_end(from_the_start(text, HEAD_CHARS), rule_set, "head", MAX_HEAD)
    readings.reverse()  # so that the story comes first, as at the tail
    if readings and (spans := _inline_head(text, readings[-1].paragraph, rule_set)):
        return spans
    first, score = _best_suffix(readings, PRIOR, PRIOR)
    note = readings[: first - 1 : -1] if 0 < first < len(readings) else []
    ruled = bool(note) and note[-1].paragraph.is_divider
    if not note or (not ruled and (score < ENOUGH + BARE or _ends_as_story(note[-1], rule_set))):
        return []
    return _spans(note, 0, readings[first - 1].paragraph.start, score)


def _inline_head(text: str, paragraph: Paragraph, rule_set: str) -> list[Span]:
    """A note before an inline rule in the first paragraph."""
    part = text[paragraph.start : min(paragraph.end, paragraph.start + INLINE_CHARS)]
    if not any(mark in part for mark in ("--", "- -", "**", "* *", "__", "==")):
        return []
    rule = INLINE_DIVIDER.search(part)
    if rule is None or not part[: rule.start()].strip() or not part[rule.end() :].strip():
        return []
    before = Paragraph(paragraph.start, paragraph.start + rule.start(), part[: rule.start()].strip(), False)
    reading = read(before, rule_set, "head")
    score = reading.score + PRIOR + RULE_LINE
    if score < ENOUGH or not reading.evidence or _opens_as_story(reading, rule_set):
        return []
    end = paragraph.start + rule.end()
    while text[end].isspace():
        end += 1
    return _spans([reading], 0, end, score)


def find(text: str, rule_set: str, keep: Collection[str] = ()) -> list[Span]:
    """The notes at the head and the tail of `text` that the rules of `rule_set` find."""
    spans = _tail(text, rule_set)
    head = _head(text, rule_set)
    if not spans or not head or head[-1].end < spans[0].start:
        spans = head + spans
    return [span for span in spans if span.rule not in keep]

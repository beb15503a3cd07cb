"""The combiner: which paragraphs at the head and at the tail of a story are a note.

Every paragraph gets a score in log-odds: what the rules found, less what speaks for story. A note is a prefix or a suffix
of the text, so the tail note is the suffix whose scores add up to most, if they add up to `ENOUGH`. A rule line just
before it adds to it: so the rule line before a note goes with the note, and the one before more story stays. Inside a
note, a paragraph without a sign of its own costs little. The head is read the same way, from the other side.
"""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

from fabula.corpus.notes.paragraphs import Paragraph, fold, from_the_end, from_the_start, pieces
from fabula.corpus.notes.rules import CERTAIN, LIKELY, RULE_LIST, Sign
from fabula.story import Span

TAIL_CHARS, HEAD_CHARS = 8000, 3000
MAX_TAIL, MAX_HEAD = 60, 10  # paragraphs
TAIL_STORY, HEAD_STORY = 6, 3  # so many paragraphs of plain story in a row end the reading from an end

# All in log-odds.
PRIOR = -2.0  # a paragraph at the end of a text is story, until something speaks for a note
RUN_ON = -0.5  # the same after a paragraph that is a note
SENTENCE, SENTENCE_RUN_ON = -3.0, -1.0  # the same for sentences of a paragraph
RULE_LINE = 2.0  # a rule line comes before it
ENOUGH = 2.0
CAP = 9.0  # signs are not independent: no paragraph is surer than this
HOPELESS = -4.5  # a paragraph that speaks so much for story is not searched for signs
LABELLED = -3.0  # a paragraph with the author's own label cannot speak more than this for story

LONG = 1200  # characters

_TONE = re.compile(r"(?:^|\s)(?:[:;=]-?[)(dpo3/|]{1,3}|<3|xd|\^\^)(?:\W|$)|\b(?:lol|haha|lmao|whoa|woah|omg)\b")
_ADDRESS = re.compile(r"\b(?:you guys|y'all|ya'll|you all|folks|cheers|anyways?|tonight|tomorrow|i'll try|hopefully|y'know)\b")
_SPEECH = re.compile(r"[\w][.,!?…—–-]{1,3}\s?[\"”]")
_THEY = re.compile(r"\b(?:he|she|his|her|hers|him|they|them)\b")
_FICTION = re.compile(r"^dear \w|\b(?:my child|my dear|my love|your call is|please hold|sir|ma'am|mother|father|mom|dad|we (?:at|here at)|we appreciate|important to us|valued|please (?:rate|stay|hold|remain))\b")


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


@cache
def _signs(rule_set: str, where: str) -> tuple[tuple[str, ...], dict[str, list[tuple[int, str, Sign]]]]:
    """The keys of a rule set for one end of a story, and for each key the signs to try: (order, rule, sign)."""
    by_key: dict[str, list[tuple[int, str, Sign]]] = {}
    order = 0
    for rule in RULE_LIST:
        if rule_set in rule.sets and rule.where in ("both", where):
            for sign in sorted(rule.signs, key=lambda sign: -sign.evidence):
                order += 1
                for key in sign.keys:
                    by_key.setdefault(key, []).append((order, rule.name, sign))
    return tuple(by_key), by_key


def read(paragraph: Paragraph, rule_set: str, where: str) -> Reading:
    """What the rules find in one paragraph, and what speaks against them."""
    if paragraph.is_divider:
        return Reading(paragraph, {}, 0.0)
    raw = paragraph.raw
    if len(raw) > LONG:  # the signs of a note stand in its first or last words
        raw = f"{raw[: LONG // 2]} {raw[-LONG // 2 :]}"
    manner = _manner(raw) - min(6.0, max(0, len(paragraph.raw) - 300) / 250)
    evidence: dict[str, float] = {}
    if manner > HOPELESS or "edit" in raw[:30].lower():
        folded = fold(raw)
        keys, by_key = _signs(rule_set, where)
        candidates = {found[0]: found for key in keys if key in folded for found in by_key[key]}
        for order in sorted(candidates):
            _, name, sign = candidates[order]
            if name not in evidence and sign.pattern.search(folded):
                evidence[name] = sign.evidence
        if evidence.get("edit", 0.0) >= CERTAIN or evidence.get("label", 0.0) >= CERTAIN:
            manner = max(manner, LABELLED)
    return Reading(paragraph, evidence, min(sum(evidence.values()), CAP) + manner)


def _manner(raw: str) -> float:
    """Log-odds from the manner of a paragraph: the tone of a note, less speech, block quotes, third persons."""
    score = 0.0
    if raw[0] in "\"“'‘" and raw[-1] in "\"”'’":
        score -= 6.0
    elif _SPEECH.search(raw):
        score -= 3.0
    elif raw[0] in "\"“":
        score -= 2.0
    elif raw[0] == ">":
        score -= 1.5
    low = raw.lower().replace("’", "'")
    score -= min(2.5, 0.6 * len(_THEY.findall(low)))
    if _FICTION.search(low):
        score -= 1.5
    if _TONE.search(low):
        score += 1.5
    if _ADDRESS.search(low):
        score += 0.8
    return score


def _best_suffix(readings: Sequence[Reading], prior: float, run_on: float) -> tuple[int, float]:
    """Where the suffix of `readings` starts that is best as a note, and its score; len(readings) where none is good."""
    best, best_score = len(readings), 0.0
    before = 0.0  # the score from here to the first paragraph that is a note (which counts with the prior), and
    after = 0.0  # of all that follows it (where a paragraph costs `run_on`)
    whole = 0.0  # the score from here to the end, each paragraph with `run_on`
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
        if score > best_score:
            best, best_score = first, score
    if best_score < ENOUGH:
        return len(readings), 0.0
    while 1 < best < len(readings) and readings[best - 1].paragraph.is_divider:
        best -= 1
    return best, best_score


def _spans(note: Sequence[Reading], start: int, end: int, score: float) -> list[Span]:
    """The note's paragraphs as spans that cover `start` to `end`, one for each run of paragraphs of one rule.

    A paragraph without a sign belongs to the rule before it, a rule line to the rule after it.
    """
    names = [reading.rule for reading in note]
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
    readings: list[Reading] = []
    story = 0
    for paragraph in from_the_end(text, TAIL_CHARS):
        reading = read(paragraph, rule_set, "tail")
        readings.append(reading)
        if not paragraph.is_divider:
            story = 0 if reading.evidence else story + 1
        if story >= TAIL_STORY or len(readings) >= MAX_TAIL:
            break
    readings.reverse()
    first, score = _best_suffix(readings, PRIOR, RUN_ON)
    note = readings[first:]
    if readings and first == 0 and note:  # it reaches back to the start of the text, or further than was looked
        return _spans(note, 0, len(text), score) if readings[0].paragraph.start == _first_word(text) else []
    last = readings[first - 1].paragraph if readings else _last_part(text)
    spans = _inline_tail(text, last, rule_set) if last else []
    if note:
        if spans:
            spans[-1] = Span(spans[-1].start, last.end, spans[-1].rule, spans[-1].confidence)
        spans += _spans(note, last.end, len(text), score)
    elif spans:
        spans[-1] = Span(spans[-1].start, len(text), spans[-1].rule, spans[-1].confidence)
    return spans


def _first_word(text: str) -> int:
    return len(text) - len(text.lstrip())


def _last_part(text: str) -> Paragraph | None:
    """The end of a last paragraph that is longer than what is looked at."""
    end = len(text.rstrip())
    return Paragraph(end - 2000, end, text[end - 2000 : end], False) if end > 2000 else None


def _inline_tail(text: str, paragraph: Paragraph, rule_set: str) -> list[Span]:
    """A note in the last sentences of a paragraph of story."""
    start = max(paragraph.start, paragraph.end - 1500)
    readings = [read(piece, rule_set, "tail") for piece in pieces(text, start, paragraph.end)]
    first, score = _best_suffix(readings, SENTENCE, SENTENCE_RUN_ON)
    if first == 0 or first == len(readings):
        return []
    return _spans(readings[first:], readings[first - 1].paragraph.end, paragraph.end, score)


def _head(text: str, rule_set: str) -> list[Span]:
    readings: list[Reading] = []
    story = 0
    for paragraph in from_the_start(text, HEAD_CHARS):
        reading = read(paragraph, rule_set, "head")
        readings.append(reading)
        if not paragraph.is_divider:
            story = 0 if reading.evidence else story + 1
        if story >= HEAD_STORY or len(readings) >= MAX_HEAD:
            break
    readings.reverse()  # so that the story comes first, as at the tail
    first, score = _best_suffix(readings, PRIOR, PRIOR)
    note = readings[first:]
    if not note or first == 0:
        return []
    note.reverse()
    return _spans(note, 0, readings[first - 1].paragraph.start, score)


def find(text: str, rule_set: str, keep: Collection[str] = ()) -> list[Span]:
    """The notes at the head and the tail of `text` that the rules of `rule_set` find."""
    spans = _tail(text, rule_set)
    head = _head(text, rule_set)
    if not spans or not head or head[-1].end < spans[0].start:
        spans = head + spans
    return [span for span in spans if span.rule not in keep]

"""The combiner: which paragraphs at the head and at the tail of a story are a note.

Every paragraph gets a score in log-odds: what the rules found, less what speaks for a story. A note is a prefix or a
suffix of the story, so the tail note is the suffix whose scores add up to most, if they add up to enough; a rule line
just before it speaks for it, and so the rule line before more story does not. The head is read the same way.
"""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fabula.corpus.notes.paragraphs import Paragraph, fold, from_the_end, from_the_start, pieces
from fabula.corpus.notes.rules import RULE_LIST, STRONG, Rule
from fabula.story import Span

TAIL_CHARS, HEAD_CHARS = 8000, 3000
MAX_STORY_RUN = 6  # paragraphs in a row that are plainly story, after which the reading from an end stops
MAX_HEAD = 10

PRIOR = -2.0  # a paragraph is story until something speaks for a note
RUN_ON = -0.5  # the same inside a note
SENTENCE = -3.0  # the same for a sentence at the end of a paragraph of story
AFTER_RULE_LINE = 2.0
ENOUGH = 2.0
CAP = 9.0

_TONE = re.compile(r"(?:^|\s)(?:[:;=]-?[)(dpo3/|]{1,3}|<3|xd|\^\^)(?:\W|$)|\b(?:lol|haha|lmao|whoa|woah|omg)\b")
_TONE_WEAK = re.compile(r"\b(?:you guys|y'all|you all|folks|cheers|anyways?|tonight|tomorrow|i'll try|hopefully)\b")
_SAID = re.compile(r"\b(?:said|asked|replied|whispered|yelled|shouted|muttered|answered|smiled|nodded|laughed|sighed)\b")
_NARRATED = re.compile(r"\b(?:he|she|his|her|him|they|them)\b")


@dataclass(slots=True)
class Reading:
    """What was read off one paragraph: for each rule its evidence, and the evidence for story (log-odds)."""

    paragraph: Paragraph
    evidence: dict[str, float]
    story: float
    tone: float

    @property
    def note(self) -> float:
        return min(sum(self.evidence.values()), CAP)

    @property
    def rule(self) -> str:
        return max(self.evidence, key=lambda name: self.evidence[name]) if self.evidence else ""


def read(paragraph: Paragraph, rules: Sequence[Rule]) -> Reading:
    """Try each of the `rules` on one paragraph."""
    if paragraph.is_divider:
        return Reading(paragraph, {}, 0.0, 0.0)
    raw = paragraph.raw if len(paragraph.raw) < 3000 else paragraph.raw[:1500] + " " + paragraph.raw[-1500:]
    folded = fold(raw)
    evidence: dict[str, float] = {}
    for rule in rules:
        for strength, keys, pattern in rule.patterns:
            if strength <= evidence.get(rule.name, 0.0):
                continue
            for key in keys:
                if key in folded:
                    if pattern.search(folded):
                        evidence[rule.name] = strength
                    break
    story = 0.0
    quotes = folded.count('"')
    if folded[0] == '"' and folded[-1] == '"' or folded[0] == "'" and folded[-1] == "'":
        story += 6.0
    elif quotes >= 2:
        story += 3.0 if _SAID.search(folded) else 1.5
    elif folded[0] == '"' or folded[-1] == '"':
        story += 2.0
    if raw[0] == ">":
        story += 2.0
    story += min(2.5, 0.6 * len(_NARRATED.findall(folded)))
    story += min(2.0, len(folded) / 500)
    tone = 1.5 if _TONE.search(folded) else 0.0
    tone += 0.8 if _TONE_WEAK.search(folded) else 0.0
    return Reading(paragraph, evidence, story, tone)


def _best_run(readings: Sequence[Reading], prior: float, run_on: float, rule_line: float) -> tuple[int, float]:
    """How many of `readings` (which start at the story's side) must be left out so that the rest is best as a note.

    Returns (index of the note's first paragraph, its score); index = len(readings) where nothing is a note.
    """
    best, best_score = len(readings), 0.0
    for first in range(len(readings) - 1, -1, -1):
        if readings[first].paragraph.is_divider:
            continue
        score, inside = 0.0, False
        for reading in readings[first:]:
            if reading.paragraph.is_divider:
                continue
            score += reading.note + reading.tone - reading.story + (run_on if inside else prior)
            inside = inside or reading.note >= STRONG
        if first > 0 and readings[first - 1].paragraph.is_divider:
            score += rule_line
        if score > best_score:
            best, best_score = first, score
    return best, best_score


def _spans(note: Sequence[Reading], start: int, end: int, score: float) -> list[Span]:
    """The note's paragraphs as spans that cover `start` to `end`, one for each run of paragraphs of one rule."""
    names = [reading.rule for reading in note]
    for i in range(len(names)):  # a paragraph without a sign belongs to the rule before it, a rule line to what follows
        if not names[i] and i and not note[i].paragraph.is_divider:
            names[i] = names[i - 1]
    for i in range(len(names) - 1, -1, -1):
        if not names[i]:
            names[i] = names[i + 1] if i + 1 < len(names) and names[i + 1] else names[i - 1]
    confidence = round(1 / (1 + math.exp(-score)), 4)
    spans: list[Span] = []
    for i, name in enumerate(names):
        stop = note[i + 1].paragraph.start if i + 1 < len(note) else end
        if spans and spans[-1].rule == name:
            spans[-1] = Span(spans[-1].start, stop, name, confidence)
        else:
            spans.append(Span(spans[-1].end if spans else start, stop, name, confidence))
    return spans


def _tail(text: str, rules: Sequence[Rule]) -> list[Span]:
    readings: list[Reading] = []
    story_run = 0
    for paragraph in from_the_end(text, TAIL_CHARS):
        reading = read(paragraph, rules)
        readings.append(reading)
        if not paragraph.is_divider:
            story_run = 0 if reading.evidence else story_run + 1
            if story_run >= MAX_STORY_RUN:
                break
    readings.reverse()
    first, score = _best_run(readings, PRIOR, RUN_ON, AFTER_RULE_LINE)
    if score < ENOUGH:
        first, score = len(readings), 0.0
    while 0 < first < len(readings) and readings[first - 1].paragraph.is_divider:
        first -= 1
    note, story = readings[first:], readings[:first]
    if story:
        start = story[-1].paragraph.end
        last = story[-1].paragraph
        spans = _inline_tail(text, last, rules)
        if spans and note:
            spans[-1] = Span(spans[-1].start, last.end, spans[-1].rule, spans[-1].confidence)
    elif not readings and text.strip():
        end = len(text.rstrip())
        return _inline_tail(text, Paragraph(max(0, end - TAIL_CHARS), end, "", False), rules)
    else:
        start, spans = 0, []
    return spans + (_spans(note, start, len(text), score) if note else [])


def _inline_tail(text: str, paragraph: Paragraph, rules: Sequence[Rule]) -> list[Span]:
    """A note in the last sentences of a paragraph of story."""
    start = max(paragraph.start, paragraph.end - 1500)
    readings = [read(piece, rules) for piece in pieces(text, start, paragraph.end)]
    if len(readings) < 2:
        return []
    first, score = _best_run(readings, SENTENCE, RUN_ON - 0.5, AFTER_RULE_LINE + 1.0)
    if score < ENOUGH or first == 0:
        return []
    while first > 1 and readings[first - 1].paragraph.is_divider:
        first -= 1
    return _spans(readings[first:], readings[first - 1].paragraph.end, paragraph.end, score)


def _head(text: str, rules: Sequence[Rule]) -> list[Span]:
    readings: list[Reading] = []
    story_run = 0
    for paragraph in from_the_start(text, HEAD_CHARS):
        reading = read(paragraph, rules)
        readings.append(reading)
        if not paragraph.is_divider:
            story_run = 0 if reading.evidence else story_run + 1
        if len(readings) >= MAX_HEAD or story_run >= 3:
            break
    note = _head_note(readings)
    if not note:
        return []
    readings, score = note
    end = readings[-1].paragraph.end
    while end < len(text) and text[end].isspace():
        end += 1
    return _spans(readings, 0, end, score)


def _head_note(readings: Sequence[Reading]) -> tuple[Sequence[Reading], float] | None:
    backwards = list(reversed(readings))
    first, score = _best_run(backwards, PRIOR, PRIOR, AFTER_RULE_LINE)
    if score < ENOUGH:
        return None
    while first > 0 and backwards[first - 1].paragraph.is_divider:
        first -= 1
    return readings[: len(readings) - first], score


def find(text: str, rule_set: str, keep: Collection[str]) -> list[Span]:
    """The notes at the head and the tail of `text` that the rules of `rule_set` find."""
    rules = [rule for rule in RULE_LIST if rule_set in rule.sets]
    spans = _tail(text, [rule for rule in rules if rule.where != "head"])
    head = _head(text, [rule for rule in rules if rule.where != "tail"])
    if spans and head and head[-1].end >= spans[0].start:
        head = []
    return [span for span in head + spans if span.rule not in keep]

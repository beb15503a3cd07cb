"""Finds the paragraphs at the head and at the tail of a story that are a note.

Every paragraph has a score in log-odds (`evidence.py`). A note is a prefix or a suffix of the text, so the note at the
tail is the suffix with the largest sum of scores, if that sum reaches `THRESHOLD`. A divider just before it adds to the
sum: so a divider before a note is removed with the note, and a divider before more story stays. Within a note, a
paragraph without a sign of its own costs little. The head is scored the same way from the other side.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise, takewhile

from fabula.corpus.boilerplate import middle
from fabula.corpus.boilerplate.classifier import log_odds, words
from fabula.corpus.boilerplate.evidence import (
    INTRODUCED,
    MAX_BARE_LABEL,
    MAX_CHARS,
    MAX_EVIDENCE,
    ScoredParagraph,
    has_sign,
    score_paragraph,
)
from fabula.corpus.boilerplate.in_story import may_say, num_said
from fabula.corpus.boilerplate.narrator import (
    IS_WRITTEN,
    NARRATION_CHARS,
    POSTED,
    is_in_first_person,
    raise_in_first_person,
    says_i,
)
from fabula.corpus.boilerplate.paragraphs import (
    END_MARK,
    INLINE_DIVIDER,
    Paragraph,
    fold,
    from_the_end,
    from_the_start,
    pieces,
)
from fabula.corpus.boilerplate.rule import CERTAIN, HINT, STRONG
from fabula.story import Span

TAIL_CHARS, HEAD_CHARS = 8000, 6000
MAX_TAIL, MAX_HEAD = 60, 40
"""Number of paragraphs that are inspected."""

MAX_UNSIGNED = 8
"""The search from an end stops after this many consecutive paragraphs without a sign."""

INLINE_CHARS, LAST_CHARS = 1000, 300
"""A note within the last paragraph is searched for in its last `INLINE_CHARS`, if its last `LAST_CHARS` have a sign."""

# All in log-odds.
PRIORS = {"reddit": -1.5, "web": -1.0, "ao3": -0.5, "fanfiction": -0.5, "wattpad": -0.5, "royalroad": -0.5}
"""The prior that a paragraph at an end of a text is a note, by rule set: on some sites nearly every chapter has a
note."""

PRIOR_IN_NOTE = -0.5
"""The prior for a paragraph after one that is a note."""

PRIOR_BEFORE_NOTE = -2.0
"""The prior for a paragraph that is probably no note by itself, next to one that is, on the side of the story."""

SENTENCE_PRIOR, SENTENCE_PRIOR_IN_NOTE = -3.0, -1.0
"""The prior for sentences of a paragraph."""

DIVIDER_BEFORE = 3.0
"""The evidence of a divider before a paragraph."""

MIN_UNSIGNED, MIN_BESIDE_STORY = 4.5, 3.0
"""The least score of a paragraph without a sign that belongs to a note: where it may as well belong to the story, and elsewhere next
to the story, without a divider between."""

UNSIGNED_SECTION = -3.0
"""The cost of extending a note over a divider to paragraphs without any sign: they are probably story."""

AFTER_LABEL = 2.5
"""The least score of a paragraph after a line that only labels it (`Summary:`)."""

MAX_SUMMARY = 6
"""The most paragraphs from the label of a summary to the next label."""

THRESHOLD = 2.0
"""The least sum over the paragraphs of a note."""

MIN_LAST = 2.05
"""The least score of a note's last paragraph without a sign, if no sign in the note is certain to be the author's."""

MIN_DOUBTED = 0.5
"""With a sum between this and `THRESHOLD` the paragraphs stay, and are shown as doubtful."""

DOUBTED = 0.5
"""The confidence of what stays but is doubtful."""

UNSIGNED_MARGIN = {"reddit": 1.0, "web": 1.0, "ao3": 1.6, "fanfiction": 1.6, "wattpad": 1.6, "royalroad": 1.6}
"""What is added to `THRESHOLD` if no rule found a sign, or if no divider follows a note at the head; by rule set."""

MIN_AFTER = -3.0
"""A paragraph is not a note if the paragraphs after it add up to less than this, or than twice this if it scores `SURE` or more."""

SURE = 10.0

MAX_STORY_WITHIN, MAX_STORY_WITHIN_HEAD = 5.0, 12.0
"""A note does not extend over paragraphs of story with more evidence than this; above the first divider,
where authors introduce a story in many paragraphs, it is more."""

SCANT_WORDS = 4
"""This many words or fewer at the end of a paragraph of story are a note only if a sign is certain."""

STORY_BELOW = -0.7
"""A sentence with a lower score is story."""

MOST_AT_TAIL, MOST_REMOVED, DOUBTED_WORDS = 0.45, 0.67, 100
"""The largest share of a text's words (links count little in words) that a note at its tail, and all its notes, may be if they have
more than `DOUBTED_WORDS`: a story that consists of posts, edits or letters looks like notes all over, and is left as it is."""

STOP_BELOW = -12.0
"""There can be no note beyond paragraphs that add up to less than this."""

_NOTE_WORD = re.compile(r"\b(thank|feedback|comment|reader|subscri|review|update|post|vote)(?:s|bers?|be)?\b")
_SIGNATURE = re.compile(r"[-–—~]\s?\S[^.!?]{0,30}")

_HEADING = re.compile(
    r"\W{0,4}(?:chapter|part|prologue|epilogue)\b(?! (?:text|notes|summary)\b)[^\n.!?]{0,70}", re.IGNORECASE
)
"""The heading of a chapter, which belongs to the story below it."""

_NUMBERED = re.compile(r"\b(?:chapter|part|book|episode) (?:\d|[ivxl]+\b)", re.IGNORECASE)
MAX_HEADING = 80

MIN_TITLE, LEAST_BELOW_TITLE = 1.5, -5.0
"""The least score of a title of a note in bold or as a heading, and of a paragraph without a sign between it and the divider."""

MIN_LINKS = 2
"""A note of so many links is a list of other stories or parts, or the author's pages."""

_CONTINUED = re.compile(r"\W{0,4}to be continued\W{0,6}", re.IGNORECASE)

NARRATED = {"author_note", "thanks", "feedback"}
"""Rules whose signs a narrator who posts the story may give, too."""

SAID = NARRATED | {"edit", "label", "classifier"}
"""Rules of which the signs beside the story may be its own, if the signs that only an author gives stand further off."""

MIN_EDIT_WORDS, STORY_IN_EDIT = 5, -1.0
"""An edit of at least so many words, of which the classifier's log-odds are below this, reads as story."""

STORY_AT_END = -2.5
"""An edit whose last sentence scores less than this goes on with the story."""

_MENTIONS_TEXT = re.compile(
    r"\b(?:prompts?|wp|format\w*|typos?|grammar|grammatical|spelling|english|feedback|critici\w+|critiques?|drafts?|tenses?|paragraphs?|"
    r"sentences?|comma|ending|fiction|plot|parts?|chapters?|sequel|updates?|subscribers?|newsletter|title|first (?:story|attempt|try|fic)|"
    r"(?:short|this|my|the|his|your|own) (?:story|stories|writing)|upvot\w+|gold|reddit|there(?:'ll| will| might| may) be more|be (?:gentle|kind|nice)|go easy)\b"
)
"""How authors speak of what they wrote; matched against a folded paragraph."""

_ANSWERS = re.compile(
    r"\b(?:of you|you guys|y'all|people|folks|(?:some|any|every)(?:one|body))(?: (?:have|has|are|is|were|keeps?|who|here|below|in|the|comments?|been)){0,3}"
    r" (?:ask|point|mention|correct|comment|wonder|request|suggest)(?:s|ed|ing)?\b"
    r"|\bpointed out\b|\b(?:liked|enjoyed) (?:it|this)\b|\bto answer (?:your|the|some|a)\b"
)
"""How authors answer the readers of what they posted in an edit; matched against a folded paragraph."""

_EDIT = re.compile(r"[*_~^(\[]{0,4}(?:EDIT|Edit)\b")


def find(text: str, rule_set: str, keep: Collection[str] = ()) -> tuple[list[Span], list[Span]]:
    """The notes of `text` that the rules of `rule_set` find, and what may be a note but stays, because it may as well be
    story."""
    tail = _tail(text, rule_set)
    most = max(DOUBTED_WORDS, MOST_AT_TAIL * len(text.split())) if tail else 0
    if tail and tail[0].start > 0 and _num_words(text, tail) > most:
        tail = _doubted(tail)
    end = tail[0].start if tail else len(text)
    head = _head(text[:end], rule_set)
    start = head[-1].end if head else 0
    within = [[one] for one in middle.find(text, start, end, rule_set)]
    story = text[start : len(text) if tail and _is_doubted(tail[0]) else end]
    head = _without_said(story, head, text, at_head=True)
    tail = _without_said(story, tail, text, at_head=False)
    within = [
        _doubted(run) if may_say(story, text[run[0].start : run[-1].end], text) else run for run in within
    ]
    spans = [span for run in (head, *within, tail) for span in run]
    num_removed = _num_words(text, [span for span in spans if not _is_doubted(span)])
    if num_removed > DOUBTED_WORDS and MOST_REMOVED * len(text.split()) < num_removed < len(text.split()):
        spans = _doubted(spans)
    spans = [span for span in spans if span.rule not in keep]
    return [span for span in spans if not _is_doubted(span)], [span for span in spans if _is_doubted(span)]


def _without_said(story: str, run: list[Span], text: str, *, at_head: bool) -> list[Span]:
    """The spans of a note, of which the story may say all, or those beside it that a narrator may give, themselves doubted."""
    if not run:
        return []
    start, end = run[0].start, run[-1].end
    if may_say(story, text[start:end], text):
        return _doubted(run)
    beside = run[-1] if at_head else run[0]
    num = num_said(story, text[start:end], text, at_head=at_head) if beside.rule in SAID else 0
    if not num:
        return run
    cut = end - num if at_head else start + num
    before = [replace(span, end=min(span.end, cut)) for span in run if span.start < cut]
    after = [replace(span, start=max(span.start, cut)) for span in run if span.end > cut]
    return [*before, *_doubted(after)] if at_head else [*_doubted(before), *after]


def _num_words(text: str, spans: Sequence[Span]) -> int:
    return sum(len(text[span.start : span.end].split()) for span in spans)


def _confidence(score: float) -> float:
    return round(1 / (1 + math.exp(-score)), 4)


def _doubted(spans: Sequence[Span]) -> list[Span]:
    return [replace(span, confidence=DOUBTED) for span in spans]


def _is_doubted(span: Span) -> bool:
    return span.confidence <= DOUBTED


def _score_from_one_end(
    paragraphs: Iterable[Paragraph], rule_set: str, where: str, most: int
) -> list[ScoredParagraph]:
    """Score `paragraphs` until there is so much story that there can be no note beyond it."""
    scored: list[ScoredParagraph] = []
    total, num_unsigned = 0.0, 0
    for paragraph in paragraphs:
        one = score_paragraph(paragraph, rule_set, where, is_outermost=not scored)
        scored.append(one)
        if paragraph.is_divider:
            continue
        total += one.score + (PRIOR_IN_NOTE if where == "tail" else PRIORS[rule_set])
        num_unsigned = 0 if one.evidence else num_unsigned + 1
        if total < STOP_BELOW or num_unsigned >= MAX_UNSIGNED or len(scored) >= most:
            break
    return scored


def _best_suffix(
    scored: Sequence[ScoredParagraph],
    prior: float,
    prior_in_note: float,
    margin: float,
    max_story: float = MAX_STORY_WITHIN,
) -> tuple[int, float]:
    """The start of the suffix of `scored` that is most likely a note, and its score; len(scored) if there is no note. With
    a score below `THRESHOLD` it is doubtful."""
    best, best_score = len(scored), 0.0
    # Scores of the paragraphs from here to the first one that is a note, of all that follow it, and of all from here to
    # the end (both with `prior_in_note`).
    before = after = whole = 0.0
    section_signed, later_signed = False, False
    for first in range(len(scored) - 1, -1, -1):
        one = scored[first]
        if one.paragraph.is_divider:
            section_signed, later_signed = False, section_signed or later_signed
            max_story = MAX_STORY_WITHIN
            continue
        section_signed = section_signed or bool(one.evidence)
        if one.is_note:
            before, after = one.score + prior, whole
        else:
            before += one.score + (min(prior, PRIOR_BEFORE_NOTE) if best < len(scored) else prior)
        whole += one.score + prior_in_note
        score = before + after
        if first > 0 and scored[first - 1].paragraph.is_divider:
            score += DIVIDER_BEFORE
        if later_signed and not section_signed:
            score += UNSIGNED_SECTION
        if score > best_score and after > (2 * MIN_AFTER if one.score >= SURE else MIN_AFTER):
            best, best_score = first, score
        elif score < best_score - max_story and (best < len(scored) or whole < 2 * MIN_AFTER):
            break
    signed = any(one.evidence for one in scored[best:])
    if best_score < (MIN_DOUBTED if signed else THRESHOLD + margin):
        return len(scored), 0.0
    while 1 < best < len(scored) and scored[best - 1].paragraph.is_divider:
        best -= 1
    return best, best_score


def _score_together(scored: Sequence[ScoredParagraph]) -> None:
    """Correct the scores of the paragraphs, in the order of the text, by those before and after them: below a label or an
    introduction, and a quoted prompt above what the author says about it."""
    for before, one in pairwise(scored):
        if one.paragraph.is_divider:
            continue
        if before.is_bare_label:
            one.score = max(one.score, AFTER_LABEL)
            one.is_under_label = True
        elif before.introduces and one.evidence and "link" not in one.evidence:
            one.score = min(one.score, INTRODUCED)
        if one.paragraph.raw[0] == "|":  # a row of a table
            one.score = max(one.score, 0.0)
        if before.paragraph.start == 0 and before.paragraph.raw[0] == ">" and one.is_note and one.evidence:
            before.score = max(before.score, 0.0)


def _score_summary(scored: Sequence[ScoredParagraph]) -> None:
    """Correct the scores of a summary at the head, which reads like story, between its label and the next one."""
    labels = [number for number, one in enumerate(scored) if one.is_bare_label]
    for first, last in pairwise(labels):
        if "summary" in scored[first].paragraph.raw.lower() and last - first <= MAX_SUMMARY:
            for one in scored[first + 1 : last]:
                one.score, one.is_under_label = max(one.score, AFTER_LABEL), True


def _spans(note: Sequence[ScoredParagraph], start: int, end: int, score: float) -> list[Span]:
    """The note's paragraphs as spans that cover `start` to `end`, one for each run of paragraphs of one rule.

    A paragraph without a sign belongs to the rule before it, a divider to the rule after it.
    """
    names = [one.rule for one in note]
    if not any(names):
        names[-1] = "classifier"
    for i in range(1, len(names)):
        if not names[i] and not note[i].paragraph.is_divider:
            names[i] = names[i - 1]
    for i in range(len(names) - 2, -1, -1):
        names[i] = names[i] or names[i + 1]
    for i in range(1, len(names)):
        names[i] = names[i] or names[i - 1]
    confidence = _confidence(score)
    spans: list[Span] = []
    for i, name in enumerate(names):
        stop = note[i + 1].paragraph.start if i + 1 < len(note) else end
        if spans and spans[-1].rule == name:
            spans[-1] = Span(spans[-1].start, stop, name, confidence)
        else:
            spans.append(Span(spans[-1].end if spans else start, stop, name, confidence))
    return spans


def _tail(text: str, rule_set: str) -> list[Span]:
    scored = _score_from_one_end(from_the_end(text, TAIL_CHARS), rule_set, "tail", MAX_TAIL)
    scored.reverse()
    _score_together(scored)
    if scored:
        start = scored[0].paragraph.start
        raise_in_first_person(scored, text[max(0, start - NARRATION_CHARS) : start])
    margin = UNSIGNED_MARGIN[rule_set]
    first, score = _best_suffix(scored, PRIORS[rule_set], PRIOR_IN_NOTE, margin)
    if first < len(scored):
        narrated = is_in_first_person(text[: scored[first].paragraph.start][-NARRATION_CHARS:])
        first = _skip_unsigned(scored, first, narrated, label_first=True)
        above, note = text[: scored[first].paragraph.start], scored[first:]
        if not _is_divided(scored, first) and (
            _may_be_story(above, note) or (narrated and not any(one.evidence for one in note))
        ):
            score = min(score, MIN_DOUBTED)
    story, note = scored[:first], scored[first:]
    doubted: list[Span] = []
    if note and not story and not _is_all_note(text, note, rule_set):
        story, note = scored, []
    elif note and (score < THRESHOLD or _is_by_the_narrator(text[: note[0].paragraph.start], note, rule_set)):
        doubted = _doubted(_spans(note, note[0].paragraph.start, len(text), score))
        story, note = scored, []
    elif note and not note[0].paragraph.is_divider and _opens_as_story(note[0], rule_set):
        story.append(note.pop(0))
    while note and story and _belongs_to_note(story, note):
        note.insert(0, story.pop())
    if not story:
        return _spans(note, 0, len(text), score) if note else []
    last = story[-1].paragraph
    spans = _inline_tail(text, last, rule_set)
    if note:
        return spans + _spans(note, last.end, len(text), score)
    if spans:
        return [*spans[:-1], replace(spans[-1], end=len(text))]
    return doubted


def _is_divided(scored: Sequence[ScoredParagraph], first: int) -> bool:
    """Whether a divider stands between the note that starts at `first` and the story before it."""
    return scored[first].paragraph.is_divider or (first > 0 and scored[first - 1].paragraph.is_divider)


def _may_be_story(story: str, note: Sequence[ScoredParagraph]) -> bool:
    """Whether what may be a note has no sign that only an author or a page gives, and either ends with a paragraph that may be story
    or thanks and asks as the story above it does."""
    signs = {rule for one in note for rule, evidence in one.evidence.items() if evidence >= STRONG}
    if signs - NARRATED or any("reddit_talk" in one.evidence for one in note):
        return False
    last = next((one for one in reversed(note) if not _SIGNATURE.fullmatch(one.paragraph.raw)), note[-1])
    if not last.evidence and last.score < MIN_LAST and not last.paragraph.is_divider:
        return True
    said = Counter(_NOTE_WORD.findall(fold(story)))
    return any(said[word] > 1 for one in note for word in _NOTE_WORD.findall(fold(one.paragraph.raw)))


def _skip_unsigned(
    scored: Sequence[ScoredParagraph], first: int, narrated: bool, *, label_first: bool
) -> int:
    """The start of a note without the paragraphs next to the story that have no sign and too low a score. They may well be story
    if they say "I" as the narrator does (`narrated`), or if the author's label, which begins a note at the tail (`label_first`),
    stands below them."""
    while first + 1 < len(scored) and not _is_divided(scored, first):
        one, below = scored[first], scored[first + 1]
        may_be_story = (label_first and below.is_labelled) or (narrated and says_i(one.paragraph.raw))
        if not label_first and sum(bool(other.evidence) for other in scored[first + 1 :]) == 1:
            may_be_story = may_be_story or bool(
                scored[-1].evidence.keys() & {"promotion", "link", "part_link"}
            )
        least = MIN_UNSIGNED if may_be_story else MIN_BESIDE_STORY
        if one.evidence or one.is_under_label or one.score >= least:
            break
        first += 1
    return first


def _belongs_to_note(story: Sequence[ScoredParagraph], note: Sequence[ScoredParagraph]) -> bool:
    """Whether the last line of what may be story is part of the note below it: `To be continued...`, or above links `More of mine:`
    and `THE END.`, with a divider between them or not."""
    last = story[-1].paragraph
    if _CONTINUED.fullmatch(last.raw):
        return True
    if _num_links(note) < MIN_LINKS:
        return False
    if last.is_divider:
        return len(story) > 1 and END_MARK.fullmatch(story[-2].paragraph.raw) is not None
    introduces = (
        len(last.raw) <= MAX_BARE_LABEL and last.raw.rstrip("*_").endswith(":") and '"' not in last.raw
    )
    return introduces or END_MARK.fullmatch(last.raw) is not None


def _num_links(note: Sequence[ScoredParagraph]) -> int:
    return sum(one.paragraph.raw.count("](") or "http" in one.paragraph.raw for one in note)


def _is_all_note(text: str, note: Sequence[ScoredParagraph], rule_set: str) -> bool:
    """Whether a text is nothing but a short note with a sign in every paragraph."""
    signed = all(one.evidence or one.paragraph.is_divider for one in note)
    at_start = not text[: note[0].paragraph.start].strip()
    return at_start and signed and len(text) < MAX_CHARS and not _opens_as_story(note[0], rule_set)


def _is_by_the_narrator(text: str, note: Sequence[ScoredParagraph], rule_set: str) -> bool:
    """Whether the edits below `text` go on with a story that its narrator, who says "I" or writes the story down, posts: nothing but
    their label says that they are notes."""
    edits = [one for one in note if one.evidence.get("edit", 0.0) >= CERTAIN]
    if not edits:
        return False
    if not any(_ends_as_story(one, rule_set, STORY_AT_END) and not _mentions_text(one) for one in edits):
        if any(one.names_the_site for one in note):
            return False
        if not _reads_as_story(edits) and not POSTED.search(text):
            return False
    if any(_ANSWERS.search(fold(one.paragraph.raw)) for one in edits):
        return POSTED.search(text) is not None
    return is_in_first_person(text[-NARRATION_CHARS:]) or IS_WRITTEN.search(text) is not None


def _mentions_text(one: ScoredParagraph) -> bool:
    return _MENTIONS_TEXT.search(fold(one.paragraph.raw)) is not None


def _reads_as_story(edits: Sequence[ScoredParagraph]) -> bool:
    """Whether one of the edits has no second sign, and more words than a correction needs, which read as story."""
    texts = [words(fold(one.paragraph.raw.partition(":")[2])) for one in edits if len(one.evidence) == 1]
    return any(len(text) >= MIN_EDIT_WORDS and log_odds(text) < STORY_IN_EDIT for text in texts)


def _opens_as_story(one: ScoredParagraph, rule_set: str) -> bool:
    """Whether a paragraph with signs of a note starts with a sentence of story, or has them only in brackets at its end."""
    if one.is_labelled or one.is_under_label:
        return False
    raw = one.paragraph.raw
    before = raw.rpartition(" (")[0]
    if (
        raw[-1] == ")"
        and before
        and not score_paragraph(Paragraph(0, len(before), before, False), rule_set, "tail").evidence
    ):
        return True
    parts = pieces(raw, 0, len(raw))
    worded = [part for part in parts if any(map(str.isalnum, part.raw))]
    if len(worded) < 2:
        return False
    first, *others = [score_paragraph(part, rule_set, "tail") for part in worded]
    before = takewhile(lambda one: not one.evidence and not one.paragraph.is_divider, others)
    return not first.evidence and min([first.score, *(one.score for one in before)]) < STORY_BELOW


def _ends_as_story(one: ScoredParagraph, rule_set: str, below: float = STORY_BELOW) -> bool:
    """Whether a paragraph with signs of a note ends with a sentence of story, which scores less than `below`."""
    if one.is_under_label or any(
        one.evidence.get(rule, 0.0) >= CERTAIN for rule in ("story_header", "prompt")
    ):
        return False
    *others, ending = pieces(one.paragraph.raw, 0, len(one.paragraph.raw))
    last = score_paragraph(ending, rule_set, "head")
    return bool(others) and not last.evidence and last.score < below


def _is_scant(note: Sequence[ScoredParagraph]) -> bool:
    """Whether a few words in a paragraph of story are uncertain as a note: a character may say them."""
    sure = any(sum(one.evidence.values()) >= CERTAIN for one in note)
    return not sure and sum(len(one.paragraph.raw.split()) for one in note) <= SCANT_WORDS


def _inline_tail(text: str, paragraph: Paragraph, rule_set: str) -> list[Span]:
    """A note in the last sentences of a paragraph of story."""
    start = max(paragraph.start, paragraph.end - LAST_CHARS)
    last = pieces(text, start, paragraph.end)
    start = max(paragraph.start, paragraph.end - INLINE_CHARS)
    labelled = "EDIT" in text[start : paragraph.end] or "Edit" in text[start : paragraph.end]
    if not labelled and not any(one.is_divider or has_sign(one, rule_set) for one in last):
        return []
    parts = pieces(text, start, paragraph.end)
    story_end = parts[0].end
    for before, part in pairwise(parts):  # text after a divider or a label counts as a separate paragraph
        if not before.is_divider:
            story_end = before.end
        if not part.is_divider and (before.is_divider or _EDIT.match(part.raw)) and not parts[0].is_divider:
            rest = Paragraph(part.start, paragraph.end, text[part.start : paragraph.end], False)
            one = score_paragraph(rest, rule_set, "tail")
            score = one.score + PRIORS[rule_set] + (DIVIDER_BEFORE if before.is_divider else 0.0)
            if score >= THRESHOLD + (0.0 if one.evidence else UNSIGNED_MARGIN[rule_set]):
                return _spans([one], story_end, paragraph.end, score)
    scored = [score_paragraph(piece, rule_set, "tail") for piece in parts]
    scores = [one.score for one in scored]
    for one in scored:
        raw = one.paragraph.raw
        if not any(map(str.isalnum, raw)):  # a closing bracket
            one.score = 0.0
        elif (
            raw[0] == raw[-1] == "*" and max(one.evidence.values(), default=0.0) < STRONG
        ):  # read or thought by a character
            one.score = min(one.score, STORY_BELOW)
        elif not one.evidence:  # a single sentence is too little evidence for the classifier alone
            one.score = min(one.score, -SENTENCE_PRIOR_IN_NOTE)
    first, score = _best_suffix(scored, SENTENCE_PRIOR, SENTENCE_PRIOR_IN_NOTE, UNSIGNED_MARGIN[rule_set])
    if score < THRESHOLD or first == 0 or first == len(scored) or _is_scant(scored[first:]):
        return []
    rest = scored[first - 1].paragraph.end
    if start == paragraph.start and min(scores[:first]) > STORY_BELOW and sum(scores[:first]) > MIN_UNSIGNED:
        first, rest = 0, start  # all of it is a note
    return _spans(scored[first:], rest, paragraph.end, score)


def _head(text: str, rule_set: str) -> list[Span]:
    scored = _score_from_one_end(from_the_start(text, HEAD_CHARS), rule_set, "head", MAX_HEAD)
    _score_together(scored)
    if scored:
        end = scored[-1].paragraph.end
        raise_in_first_person(scored, text[end : end + NARRATION_CHARS])
    prior, margin = PRIORS[rule_set], UNSIGNED_MARGIN[rule_set]
    prior_in_note = max(prior, PRIOR_IN_NOTE) if scored and scored[0].is_labelled else prior
    _score_summary(scored)
    scored.reverse()  # now the story comes first, as at the tail
    if scored and (spans := _inline_head(text, scored[-1].paragraph, rule_set)):
        return spans
    first, score = _best_suffix(scored, prior, prior_in_note, margin, MAX_STORY_WITHIN_HEAD)
    if not 0 < first < len(scored):
        return []
    first = _extend_to_divider(scored, first)
    story = text[scored[first - 1].paragraph.start :][:NARRATION_CHARS]
    narrated = is_in_first_person(story)
    first = _skip_unsigned(scored, first, narrated, label_first=False)
    note = scored[: first - 1 : -1]
    divided = note[-1].paragraph.is_divider
    if not divided and _ends_as_story(note[-1], rule_set):
        return []
    start, end = 0, scored[first - 1].paragraph.start
    while len(note) > 1 and _HEADING.fullmatch(note[-1].paragraph.raw):
        end = note.pop().paragraph.start
    if len(note) > 1 and _is_heading(note[0]):
        start = note.pop(0).paragraph.end
    spans = _spans(note, start, end, score)
    if score < THRESHOLD + (0.0 if divided else margin) or (
        not divided and narrated and _may_be_narrated(note)
    ):
        return _doubted(spans)
    return spans


def _extend_to_divider(scored: Sequence[ScoredParagraph], first: int) -> int:
    """The start of a note at the head, in paragraphs from the story to the beginning of the text, which extends to the divider below it
    if it has links and no paragraph between reads as story. Below a title of its own, it may read so, but has no speech."""
    if _is_divided(scored, first) or _num_links(scored[first:]) < MIN_LINKS:
        return first
    title = scored[-1]
    is_titled = title.paragraph.raw[0] in "*#" and title.score >= MIN_TITLE and not _is_heading(title)
    least = LEAST_BELOW_TITLE if is_titled else STORY_AT_END
    for i in range(first - 1, max(0, first - 1 - MAX_UNSIGNED), -1):
        if scored[i].paragraph.is_divider:
            return i
        if scored[i].score < least:
            break
    return first


def _may_be_narrated(note: Sequence[ScoredParagraph]) -> bool:
    """Whether a narrator who says "I" might say all of a note: it has no sign that no narrator gives, and mentions no text."""
    signs = {rule for one in note for rule, evidence in one.evidence.items() if evidence > HINT}
    return not signs - NARRATED and not any(one.evidence and _mentions_text(one) for one in note)


def _is_heading(one: ScoredParagraph) -> bool:
    raw = one.paragraph.raw
    return (
        not one.evidence
        and len(raw) <= MAX_HEADING
        and raw.rstrip("*")[-1:] != ":"
        and (raw[0] == "#" or _NUMBERED.search(raw) is not None)
    )


def _inline_head(text: str, paragraph: Paragraph, rule_set: str) -> list[Span]:
    """A note before an inline divider in the first paragraph."""
    part = text[paragraph.start : min(paragraph.end, paragraph.start + INLINE_CHARS)]
    if not any(mark in part for mark in ("--", "- -", "**", "* *", "__", "==")):
        return []
    divider = INLINE_DIVIDER.search(part)
    if divider is None or not part[: divider.start()].strip() or not part[divider.end() :].strip():
        return []
    before = Paragraph(
        paragraph.start, paragraph.start + divider.start(), part[: divider.start()].strip(), False
    )
    one = score_paragraph(before, rule_set, "head")
    score = one.score + PRIORS[rule_set] + DIVIDER_BEFORE
    bare = one.score - min(sum(one.evidence.values()), MAX_EVIDENCE)
    if score < THRESHOLD or not one.evidence or _opens_as_story(one, rule_set):
        return []
    if bare < STORY_BELOW and not one.is_labelled:  # apart from the signs it reads like story
        return []
    end = paragraph.start + divider.end()
    while text[end].isspace():
        end += 1
    return _spans([one], 0, end, score)

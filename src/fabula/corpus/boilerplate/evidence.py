"""Scores how likely one paragraph is to be a note: the signs of the rules, the classifier, and the evidence for story.

The score is in log-odds (natural logarithm of the odds), without the prior; `detect.py` adds the prior and decides.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from fabula.corpus.boilerplate.classifier import log_odds, words
from fabula.corpus.boilerplate.paragraphs import Paragraph, fold
from fabula.corpus.boilerplate.rule import CERTAIN, LIKELY, STRONG, Sign
from fabula.corpus.boilerplate.rules import RULE_LIST

MAX_CHARS = 1200
"""In a longer paragraph, only the first and last characters are searched for signs."""

MAX_WORDS = 100_000
"""Number of words whose keys are cached."""

MAX_EVIDENCE = 9.0
"""Signs are not independent: all signs of a paragraph together add at most this."""

MIN_NARRATION, MIN_OUTERMOST = -3.5, -5.5
"""A paragraph whose form is stronger evidence for story than this is not searched for signs; the second is for the first or
last paragraph of a text."""

MIN_CLASSIFIED = -4.5
"""A paragraph whose words are stronger evidence for story than this is not searched for signs."""

INTRODUCED, MAX_INTRODUCING = -8.0, 1.0
"""The most that a paragraph with signs scores below a line that presents it as written or said by someone in the story, and the
most that such a line scores."""

MIN_LABELLED = -3.0
"""The evidence for story of a paragraph under the author's own label is at most this."""

CLASSIFIER_WEIGHT = 0.9
"""Share of the classifier's log-odds that counts."""

PRIOR_SHIFT = 0.6
"""Notes are more common at an end of a text than in the classifier's training data, by these log-odds."""

CLASSIFIER_MIN, CLASSIFIER_MAX = -4.0, 5.0
CLASSIFIER_MAX_AT_HEAD = {
    "reddit": 3.5,
    "web": 3.5,
    "ao3": 4.0,
    "fanfiction": 4.0,
    "wattpad": 4.0,
    "royalroad": 4.0,
}
"""For a paragraph without a sign at the head, where a narrator often sounds like an author; by rule set."""

_ENGLISH = {
    "the", "and", "of", "to", "it", "i", "you", "he", "she", "they", "we", "this", "that", "for", "with", "my", "your", "be", "have",
    "has", "had", "are", "is", "not", "but", "if", "or", "by", "from", "would", "can", "what", "there", "it's", "i'm", "at",
}  # fmt: skip
"""Words that occur often in any English text and are rare in other languages."""

LABELS = ("edit", "label", "section_label", "story_header")
"""Rules whose certain signs are labels."""

SITE_EVIDENCE = {"reddit_talk": LIKELY, "promotion": STRONG, "part_link": STRONG, "thanks": CERTAIN}
"""The least evidence of a rule that tells an author's edit from that of a narrator who posts the story."""

MAX_BARE_LABEL = 60
"""Most characters of a line that only labels what follows."""

_MAY_BE_LABELLED = re.compile(r"\W{0,6}(?:\w{1,12} ){0,2}(?:edit|a ?/ ?n|author|disclaimer)\b", re.IGNORECASE)

_SPEECH = re.compile(r"[.,!?…—–-]\s?[\"”]")
_HEADER = re.compile(r"\W{0,4}(?:to|from|re|cc|subject) ?: ?\S", re.IGNORECASE)
"""A line of the head of a mail or memo."""

_LETTERS = re.compile(r"[a-z']+")
_SENTENCE = re.compile(r"[^.!?]{12,}")
_TAG = re.compile(
    r"(?:,\W{0,2} (?:it|he|she|they|the \w+)|[,?!.][^\w\s]{1,2} (?:i|you)) (?:said|says|read|asked|replied|mouthed|whispered|called)\b"
)
# he, his, her, hers, him, she, they, them. Each alternative begins with its letter, so that the search skips all others.
_THIRD_PERSON = re.compile(r"h(?<!\wh)(?:e|is|ers?|im)\b|s(?<!\ws)he\b|t(?<!\wt)he[ym]\b")


@dataclass(slots=True)
class ScoredParagraph:
    """A paragraph, and how likely it is to be a note.

    Attributes:
        evidence: for each rule that found a sign, its log-odds.
        score: log-odds for a note, without the prior.
        is_under_label: whether the paragraph before it is its label.
    """

    paragraph: Paragraph
    evidence: dict[str, float]
    score: float
    is_under_label: bool = False

    @property
    def rule(self) -> str:
        """The rule with the strongest evidence, or ""."""
        return max(self.evidence, key=lambda name: self.evidence[name]) if self.evidence else ""

    @property
    def names_the_site(self) -> bool:
        """Whether it has a sign that only an author gives: votes and gold, links, the next part."""
        return any(self.evidence.get(rule, 0.0) >= least for rule, least in SITE_EVIDENCE.items())

    @property
    def introduces(self) -> bool:
        """Whether what follows is presented by this paragraph of story: `She typed:`, `**anna** wrote:`, `RE: The Stairs`."""
        return self.score < MAX_INTRODUCING and (
            self.paragraph.raw.rstrip("*_ ").endswith(":") or _HEADER.match(self.paragraph.raw) is not None
        )

    @property
    def is_note(self) -> bool:
        """Whether the paragraph is probably a note even without its neighbours."""
        return self.score >= LIKELY

    @property
    def is_labelled(self) -> bool:
        """Whether the author put a label such as `EDIT:` or `A/N:` on the paragraph."""
        return any(self.evidence.get(rule, 0.0) >= CERTAIN for rule in LABELS)

    @property
    def is_bare_label(self) -> bool:
        """Whether the paragraph is nothing but the label of what follows."""
        return (
            len(self.paragraph.raw) <= MAX_BARE_LABEL and self.evidence.get("section_label", 0.0) >= CERTAIN
        )


@dataclass(frozen=True)
class SignIndex:
    """The signs of a rule set for one end of a story, and an index that finds the few worth trying on a paragraph.

    Attributes:
        signs: (rule, sign) in the order to try them, the strongest signs of each rule first.
        by_key: for each key of a sign, the indices of its signs.
        by_letters: for the longest run of letters in a key, the keys. Any text that contains the key has this run within
            one word, so that most keys need not be searched for.
        longest: length of the longest of these runs.
        seen: the words seen so far, and `by_word`: the keys that may match around each of them, if there are any.
    """

    signs: tuple[tuple[str, Sign], ...]
    by_key: dict[str, list[int]]
    by_letters: dict[str, list[str]]
    longest: int
    seen: set[str]
    by_word: dict[str, list[str]]

    def candidates(self, folded: str, words: Sequence[str]) -> list[int]:
        """The signs of which a key occurs in a folded paragraph that consists of these words."""
        distinct = set(words)
        if len(self.seen) > MAX_WORDS:
            self.seen.clear()
            self.by_word.clear()
        for word in distinct - self.seen:
            parts = {
                word[start:end]
                for start in range(len(word))
                for end in range(start + 1, min(start + self.longest, len(word)) + 1)
            }
            if found := [key for part in parts & self.by_letters.keys() for key in self.by_letters[part]]:
                self.by_word[word] = found
        self.seen.update(distinct)
        keys = set(self.by_letters[""]).union(
            *(self.by_word[word] for word in distinct & self.by_word.keys())
        )
        return sorted({i for key in keys if key in folded for i in self.by_key[key]})

    def evidence(self, folded: str, words: Sequence[str]) -> dict[str, float]:
        """The log-odds of the strongest sign of each rule that finds one."""
        found: dict[str, float] = {}
        for i in self.candidates(folded, words):
            name, sign = self.signs[i]
            if name not in found and sign.pattern.search(folded):
                found[name] = sign.evidence
        return found


@cache
def sign_index(rule_set: str, where: str) -> SignIndex:
    """The index of a rule set's signs for the "head" or the "tail" of a story."""
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
    return SignIndex(signs, by_key, by_letters, max(map(len, by_letters)), set(), {})


def score_paragraph(
    paragraph: Paragraph, rule_set: str, where: str, *, is_outermost: bool = False
) -> ScoredParagraph:
    """Score one paragraph at the "head" or the "tail" of a story. A divider scores 0."""
    if paragraph.is_divider:
        return ScoredParagraph(paragraph, {}, 0.0)
    raw = paragraph.raw
    if len(raw) > MAX_CHARS:
        raw = f"{raw[: MAX_CHARS // 2]} {raw[-MAX_CHARS // 2 :]}"
    score = narration(raw) - min(6.0, max(0, len(paragraph.raw) - 300) / 250)
    if score <= (MIN_OUTERMOST if is_outermost else MIN_NARRATION) and not _may_be_signed(raw):
        return ScoredParagraph(paragraph, {}, score)
    folded = fold(raw)
    its_words = words(folded)
    classified = log_odds(its_words)
    if classified > 0 and not _is_english(its_words):
        classified = 0.0
    score += _weigh(classified)
    if classified < MIN_CLASSIFIED and not _may_be_signed(raw):
        return ScoredParagraph(paragraph, {}, score)
    scored = ScoredParagraph(paragraph, sign_index(rule_set, where).evidence(folded, its_words), score)
    if scored.is_labelled:
        scored.score = max(score, MIN_LABELLED)
    elif scored.evidence:
        scored.score += _story_sentences(folded)
    elif where == "head":
        scored.score -= max(0.0, _weigh(classified) - CLASSIFIER_MAX_AT_HEAD[rule_set])
    scored.score += min(sum(scored.evidence.values()), MAX_EVIDENCE)
    return scored


def _may_be_signed(raw: str) -> bool:
    """Whether a paragraph is searched for signs, whatever its form and its words: it has a label or a link."""
    return _MAY_BE_LABELLED.match(raw) is not None or "](" in raw


def has_sign(paragraph: Paragraph, rule_set: str) -> bool:
    """Whether `score_paragraph` finds a sign in a short paragraph at the tail; mostly decided by the keys alone."""
    folded = fold(paragraph.raw)
    return bool(sign_index(rule_set, "tail").candidates(folded, words(folded))) and bool(
        score_paragraph(paragraph, rule_set, "tail").evidence
    )


def _is_english(words: Sequence[str]) -> bool:
    """Whether words are in English, the language of the classifier. A few words are accepted in any case."""
    return len(words) < 12 or sum(word in _ENGLISH for word in words) >= 0.12 * len(words)


def _story_sentences(folded: str) -> float:
    """Log-odds for story of single sentences. If some are story, a character reads or says what the rules found."""
    scores = (_weigh(log_odds(words(sentence))) + 1.0 for sentence in _SENTENCE.findall(folded))
    return max(CLASSIFIER_MIN, sum(min(0.0, score) for score in scores))


def _weigh(classified: float) -> float:
    return min(max(CLASSIFIER_WEIGHT * (classified + PRIOR_SHIFT), CLASSIFIER_MIN), CLASSIFIER_MAX)


def narration(raw: str) -> float:
    """Log-odds for story (0 or less) of a paragraph's form: speech, block quotes, third persons."""
    score = 0.0
    if raw[0] in "\"“'‘" and raw[-1] in "\"”'’":
        score -= 6.0
    elif ('"' in raw or "”" in raw) and _SPEECH.search(raw):
        score -= 3.0
    elif raw[0] in '"“':
        score -= 2.0
    elif raw[0] == ">":
        score -= 1.5
    elif raw[0] == "[" and raw[-1] == "]":
        score -= 2.0  # a game's or a machine's message to a character
    low = raw.lower()
    if "dear diary" in low[:60]:
        score -= 6.0
    if "," in low and _TAG.search(low):
        score -= 6.0
    return score - min(2.5, 0.6 * len(_THIRD_PERSON.findall(low)))

"""Tells whether a story may say itself what looks like its note: documents and narrators thank and ask their readers, too.

Without a sign of an author outside of the story it is asked about: a note that stays costs little, a part of the story much.
"""

import re
from collections import Counter

from fabula.corpus.boilerplate.narrator import IS_WRITTEN, NARRATION_CHARS, POSTED, is_in_first_person
from fabula.corpus.boilerplate.paragraphs import DIVIDER, END_MARK, fold

POST_CHARS, MIN_SAME_FORM = 12, 3
"""Short lines that have the first so many characters in common are of the same form. If so many lines have one form, and one of
them stands in the story, those in the note are doubtful."""

MAX_SHORT = 80  # characters of a short line
MIN_FORMAL, MIN_FORMAL_SHARE, MIN_SECOND_PERSON = 3, 0.2, 0.035
"""A story of which so many lines, and this share of them, have a label, a number, bold letters or brackets is a document;
one with this share of "you" and "your" in its words is spoken to somebody."""

SALUTATION_CHARS = 250  # the salutation of a letter, after a date or a place, begins within these

_LINK = re.compile(r"https?:|\bwww\.|\]\(|(?<!\w)/?[ru]/\w|\w\.(?:com|org|net)\b")
_SITE_WORD = re.compile(
    r"\b(?:prompts?|wp|op|(?:up|down)vot\w+|reddit\w*|subreddits?|gilded|gold|silver|platinum|awards|a/n|author'?s? notes?|typos?|grammar|"
    r"spelling|format\w*|mobile|word ?count|wc|concrit|fan ?fic\w*|fics?|fandoms?|kudos|ao3|wattpad|royal road|r&r|c&c|cw|tl;?dr|lol|haha|lmao|dms?|litrpg|obligatory|mods|first draft|flash fiction|challenge|(?:native|first|second|third) language|native speaker|prev|previous parts?|cross-?posted|"
    r"(?:trigger|content) warnings?|(?:next|last|this) (?:chapter|update)|chapters|sequel|disclaimer|pairings?|in (?:the |a |my )?(?:comments?|repl(?:y|ies))|first (?:story|fic|attempt|time (?:posting|writing|poster)))\b"
)
"""Words of authors about their text and of the sites it stands on; matched against a folded note."""

_EDIT = re.compile(r"\W{0,4}edit\b", re.IGNORECASE)
_FEEDBACK = re.compile(r"\b(?:feedback|critici[sz]\w+|critiques?)\b")
_LABEL = re.compile(r"\W{0,4}((?:[^\W\d]{1,12} ){0,2}?[^\W\d]{1,12})(?: ?\d{1,4}\b|\W{0,2}[:·])")

_SALUTATION = re.compile(
    r"\W{0,3}(?:(?:my )?dear(?:est)?|to who(?:m|ever|mever)) (?:[^\n.!?]{0,60}[,:!-]|[^\n!?]{0,60}[,:]$)",
    re.IGNORECASE | re.MULTILINE,
)


def may_say(story: str, note: str, text: str) -> bool:
    """Whether a `story` (a `text` without its notes) may say a note itself; a divider next to the note belongs to it."""
    if not story.strip() or _LINK.search(note):
        return False
    if _has_form_of(story, note, text):
        return True
    if _is_the_authors(note, story):
        return False
    lines = note.strip().split("\n")
    if _FEEDBACK.search(fold(note)) and any(
        DIVIDER.fullmatch(one[:MAX_SHORT]) for one in (lines[0], lines[-1])
    ):
        return False
    near = story.strip()[-NARRATION_CHARS:]
    narrated = is_in_first_person(near)
    if not narrated and _EDIT.match(note.lstrip("\n -_*=~")) and not POSTED.search(story):
        return False
    # of the whole story: from a point within speech on, speech and narration would be taken for each other
    you = len(re.findall(r"\byour?\b", fold(story))) / len(story.split())
    if _is_letter(story) or _is_document(story) or you >= MIN_SECOND_PERSON:
        return True
    return narrated and IS_WRITTEN.search(story) is not None


def num_said(story: str, note: str, text: str, *, at_head: bool) -> int:
    """How many characters of a note, counted from the side of the story, a `story` may say itself: its lines up to the first divider,
    heading, or sign that only an author gives; or none."""
    said: list[str] = []
    lines = note.splitlines(keepends=True)
    for line in reversed(lines) if at_head else lines:
        bare = line.strip(" \n*_")
        if (
            DIVIDER.fullmatch(line.strip()[:MAX_SHORT])
            or END_MARK.fullmatch(bare)
            or bare[-1:] == ":"
            or _is_the_authors(line, story)
        ):
            break
        said.append(line)
    if at_head:
        said.reverse()
    part = "".join(said)
    return len(part) if part.strip() and may_say(story, part, text) else 0


def _is_the_authors(note: str, story: str) -> bool:
    """Whether a note has a link, or a word of authors that the `story` does not use."""
    said = story.lower()
    return _LINK.search(note) is not None or any(
        not re.search(rf"\b{re.escape(word)}\b", said) for word in _SITE_WORD.findall(fold(note))
    )


def _is_letter(text: str) -> bool:
    """Whether a text begins as a letter."""
    return any(_SALUTATION.match(line) for line in text[:SALUTATION_CHARS].split("\n"))


def _is_document(story: str) -> bool:
    """Whether a story has the form of a report, a log, a form, a list or a play."""
    lines = [line.strip() for line in story.split("\n") if line.strip()]
    return sum(bool(_formal(line)) for line in lines) >= max(MIN_FORMAL, MIN_FORMAL_SHARE * len(lines))


def _has_form_of(story: str, note: str, text: str) -> bool:
    """Whether a note has lines of a form that lines of the story have: the story is told in posts, mails, edits or under headings,
    and what looks like its note is one more of them."""
    forms = {_form(line) for line in note.split("\n")} - {""}
    if not forms:
        return False
    in_story, in_text = (Counter(map(_form, part.split("\n"))) for part in (story, text))
    return any(in_story[form] and in_text[form] >= MIN_SAME_FORM for form in forms)


def _form(line: str) -> str:
    """What a line has in common with others of its kind, or how a short line begins; "" for prose and dividers."""
    line = line.strip()
    if not line or DIVIDER.fullmatch(line[:MAX_SHORT]):
        return ""
    return _formal(line) or (line[:POST_CHARS] if len(line) <= MAX_SHORT else "")


def _formal(line: str) -> str:
    """The label of a line (`Re:`, `**Day 3.**`), its number, or that it is bold or in brackets; "" for others."""
    if label := _LABEL.match(line):
        return "**:" if line[:2] == "**" and ":**" in line else label[1].lower() + ":"
    if line[0].isdecimal():
        return re.sub(r"\d+", "0", line[:4])[:2]
    return line[0] if line[0] + line[-1] == "[]" or line[:2] == line[-2:] == "**" else ""

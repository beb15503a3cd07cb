"""Finds the ends of sentences."""

import re

END = re.compile(r"[.!?\u2026\u061f\u06d4\u0964]+[”\"’')\]*_]*(?=\s)|[。！？]+[」』”]*")
"""The end of a sentence: its punctuation mark, with quotes and brackets, before white space. The end of a line is none: headings
are no sentences, verse breaks within them, and a model may break off."""

ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Mt|Jr|Sr|Prof|Rev|Gen|Col|Capt|Lt|Sgt|No|vs)|\b[A-Z])\.\Z"
)
"""A full stop after one of these, or after an initial, does not end a sentence."""

LONGEST_ABBREVIATION = 5
"""Characters of the longest abbreviation, with its full stop."""


def last_sentence_end(text: str) -> int:
    """The position after the last complete sentence of `text`, without white space; 0 if there is none.

    A mark at the very end of the text does not count: a quote or a digit may follow.
    """
    return max(sentence_ends(text), default=0)


def sentence_ends(text: str) -> list[int]:
    """The position after each complete sentence, without white space."""
    ends = (match.end() for match in END.finditer(text))
    return [end for end in ends if not ABBREVIATION.search(text, max(0, end - LONGEST_ABBREVIATION), end)]


def last_word_end(text: str) -> int:
    """The position after the last complete word of `text`; the end of a text without white space."""
    words = text.rstrip()
    return len(words) if len(words) < len(text) else len(re.sub(r"\s+\S*\Z", "", text))


def last_line_end(text: str) -> int:
    """The position after the last complete line of `text`, without white space; 0 if there is none."""
    return len(text[: text.rfind("\n") + 1].rstrip())

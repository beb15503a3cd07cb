"""The records that all stages share. This module imports nothing from fabula, so that each stage can be tested
alone."""

import re
from dataclasses import dataclass, field

# Scripts that put no spaces between words, with the mean length of a word in running text, in characters: about 1.6 in
# Chinese, 2.4 in Japanese kana, 4.3 in Thai and its neighbours (combining marks included).
_UNSPACED = (
    (re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"), 1.6),
    (re.compile("[\u3040-\u30ff\u31f0-\u31ff]+"), 2.4),
    (re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+"), 4.3),
)
_ANY_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_ANY_SPACE = re.compile(r"\s")
_ASCII = bytes(range(128))
_SPACE_OR_NOT = bytes(32 if byte < 128 and chr(byte).isspace() else 33 for byte in range(256))


def count_words(text: str) -> int:
    """Number of words: runs of characters between white space. Text in a script without spaces counts by its length."""
    encoded = text.encode(errors="replace")
    # Deleting the ASCII characters first is ten times as fast as searching the whole text.
    rest = "" if text.isascii() else encoded.translate(None, _ASCII).decode()
    if not _ANY_UNSPACED.search(rest):
        if _ANY_SPACE.search(rest):
            return len(text.split())
        marked = encoded.translate(_SPACE_OR_NOT)  # twice as fast as splitting
        return marked.count(b" !") + marked.startswith(b"!")
    num_words = 0.0
    for script, mean_length in _UNSPACED:
        num_words += sum(map(len, script.findall(text))) / mean_length
        text = script.sub(" ", text)
    spaced = sum(any(character.isalnum() for character in word) for word in text.split())
    return spaced + max(1, round(num_words))


@dataclass(frozen=True, slots=True)
class Story:
    """One story.

    Attributes:
        id: hash of the raw text as it was read (32 hexadecimal digits).
        text: the story; a newline between paragraphs.
        source: the file that it came from, as a name relative to what the user gave.
        source_line: 1-based line, row or record in `source` where it starts.
        title: its title, or "".
        cluster: id of the story that represents its cluster of near-duplicates (its own id if it has none), or ""
            before the search for duplicates.
        split: "train", "validation" (or a name found in the input), or "" before the split.
        prompt: what it was written to, or "".
        book: the book that it is a part of, and `part`: its number there, from 1; "" and 0 for a separate story.
    """

    id: str
    text: str
    source: str = ""
    source_line: int = 0
    title: str = ""
    cluster: str = ""
    split: str = ""
    book: str = ""
    part: int = 0
    prompt: str = ""

    @property
    def num_words(self) -> int:
        """See `count_words`."""
        return count_words(self.text)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A proposal: characters `start` to `end` (exclusive) of a story's text are not story.

    Attributes:
        rule: name of the rule that says so.
        confidence: 0 to 1.
    """

    start: int
    end: int
    rule: str = field(compare=False)
    confidence: float = field(compare=False, default=1.0)

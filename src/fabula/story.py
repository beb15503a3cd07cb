"""The records that every step speaks. No imports of its own, so that each step can be tested alone."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Story:
    """One story.

    Attributes:
        id: hash of the raw text as it was read (32 hexadecimal digits).
        text: the story; a newline between paragraphs.
        source: the file that it came from, as a name relative to what the user gave.
        source_line: 1-based line, row or record in `source` at which it starts.
        title: its title, or "".
        cluster: id of the story that stands for its near-duplicates (its own id where it has none), or "" before
            duplicates were looked for.
        split: "train", "validation" (or a name found in the input), or "" before the split.
    """

    id: str
    text: str
    source: str = ""
    source_line: int = 0
    title: str = ""
    cluster: str = ""
    split: str = ""

    @property
    def num_words(self) -> int:
        """Number of runs of characters between white space."""
        return len(self.text.split())


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

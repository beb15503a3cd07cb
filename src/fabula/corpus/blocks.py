"""The parts of a document, whatever its file format: headings, paragraphs and dividers, in reading order."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a document.

    Attributes:
        kind: "heading", "paragraph" or "divider" (a scene break: a ruled line, asterisks, an empty space).
        text: its text, without markup; "" for a divider. A newline is a line break inside the block.
        level: level of a heading, 1 for the highest; 0 for other blocks.
        line: 1-based line in a text file, or number of the block in its document.
    """

    kind: Literal["heading", "paragraph", "divider"]
    text: str
    level: int = 0
    line: int = 1

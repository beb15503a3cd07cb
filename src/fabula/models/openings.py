"""The first words of some training stories: a story that is written without a prompt begins with one of them.

What a base model predicts behind its start token are documents of its pre-training: lists, code, advice. A short training
on long stories hardly changes that, since it sees few beginnings (docs/writing.md, "Stories without a prompt"); after three words
of a story, the model writes a story.
"""

import re
from pathlib import Path

from fabula.config import Record
from fabula.files import read_json, write_json

OPENINGS = "openings.json"

NUM_WORDS = 3
MAX_CHARACTERS = 30
FEW_CHARACTERS = 4
"""An opening is the first `NUM_WORDS` words; the first `FEW_CHARACTERS` characters where words are not separated by spaces."""


class Openings(Record):
    """The file `openings.json` of a model folder.

    Attributes:
        openings: the first words of stories, as often as they occur.
    """

    openings: tuple[str, ...]

    @classmethod
    def of_model(cls, folder: Path) -> "Openings":
        """Those of a model folder; none if it has no such file."""
        path = folder / OPENINGS
        return cls.parse(read_json(path), where=path) if path.is_file() else cls(openings=())

    def write(self, folder: Path) -> None:
        write_json(folder / OPENINGS, self.model_dump(mode="json"))


def first_words(text: str) -> str:
    """The first words of a text, on its first line; "" if there are none."""
    line = text.strip().split("\n")[0]
    match = re.match(rf"\S+(?: \S+){{0,{NUM_WORDS - 1}}}", line)
    words = match[0] if match else ""
    if len(words) > MAX_CHARACTERS:
        words = words.split(" ")[0]
    if len(words) > MAX_CHARACTERS or (not words.isascii() and " " not in line):
        words = line[:FEW_CHARACTERS].rstrip()
    return "" if "\ufffd" in words else words

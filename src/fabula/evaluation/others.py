"""Stories by other authors, with which an author's own are compared."""

import json
import lzma
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from itertools import chain, zip_longest

from fabula.corpus.store import Corpus
from fabula.evaluation.style import FUNCTION_WORDS
from fabula.evaluation.writing import words_of
from fabula.story import Story

FILE = "others.jsonl.xz"

PASSAGE_CHARS = 2000
"""Characters of a story's beginning that are compared."""

MIN_FUNCTION_WORDS = 0.25
"""English prose has about 0.45 of its words among `FUNCTION_WORDS`, other languages below 0.1."""

STRAIGHT = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "…": "...", "—": "--"})

PLAIN_TEXT = re.compile(r"[A-Za-z ,]{50,}")


@dataclass(frozen=True, slots=True)
class Passage:
    """The beginning of a story by another author."""

    author: str
    text: str


def load_others() -> list[Passage]:
    """The bundled beginnings of public-domain stories, the authors by turns, so that the first few are of many."""
    data = (package_files("fabula") / "data" / FILE).read_bytes()
    rows = map(json.loads, lzma.decompress(data).decode().splitlines())
    by_author: dict[str, list[Passage]] = {}
    for row in rows:
        passages = by_author.setdefault(row["author"], [])
        passages.append(Passage(row["author"], row["text"][:PASSAGE_CHARS]))
    by_turns = zip_longest(*by_author.values())
    return [passage for group in by_turns for passage in group if passage is not None]


def find_others(corpus: Corpus, held_out: Sequence[Story]) -> tuple[list[Passage], list[str]]:
    """The passages that the stories of a corpus can be told from, and the bundled authors of whom it holds stories.

    The passages leave these authors out, and have quotation marks and dashes as the corpus writes them. There are none
    where the stories are not in English.
    """
    if not is_english(held_out):
        return [], []
    others = load_others()
    marks = {
        match.group(): passage.author for passage in others if (match := PLAIN_TEXT.search(passage.text))
    }
    known: set[str] = set()
    curly = straight = 0
    for text in chain((story.text for story in held_out), (story.text for story in corpus.stories("train"))):
        curly += text.count("”")
        straight += text.count('"') // 2
        known |= {author for mark, author in marks.items() if author not in known and mark in text}
    others = [passage for passage in others if passage.author not in known]
    if straight > curly:
        others = [Passage(passage.author, passage.text.translate(STRAIGHT)) for passage in others]
    return others, sorted(known)


def why_missing(held_out: Sequence[Story], num_others: int) -> str:
    """The reason why voice was not measured."""
    if num_others == 0:
        return "there was no time for this"
    if not is_english(held_out):
        return "the stories are not in English, unlike those by other authors"
    return "the corpus contains stories by the authors that it would be compared with"


def is_english(stories: Sequence[Story]) -> bool:
    """Whether enough of the words are function words of English."""
    words = [
        word for story in stories[:50] for word in words_of(story.text[:PASSAGE_CHARS]) if word.isalpha()
    ]
    return bool(words) and sum(word in FUNCTION_WORDS for word in words) >= MIN_FUNCTION_WORDS * len(words)

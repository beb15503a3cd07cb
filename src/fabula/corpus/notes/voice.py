"""The author's voice: a logistic regression on the words of a paragraph, so that a note without any sign is heard.

Its weights are plain data (`voice.json`), trained by `benchmarks/notes.py train`.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path

_WORD = re.compile(r"[a-z']+|[0!?]|[:;=]-?[)(dpo]|<3")
_NUMBER = re.compile(r"[0-9][0-9]*")  # begins with one character, so that the search skips all others

Feature = str | tuple[str, str]


def words(folded: str) -> list[str]:
    """The words of a folded text, smileys and `!` and `?` among them, every number as `0`."""
    return _WORD.findall(_NUMBER.sub("0", folded))


def features(words: Sequence[str]) -> Iterator[Feature]:
    """The words and their pairs; `^` and `$` stand before the first and after the last word."""
    return chain(words, zip(["^", *words], [*words, "$"], strict=True))


@cache
def weights() -> dict[Feature, float]:
    """The weight of every known feature; that of "" is the constant term."""
    stored = json.loads(Path(__file__).with_name("voice.json").read_text(encoding="utf-8"))["weights"]
    return {tuple(name.split(" ")) if " " in name else name: weight for name, weight in stored.items()}


def hear(words: Sequence[str]) -> float:
    """Log-odds that these are the words of the author about the text, where notes and story are as common."""
    known = weights()
    return known[""] + math.fsum(map(known.__getitem__, known.keys() & features(words)))

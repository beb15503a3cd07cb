"""A logistic regression on the words of a paragraph. It recognises a note even if no rule finds a sign.

Its weights are plain data (`classifier.json`), trained by `benchmarks/boilerplate.py train`.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path

_WORD = re.compile(r"[a-z']+|[0!?\u263a]|[:;=]-?[)(dpo]|<3")
# each alternative begins with a fixed character, so that the search skips all others
_NUMBER = re.compile(r"[0-9][0-9]*")
_EMOJI = re.compile("[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]\ufe0f?")

Feature = str | tuple[str, str]


def words(folded: str) -> list[str]:
    """The words of a folded text, with smileys, `!` and `?`; every number is `0`, every emoji `\u263a`.

    If all of it is in brackets, these are its first and last word.
    """
    text = _NUMBER.sub("0", folded)
    if not text.isascii():
        text = _EMOJI.sub("\u263a", text)
    found = _WORD.findall(text)
    return ["(", *found, ")"] if text[:1] == "(" and text[-1:] == ")" else found


def features(words: Sequence[str]) -> Iterator[Feature]:
    """The words and their pairs; `^` and `$` mark the beginning and the end."""
    return chain(words, zip(["^", *words], [*words, "$"], strict=True))


@cache
def weights() -> dict[Feature, float]:
    """The weight of every known feature; that of "" is the constant term."""
    stored = json.loads(Path(__file__).with_name("classifier.json").read_text(encoding="utf-8"))["weights"]
    return {tuple(name.split(" ")) if " " in name else name: weight for name, weight in stored.items()}


def log_odds(words: Sequence[str]) -> float:
    """Log-odds that a paragraph of these words is a note, if notes and story were equally common."""
    known = weights()
    return known[""] + math.fsum(map(known.__getitem__, known.keys() & features(words)))

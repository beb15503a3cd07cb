"""The author's voice: a logistic regression on the words of a paragraph, so that a note without any sign is heard.

Its weights are plain data (`voice.json`), trained by `benchmarks/notes.py train`.
"""

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

_TOKEN = re.compile(r"[a-z']+|[0-9]+|[:;=]-?[)(dpo]|<3|[!?]")


def features(folded: str) -> set[str]:
    """The words of a folded paragraph, smileys among them and every number as `0`, and their pairs.

    `^` and `$` stand before the first and after the last word.
    """
    tokens = ["^", *("0" if token[0].isdigit() else token for token in _TOKEN.findall(folded)), "$"]
    return {*tokens[1:-1], *map(" ".join, pairwise(tokens))}


@cache
def weights() -> dict[str, float]:
    """The weight of every known feature; that of "" is the constant term."""
    return json.loads(Path(__file__).with_name("voice.json").read_text(encoding="utf-8"))["weights"]


def hear(folded: str) -> float:
    """Log-odds that a folded paragraph is spoken by the author about the text, where notes and story are as common."""
    known = weights()
    return known[""] + sum(known[feature] for feature in features(folded) if feature in known)

"""Defines rules: a name, a sentence of documentation, and the signs of one kind of text that is not story.

A rule only proposes. Its signs are tried on one *folded* paragraph (see `paragraphs.fold`: lower case, straight quotes,
no Markdown marks, no quoted text), and each adds evidence in log-odds that the paragraph
is a note. Only `detect.py` decides.
"""

import re
from dataclasses import dataclass, field
from re import Pattern

# Evidence in log-odds (natural logarithm of the odds). In plain prose, CERTAIN and STRONG are enough for a paragraph;
# LIKELY needs a divider before it, a neighbour or a second sign; a HINT only adds to others.
CERTAIN, STRONG, LIKELY, HINT = 7.0, 4.5, 2.8, 1.2


@dataclass(frozen=True)
class Sign:
    """A pattern to search for in a folded paragraph, and the evidence (log-odds) that it adds.

    `keys` are plain strings of which one must occur before the pattern is tried: they make the search fast.
    """

    evidence: float
    keys: tuple[str, ...]
    pattern: Pattern[str]


@dataclass(frozen=True)
class Rule:
    """One kind of text that is not story.

    Attributes:
        name: its name in the ledger, in `--keep` and in the docs.
        doc: one sentence for the documentation.
        sets: the rule sets that hold it.
        signs: what it searches for. The strongest sign found counts.
        where: "both" ends of a story, or only its "head".
        examples: notes that the rule finds, for the docs.
    """

    name: str
    doc: str
    sets: tuple[str, ...]
    signs: tuple[Sign, ...] = field(repr=False)
    where: str = "both"
    examples: tuple[str, ...] = ()


def sign(evidence: float, keys: str, *patterns: str) -> Sign:
    return Sign(evidence, tuple(keys.split("|")), re.compile("|".join(patterns)))


# All repeats are bounded, so that no pattern takes long on any text.
LEAD = r"^[\s(\[{<>#|:;.,+&-]{0,12}"  # what may precede a label: brackets, bullets, the mark of a block quote

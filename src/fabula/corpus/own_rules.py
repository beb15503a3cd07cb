"""The user's own rules, from a TOML file:

base = "reddit"            # the rule set to start from
keep = ["part_link"]       # rules of that set that are not applied

[rules.newsletter]
pattern = '(?i)my newsletter|mailchi\\.mp'
where = "tail"
"""

import re
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, field_validator

from fabula.config import Record
from fabula.story import Span

NEAR = 5
"""Number of paragraphs at each end of a story that "head" and "tail" search."""


class OwnRule(Record):
    """A pattern that recognises a paragraph that is not story."""

    pattern: Annotated[
        str, Field(min_length=1, description="Regular expression, searched in each paragraph.")
    ]
    where: Annotated[
        Literal["head", "tail", "anywhere"],
        Field(
            description="head: among the first 5 paragraphs, and what stands before it goes, too; tail: among the last "
            "5, with what follows it; anywhere: that paragraph alone."
        ),
    ] = "anywhere"
    confidence: Annotated[float, Field(ge=0, le=1, description="How sure it is, for the review.")] = 0.9

    @field_validator("pattern")
    @classmethod
    def compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"this is not a regular expression ({error})") from None
        return pattern


class RuleFile(Record):
    """The contents of a file for `--rules`."""

    base: Annotated[str, Field(description="Rule set to begin with; none for these rules alone.")] = "auto"
    keep: Annotated[tuple[str, ...], Field(description="Rules of it whose findings stay in.")] = ()
    rules: dict[str, OwnRule] = Field(default_factory=dict, description="Rules, by name.")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def find_own(text: str, rules: dict[str, OwnRule]) -> list[Span]:
    """The spans that the rules propose; they may overlap."""
    paragraphs, position = [], 0
    for line in text.split("\n"):
        if line.strip():
            paragraphs.append((position, position + len(line)))
        position += len(line) + 1
    spans = []
    for name, rule in rules.items():
        pattern = _compiled(rule.pattern)
        looked_at = {"head": paragraphs[:NEAR], "tail": paragraphs[-NEAR:], "anywhere": paragraphs}[
            rule.where
        ]
        found = [place for place in looked_at if pattern.search(text[slice(*place)])]
        if found and rule.where == "head":
            found = [(0, found[-1][1])]
        elif found and rule.where == "tail":
            found = [(found[0][0], len(text))]
        spans += [Span(start, end, name, rule.confidence) for start, end in found]
    return spans

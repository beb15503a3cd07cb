"""Checks all options for a corpus, and chooses those that were not set."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fabula.corpus import split
from fabula.corpus.boilerplate import RULE_SETS, RULES, choose_rule_set
from fabula.corpus.ledger import Decided, read_decisions
from fabula.corpus.options import CleaningOptions, ReadingOptions
from fabula.corpus.own_rules import RuleFile
from fabula.corpus.read import StorySource, open_stories
from fabula.corpus.stages import Cleaning
from fabula.errors import FabulaError, did_you_mean
from fabula.files import fingerprint, hash_file
from fabula.progress import OnProgress, Progress

NUM_SAMPLED = 400
"""Number of stories from which the rule set is chosen."""


@dataclass(frozen=True)
class Plan:
    """Everything that determines a corpus.

    Attributes:
        source: the stories.
        cleaning: the resolved settings.
        decisions: a person's decisions, by story id, and `decisions_hash` of their file (or "").
        rule_set_reason: why the rule set was chosen.
        force: whether the stories are accepted even if most of them are not text.
    """

    source: StorySource
    cleaning: Cleaning
    decisions: Mapping[str, list[Decided]]
    decisions_hash: str
    rule_set_reason: str
    force: bool = False

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Hash of each input, by its role."""
        hashes = {"stories": self.source.fingerprint}
        return hashes | ({"decisions": self.decisions_hash} if self.decisions_hash else {})

    @cached_property
    def fingerprint(self) -> str:
        """A fingerprint, equal for plans that make the same corpus."""
        return fingerprint([self.inputs, self.cleaning.model_dump(mode="json"), _code()])


def resolve(
    stories: str | Path | Sequence[str | Path],
    options: CleaningOptions,
    reading: ReadingOptions,
    decisions: str | Path | None,
    on_progress: OnProgress,
) -> Plan:
    """The plan of a corpus.

    Raises:
        FabulaError: an option has a bad value, or the input cannot be read.
    """
    source = open_stories(stories, **reading.model_dump(exclude={"force"}))
    split.parse_ratios(options.split)
    on_progress(Progress("clean", message=source.description))
    own = RuleFile.read(options.rules) if options.rules.endswith(".toml") else RuleFile(base=options.rules)
    keep = sorted({*options.keep, *own.keep})
    for rule in keep:
        if rule not in RULES:
            raise FabulaError(f"unknown rule {rule!r}", where="--keep", hint=did_you_mean(rule, RULES))
    rule_set, reason = _choose_rules(own.base, source)
    if own.base == "auto":
        on_progress(Progress("clean", message=f"rules: {rule_set} ({reason})"))
    chosen = options.model_dump() | {"rules": rule_set, "own": own.rules, "keep": keep}
    return Plan(
        source,
        Cleaning.parse(chosen),
        read_decisions(decisions) if decisions is not None else {},
        hash_file(decisions) if decisions is not None else "",
        reason,
        reading.force,
    )


def _choose_rules(rules: str, source: StorySource) -> tuple[str, str]:
    """The name of the rule set, and why it was chosen."""
    if rules != "auto":
        if rules not in RULE_SETS:
            raise FabulaError(
                f"unknown rule set {rules!r}", where="--rules", hint=did_you_mean(rules, ["auto", *RULE_SETS])
            )
        return rules, "named by you"
    ranges = list(itertools.islice(source.ranges(), 100_000))
    count = min(len(ranges), 40)
    spread = [ranges[len(ranges) * part // count] for part in range(count)]
    texts = [
        story.text
        for part in spread
        for story in itertools.islice(source.read(part), NUM_SAMPLED // len(spread))
    ]
    return choose_rule_set(texts)


def _code() -> str:
    """Hash of this package's code, so that a corpus is made again when the rules have changed."""
    here = Path(__file__).parent
    files = sorted(file for file in here.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return fingerprint([[file.relative_to(here).as_posix(), hash_file(file)] for file in files])

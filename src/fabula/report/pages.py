"""The templates of the pages, and their common parts."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fabula.formatting import (
    count_stories,
    format_duration,
    format_estimate,
    format_interval,
    format_number,
    format_percent,
)
from fabula.report.facts import state_settings
from fabula.results import Estimate, Evaluation

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Measure:
    """How a measure of writing is shown.

    Attributes:
        name: the field of `WritingMeasures`.
        digits: after the decimal point, where it is not shown in per cent.
    """

    name: str
    label: str
    meaning: str
    digits: int = 0
    percent: bool = False

    def of(self, measures: Any) -> Estimate | None:
        """This measure of a set of stories; one of the whole set has no interval."""
        value = getattr(measures, self.name)
        return Estimate(value=value) if isinstance(value, float) else value

    def show(self, measures: Any) -> str:
        """ "12.5 % (10.0 % to 15.0 %)"."""
        estimate = self.of(measures)
        return "–" if estimate is None else format_estimate(estimate, self.digits, percent=self.percent)


MEASURES = (
    Measure("looping_share", "Stories that loop", "get stuck and repeat themselves", percent=True),
    Measure(
        "repeated_4grams",
        "Repeated 4-grams",
        "four-word phrases that a story has used before",
        percent=True,
    ),
    Measure(
        "ended_share",
        "Stories that end",
        "at the end of a sentence, before the length limit",
        percent=True,
    ),
    Measure("mean_words", "Words in a story", "up to the length limit"),
    Measure("distinct_2", "Distinct 2-grams", "different word pairs divided by all word pairs", percent=True),
    Measure(
        "distinct_3", "Distinct 3-grams", "different word triples divided by all word triples", percent=True
    ),
    Measure(
        "compression_ratio",
        "Compression ratio",
        "how much smaller the text becomes by compression; higher means more alike",
        2,
    ),
    Measure("self_bleu", "Self-BLEU", "how much each story consists of phrases from the others", 3),
    Measure("new_words", "New words", "words that occur in no training story", percent=True),
    Measure("non_words", "Non-words", "new words that are in no list of the language's words", percent=True),
    Measure("zipf_slope", "Zipf slope", "how word frequencies fall off with rank", 2),
)


def nearest_to_people(evaluation: Evaluation) -> dict[str, int | None]:
    """The index of the model that is nearest to people, for each measure of writing; None if none or several are."""
    return {measure.name: _nearest(evaluation, measure) for measure in MEASURES}


def _nearest(evaluation: Evaluation, measure: Measure) -> int | None:
    people = measure.of(evaluation.human.measures) if evaluation.human else None
    values = [measure.of(model.writing.measures) if model.writing else None for model in evaluation.models]
    if people is None or len(values) < 2:
        return None
    away = [abs(value.value - people.value) for value in values if value is not None]
    if len(away) < len(values):
        return None
    nearest, second = sorted(away)[:2]
    return away.index(nearest) if nearest < second else None


def environment() -> Any:
    """The environment of the templates; everything that is inserted into them is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "code": code,
        "duration": format_duration,
        "interval": format_interval,
        "number": format_number,
        "options": options,
        "percent": format_percent,
        "settings": state_settings,
        "stories": count_stories,
    }
    return templates


def options(text: str) -> Markup:
    """Text in which the options of a command, such as `--base`, are set as code and not broken over lines."""
    parts = re.split(r"(--[a-z-]+)", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in enumerate(parts)
    )


def code(text: str) -> Markup:
    """Text in which what is between backticks is set as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 and index < len(parts) - 1 else part
        for index, part in enumerate(parts)
    )

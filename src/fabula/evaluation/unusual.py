"""Training stories that a model predicts unlike the others: another language, lists, markup, boilerplate."""

from collections.abc import Sequence

import numpy as np

from fabula.evaluation.likelihood import TextScores
from fabula.formatting import shorten
from fabula.results import UnusualStory
from fabula.story import Story

MIN_ROBUST_Z = 5.0
"""A story is unusual from this distance on, in either direction."""

MAX_SHOWN = 8
MIN_STORIES = 8
"""A median of fewer stories means little."""

MIN_BYTES = 200
"""The first words of a story are hard to predict, so shorter texts always seem unusual."""

FIRST_LINE_CHARS = 70


def find_unusual(stories: Sequence[Story], scores: TextScores) -> tuple[float, list[UnusualStory]]:
    """The median of bits per byte, and the stories that are far from it, at most `MAX_SHOWN`, the farthest first.

    Far above it are other languages and lists; far below it is text that repeats itself, such as markup, or that the base
    has read. Distances are robust z-scores (Iglewicz and Hoaglin 1993) of the logarithm, because bits per byte are skewed. The
    unusual stories cannot hide each other, since they move neither the median nor the median absolute deviation much.

    Args:
        stories: training stories.
        scores: of these stories, under the model that was trained on them.
    """
    bits = scores.nats / np.log(2) / np.maximum(1, scores.num_bytes)
    counted = (scores.num_bytes >= MIN_BYTES) & (bits > 0)
    if counted.sum() < MIN_STORIES:
        return float(np.median(bits)) if len(bits) else 0.0, []
    logs = np.log(np.maximum(bits, 1e-9))
    median = np.median(logs[counted])
    deviation = 1.4826 * np.median(np.abs(logs[counted] - median))
    z = np.where(counted, (logs - median) / max(deviation, 1e-3), 0.0)
    found = [
        UnusualStory(
            id=story.id,
            source=story.source,
            source_line=story.source_line,
            first_line=shorten(story.text.strip().partition("\n")[0], FIRST_LINE_CHARS),
            bits_per_byte=float(bits[index]),
            robust_z=float(z[index]),
        )
        for index, story in enumerate(stories)
        if abs(z[index]) >= MIN_ROBUST_Z
    ]
    found.sort(key=lambda each: (-abs(each.robust_z), each.id))
    return float(np.exp(median)), found[:MAX_SHOWN]

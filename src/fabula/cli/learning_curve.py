"""The learning curve of `fabula evaluate` in the terminal."""

from pathlib import Path

from fabula.cli.terminal import say
from fabula.formatting import format_estimate
from fabula.install import command
from fabula.results import LearningCurve

ID_CHARS = 12
"""Beginning of a story's id that is shown: enough to find it."""


def print_learning_curve(curve: LearningCurve, corpus: Path) -> None:
    """Print the curve as a table, what it says, and the unusual training stories."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ("training stories", "words", "steps", "bits per byte", "minus that of all"):
        table.add_column(header, no_wrap=True, justify="right")
    for point in curve.points:
        table.add_row(
            f"{point.num_stories:,}",
            f"{point.num_words:,}",
            f"{point.num_steps:,}",
            format_estimate(point.bits_per_byte),
            format_estimate(point.difference) if point.difference else "",
        )
    say(
        f"Would more stories help? Scored on {curve.num_held_out:,} held-out stories. In brackets: 95 % intervals over"
        " stories; differences are paired."
    )
    console = Console()
    Console(width=None if console.is_terminal else 300).print(table)
    say(curve.conclusion)
    print()
    say(describe_unusual(curve))
    for story in curve.unusual:
        how = "harder" if story.robust_z > 0 else "easier"
        print(
            f"  {how}: {story.bits_per_byte:.3f} bits per byte (robust z {story.robust_z:.1f})  {story.first_line}\n"
            f"    {story.source}, line {story.source_line:,}; {command('restore', corpus, story.id[:ID_CHARS])}"
        )


def describe_unusual(curve: LearningCurve) -> str:
    """How many training stories stand out, in a sentence."""
    if not curve.num_read:
        return "No training story was searched for another language or boilerplate: the time was too short."
    found, read = len(curve.unusual), f"{curve.num_read:,} training stories"
    median = f"the median is {curve.median_bits_per_byte:.3f} bits per byte"
    if not found:
        return f"None of {read} stands out ({median})."
    which = "1 stands" if found == 1 else f"{found} stand"
    return (
        f"Of {read}, {which} out ({median}). Much harder to predict are another language, lists and other authors; much"
        " easier is text that repeats itself, such as markup, or that the base has read."
    )

"""`fabula compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fabula.report.blind import Ballot

CHOICES = {"a": 0, "b": 1, "=": None}


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folders of finished runs.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("comparison.html"),
    blind: Annotated[
        bool,
        typer.Option(
            "--blind",
            help="First show pairs of stories without names, ask which is better, and save the votes beside the page.",
        ),
    ] = False,
) -> None:
    """Compare several runs on one page.

    It shows their verdicts, curves, figures with intervals, and sample stories.
    """
    from fabula.report.compare import compare as compare_runs
    from fabula.report.compare import open_ballot

    if blind:
        ask(open_ballot(runs, out))
    print(compare_runs(runs, out=out))


def ask(ballot: "Ballot") -> None:
    """Show the pairs without a vote one after the other, until the user stops."""
    from fabula.report.blind import show

    if not ballot.pairs:
        print("These runs have no two stories from the same opening and seed.")
        return
    left = list(ballot.left())
    for number, pair in enumerate(left, 1):
        print(f"\nPair {number} of {len(left)}\n\n{show(pair)}\n")
        answer = ""
        while answer not in (*CHOICES, "q"):
            try:
                answer = (
                    input("Which would you rather read on? a, b, = for no difference, q to stop: ")
                    .strip()
                    .lower()
                )
            except EOFError:
                answer = "q"
        if answer == "q":
            break
        ballot.add(pair, CHOICES[answer])
    print()
    for sentence in ballot.results():
        print(sentence)

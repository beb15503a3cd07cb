"""What each value of the default recipe is worth: one training for each change to it, on one corpus and base.

    python benchmarks/training_sweep.py CORPUS --base BASE --out FOLDER learning_rate=3e-4 learning_rate=1e-3 \\
        dropout=0.1 num_epochs=6,dropout=0.1

The first row is the recipe as it is. Each other argument is one row: fields of the recipe that are set otherwise. Rows
that are there already are not trained again. Prints a table in Markdown: held-out bits per byte before and after, the
step of the best weights, and seconds.
"""

import argparse
import tomllib
from pathlib import Path

from fabula.training.recipe import Recipe, load_recipe
from fabula.training.train import train


def parse_change(text: str) -> dict:
    """ "a=1,b='x'" as a dict."""
    return tomllib.loads(text.replace(",", "\n"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("changes", nargs="*")
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--init")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--max-minutes", type=float)
    parser.add_argument("--only", action="store_true", help="leave out the row of the recipe as it is")
    arguments = parser.parse_intermixed_args()
    print("| change | before | after | best step of | seconds |")
    print("|---|---|---|---|---|")
    for change in [*([] if arguments.only else [""]), *arguments.changes]:
        recipe = Recipe.parse({**load_recipe(arguments.recipe).model_dump(), **parse_change(change)})
        name = change.replace("=", "-").replace(",", "-").replace("'", "") or "as-it-is"
        result = train(
            arguments.corpus,
            arguments.out / name,
            base=None if arguments.init else arguments.base,
            init=arguments.init,
            recipe=recipe,
            max_minutes=arguments.max_minutes,
        )
        print(
            f"| {change or 'as it is'} | {result.counts.base_bits_per_byte:.4f} | {result.counts.bits_per_byte:.4f} |"
            f" {result.counts.best_step} of {result.counts.num_steps} | {result.seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

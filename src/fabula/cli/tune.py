"""`fabula tune`."""

from pathlib import Path
from typing import Annotated

import typer

from fabula.defaults import MAX_COPIED, NUM_SETTINGS, NUM_TUNING_STORIES, SEED, TUNING_TOKENS


def tune(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Folder of a model.", show_default=False)],
    corpus: Annotated[
        Path,
        typer.Argument(
            help="The corpus that it was trained on, as fabula clean makes it.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="A folder for tuning.json.", show_default="the model's")
    ] = None,
    num_settings: Annotated[
        int, typer.Option(help="Settings to try of each of the five samplers.", min=1, max=NUM_SETTINGS)
    ] = NUM_SETTINGS,
    num_stories: Annotated[
        int, typer.Option(help="Stories to write with each of the settings.", min=2)
    ] = NUM_TUNING_STORIES,
    max_new_tokens: Annotated[int, typer.Option(help="The longest of these stories.", min=8)] = TUNING_TOKENS,
    max_copied: Annotated[
        float, typer.Option(help="Share of text that may be copied from training stories.", min=0, max=1)
    ] = MAX_COPIED,
    seed: Annotated[int, typer.Option(help="Seed of the first of these stories.", min=0)] = SEED,
    json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Choose the sampling settings with which a model writes most like people, and keep them with the model."""
    from fabula.pipeline.tune import tune as tune_model
    from fabula.report.render import state_settings

    with context.obj as terminal:
        tuning = tune_model(
            model,
            corpus,
            out=out,
            num_settings=num_settings,
            num_stories=num_stories,
            max_new_tokens=max_new_tokens,
            max_copied=max_copied,
            seed=seed,
            on_progress=terminal,
        )
    if json:
        print(tuning.model_dump_json(indent=2))
        return
    chosen = tuning.candidates[tuning.chosen]
    print("distance  copied  settings")
    for candidate in sorted(tuning.candidates, key=lambda candidate: candidate.distance):
        mark = "  <- chosen" if candidate is chosen else ""
        print(
            f"{candidate.distance:8.2f}  {100 * candidate.copied_share:4.1f} %  {state_settings(candidate.settings)}{mark}"
        )
    if chosen.copied_share > tuning.copied_limit:
        print(
            f"All copy more than {100 * tuning.copied_limit:.1f} % of their text from training stories;"
            " the one that copies least was chosen."
        )
    print(
        f"people copy {100 * tuning.human_copied_share:.1f} %; written to the model's generation_config.json"
    )

"""`fabula serve`."""

import typer

from fabula.cli.options import ModelArgument, with_options
from fabula.serving.settings import ServeSettings


@with_options
def serve(
    context: typer.Context,
    model: ModelArgument,
    settings: ServeSettings,
) -> None:
    """Serve a page for writing with a model, or an API."""
    from fabula.serving.serve import model_name
    from fabula.serving.serve import serve as serve_model

    def say(address: str) -> None:
        said = (
            f"Completions at {address} with model {model_name(model)!r}"
            if settings.api
            else f"Write at {address}"
        )
        print(f"{said}  (Ctrl-C stops)", flush=True)

    with context.obj as terminal:
        serve_model(model, on_ready=say, on_progress=terminal, **dict(settings))

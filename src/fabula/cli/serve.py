"""`fabula serve`."""

from pathlib import Path
from typing import Annotated

import typer

from fabula.defaults import HOST, PORT
from fabula.install import missing_extra


def serve(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Folder of a model or of a run.", show_default=False)],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = HOST,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = PORT,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="Mark what is copied from these training stories.", show_default="the corpus of the run"
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="What runs the model: auto takes the fastest that is installed.")
    ] = "auto",
    max_new_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Longest passage that is written at once.", show_default="400"),
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="Longest time that one passage may take.", show_default="60"),
    ] = None,
    max_per_minute: Annotated[
        int | None,
        typer.Option(min=1, help="Passages that one visitor may ask for in a minute.", show_default="60"),
    ] = None,
    api: Annotated[
        bool,
        typer.Option(
            "--api", help="No page: answer programs that speak OpenAI's completions API (/v1/completions)."
        ),
    ] = False,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="Trust the X-Forwarded-For header for visitors' addresses.")
    ] = False,
) -> None:
    """Show a page where anyone writes with a model."""
    if api:
        serve_completions(context, model, host=host, port=port, engine=engine)
        return
    from fabula.serving.limits import Limits
    from fabula.serving.serve import serve as serve_page

    changes = {"max_new_tokens": max_new_tokens, "max_seconds": max_seconds, "max_per_minute": max_per_minute}
    limits = Limits.parse({name: value for name, value in changes.items() if value is not None})
    with context.obj as terminal:
        serve_page(
            model,
            host=host,
            port=port,
            corpus=corpus,
            engine=engine,
            limits=limits,
            behind_proxy=behind_proxy,
            on_ready=lambda address: print(f"Write at {address}  (Ctrl-C stops)", flush=True),
            on_progress=terminal,
        )


def serve_completions(context: typer.Context, model: str, *, host: str, port: int, engine: str) -> None:
    try:
        from fabula.serving.api import serve_api
    except ModuleNotFoundError as error:
        if error.name not in ("uvicorn", "starlette"):
            raise
        raise missing_extra("the API needs a web server that is not installed", "serve") from None
    with context.obj as terminal:
        serve_api(
            model,
            host=host,
            port=port,
            engine=engine,
            on_ready=lambda address: print(f"Completions at {address}  (Ctrl-C stops)", flush=True),
            on_progress=terminal,
        )

"""`fabula publish`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.options import ModelArgument
from fabula.cli.terminal import say
from fabula.install import quote_command


def publish(
    context: typer.Context,
    model: ModelArgument,
    repo: Annotated[
        str | None, typer.Option(help="Model repository on the hub: user/name.", show_default=False)
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Space on the hub: user/name.", show_default=False)
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository and the Space private.")
    ] = False,
    dry_run: Annotated[
        Path | None,
        typer.Option(help="Write and check everything in this folder; upload nothing.", show_default=False),
    ] = None,
    static: Annotated[
        Path | None,
        typer.Option(
            help="Write a site into this folder that runs the model in the visitor's browser and works on any web host.",
            show_default=False,
        ),
    ] = None,
    vendor: Annotated[
        bool,
        typer.Option(
            "--vendor/--cdn",
            help="Include the libraries in the static site, or let the visitor's browser load them from a CDN.",
        ),
    ] = True,
    license: Annotated[
        str | None,
        typer.Option(
            help="Licence of the model, by its name on the hub, such as cc-by-4.0. Required.",
            show_default=False,
        ),
    ] = None,
    corpus_license: Annotated[
        str | None,
        typer.Option(help="Licence of the stories that it was trained on. Required.", show_default=False),
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway",
            help="Publish a model whose evaluation does not show that it learned anything; its card says so.",
        ),
    ] = False,
    clean_check: Annotated[
        bool,
        typer.Option(
            "--clean-check",
            help="Test the Space in a new environment made from its requirements (takes minutes).",
        ),
    ] = False,
) -> None:
    """Publish a model on the Hugging Face hub, or as a static site.

    The Space is started and tested before anything is uploaded.
    """
    from fabula.publishing.publish import publish as publish_model

    with context.obj as terminal:
        if static is not None:
            from fabula.publishing.static import LARGE_MODEL_BYTES, publish_static

            site = publish_static(
                model,
                static,
                license=license,
                corpus_license=corpus_license,
                vendored=vendor,
                anyway=anyway,
                on_progress=terminal,
            )
            library = f"{site.library_bytes / 1e6:.1f} MB" if vendor else "from a CDN"
            print(
                f"Site: {site.folder} (model {site.model_bytes / 1e6:.1f} MB, library {library},"
                f" page {site.page_bytes / 1e3:.0f} kB)"
            )
            if site.model_bytes > LARGE_MODEL_BYTES:
                say(
                    "Note: each visitor downloads this model once, and a browser writes only a few words a second with it;"
                    " on a server (--space, or `fabula serve`) it writes many times faster"
                )
            if repo is None and space is None and dry_run is None:
                server = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]
                print(f"Try it: {quote_command([*server, '--directory', str(site.folder)])}")
                return
        result = publish_model(
            model,
            repo=repo,
            space=space,
            private=private,
            dry_run=dry_run,
            license=license,
            corpus_license=corpus_license,
            anyway=anyway,
            clean_check=clean_check,
            on_progress=terminal,
        )
    if result.sample is not None:
        print(f"The Space works; it wrote: Once upon a time,{result.sample}")
    for url in result.urls:
        print(f"Published: {url}")
    if result.model is not None:
        print(f"Model repository: {result.model}")
        print(f"Space:            {result.space}")
        say(
            "Nothing was uploaded. To publish, name --repo user/name and --space user/name instead of --dry-run."
        )

"""Serving the page or the API until it is stopped."""

import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from fabula.corpus.copies import MIN_CHARS, CopyIndex
from fabula.errors import FabulaError
from fabula.generation.engine import Engine
from fabula.generation.engines import load_engine
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import write_stories
from fabula.install import missing_extra
from fabula.models.find import locate_model
from fabula.models.records import ModelRecords
from fabula.progress import OnProgress, Progress, silent
from fabula.serving.settings import Limits, ServeSettings


def serve(
    model: str | Path,
    *,
    on_ready: Callable[[str], None] | None = None,
    on_progress: OnProgress = silent,
    **settings: Any,
) -> None:
    """Serve a page for writing with a model, or an API. Returns when it is stopped (Ctrl-C).

    Args:
        model: folder of a model or of a run. The folder's name is the model's name in the API.
        on_ready: called with the address once it is listening.
        settings: see `ServeSettings`.

    Raises:
        FabulaError: a bad setting, no such model or corpus, the port is taken, or the `serve` extra is not installed.
    """
    chosen = ServeSettings.parse(settings, where="serve")
    check_server()
    folder = locate_model(model)
    with listen(chosen.host, chosen.port) as listening:
        app = _application(folder, chosen, on_progress)
        if on_ready is not None:
            on_ready(address_of(chosen.host, listening) + ("v1" if chosen.api else ""))
        run_server(app, listening, behind_proxy=chosen.behind_proxy)


def check_server() -> None:
    """
    Raises:
        FabulaError: the `serve` extra is not installed.
    """
    try:
        for name in ("starlette", "uvicorn"):
            import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in ("uvicorn", "starlette"):
            raise
        raise missing_extra("serving needs a web server, which is not installed", "serve") from None


def address_of(host: str, listening: socket.socket) -> str:
    """The address of a server that listens, for this machine's browser."""
    shown = {"0.0.0.0": "127.0.0.1"}.get(host, host)
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{listening.getsockname()[1]}/"


def run_server(app: Any, listening: socket.socket, *, behind_proxy: bool = False) -> None:
    """Serve an application until it is stopped (Ctrl-C)."""
    import uvicorn

    from fabula.serving.guard import MAX_CONNECTIONS, TimedProtocol

    # asyncio warns of every visitor who leaves while the model writes.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=behind_proxy,
        forwarded_allow_ips="*" if behind_proxy else None,
        server_header=False,
        timeout_graceful_shutdown=2,
        limit_concurrency=MAX_CONNECTIONS,
    )
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after an orderly end
        uvicorn.Server(config).run(sockets=[listening])


def _application(folder: Path, settings: ServeSettings, on_progress: OnProgress) -> Any:
    from fabula.serving.api import make_api
    from fabula.serving.app import Place, make_app
    from fabula.serving.guard import hosts_for

    limits = Limits.parse(settings.model_dump(include=set(Limits.model_fields)))
    records, problem = ModelRecords.readable(folder)
    if problem:
        on_progress(Progress("serve", message=problem))
    engine = load_warm(folder, settings.engine, on_progress)
    engine.copies = load_copies(settings.corpus or records.corpus_folder, on_progress)
    writing = guarded(SamplingSettings.of_model(folder), records, engine.copies)
    if settings.api:
        hosts = hosts_for(settings.host)
        return make_api(engine, model_name(folder), settings=writing, hosts=hosts, limits=limits)
    place = Place(hosts_for(settings.host), settings.framed_by, settings.guess)
    return make_app(engine, records, settings=writing, limits=limits, copies=engine.copies, place=place)


def guarded(settings: SamplingSettings, records: ModelRecords, copies: CopyIndex | None) -> SamplingSettings:
    """These settings with the copy guard, if the training stories are available and not the bundled ones."""
    is_bundled = records.run is not None and records.run.arguments.stories is None
    if copies is None or is_bundled or settings.copy_guard:
        return settings
    return settings.with_changes(copy_guard=MIN_CHARS)


def load_warm(folder: Path, name: str = "auto", on_progress: OnProgress = silent) -> Engine:
    """An engine that has written once, so that the first visitor does not wait for its initialisation."""
    engine = load_engine(folder, name, on_progress=on_progress)
    write_stories(engine, ["Once upon a time, the"], settings=SamplingSettings(max_new_tokens=2), seeds=[0])
    return engine


def model_name(model: str | Path) -> str:
    """The name of a model in the API: the name of its run, or of its folder."""
    folder = locate_model(model)
    return folder.parent.resolve().name if folder.name == "model" else folder.resolve().name


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        FabulaError: the address is not this machine's, or the port is taken.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise FabulaError(f"port {port} is in use", hint=f"use another one: --port {port + 1}") from None
        raise FabulaError(f"cannot listen on {host}:{port} ({error.strerror or error})") from None
    return listening


def load_copies(corpus: str | Path | None, on_progress: OnProgress) -> CopyIndex | None:
    """The index of the training stories, or None if they are not available or too large."""
    copies = None if corpus is None else CopyIndex.of_corpus(corpus)
    if corpus is not None and copies is None:
        on_progress(
            Progress(
                "serve",
                message="copied passages are neither marked nor prevented, because there are too many training stories",
            )
        )
    return copies

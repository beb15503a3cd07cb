"""Serving the page until it is stopped."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fabula.defaults import HOST, PORT
from fabula.errors import FabulaError
from fabula.install import missing_extra
from fabula.models.records import ModelRecords
from fabula.progress import OnProgress, Progress, silent
from fabula.serving.limits import Limits


def serve(
    model: str | Path,
    *,
    host: str = HOST,
    port: int = PORT,
    corpus: str | Path | None = None,
    engine: str = "auto",
    limits: Limits | None = None,
    behind_proxy: bool = False,
    framed_by: tuple[str, ...] = (),
    on_ready: Callable[[str], None] | None = None,
    on_progress: OnProgress = silent,
) -> None:
    """Show a page where anyone writes with a model. Returns when it is stopped (Ctrl-C).

    Args:
        model: folder of a model or of a run.
        host: address to listen on. Only this machine can reach the default one; "0.0.0.0" is for everyone.
        port: 0 takes a free one.
        corpus: training stories that copied passages are marked from; None takes the corpus of the model's run, if
            there is one.
        engine: as for `fabula.write`.
        limits: what one visitor may ask for; None for the defaults.
        behind_proxy: take visitors' addresses from the X-Forwarded-For header. Only where a proxy sets it.
        framed_by: sites that may show the page in a frame.
        on_ready: called with the page's address once it answers.

    Raises:
        FabulaError: no such model or corpus, the port is taken, or the `serve` extra is not installed.
    """
    try:
        import uvicorn

        from fabula.serving.app import Place, make_app
        from fabula.serving.guard import MAX_CONNECTIONS, PatientProtocol, hosts_for
    except ModuleNotFoundError as error:
        if error.name not in ("uvicorn", "starlette"):
            raise
        raise missing_extra("the page needs a web server that is not installed", "serve") from None
    from fabula.generation.engines import load_engine
    from fabula.models.load import locate_model

    folder = locate_model(model)
    listening = listen(host, port)
    with listening:
        records = ModelRecords.of(folder)
        copies = load_copies(corpus or records.corpus_folder, on_progress)
        loaded = load_engine(folder, engine, on_progress=on_progress)
        place = Place(hosts=hosts_for(host), framed_by=framed_by)
        app = make_app(loaded, records, limits=limits, copies=copies, place=place)
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            log_level="warning",
            access_log=False,
            proxy_headers=behind_proxy,
            forwarded_allow_ips="*" if behind_proxy else None,
            server_header=False,
            timeout_graceful_shutdown=2,
            limit_concurrency=MAX_CONNECTIONS,
        )
        server = uvicorn.Server(config)
        if on_ready is not None:
            shown = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host
            on_ready(f"http://{shown}:{listening.getsockname()[1]}/")
        with suppress(KeyboardInterrupt):  # uvicorn raises it again once it has ended in good order
            server.run(sockets=[listening])


def listen(host: str, port: int):
    """A socket that listens.

    Raises:
        FabulaError: the address is not this machine's, or the port is taken.
    """
    import errno
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise FabulaError(f"port {port} is in use", hint=f"take another: --port {port + 1}") from None
        raise FabulaError(f"cannot listen on {host}:{port} ({error.strerror or error})") from None
    return listening


def load_copies(corpus: str | Path | None, on_progress: OnProgress):
    """The index of the training stories, or None where there are none at hand or too many."""
    if corpus is None:
        return None
    from fabula.corpus.store import open_corpus
    from fabula.serving.copies import MAX_INDEX_BYTES, CopyIndex

    opened = open_corpus(corpus)
    if sum(len(story.text) for story in opened.stories("train")) > MAX_INDEX_BYTES:
        on_progress(
            Progress("serve", message="copied passages are not marked: the training stories are too many")
        )
        return None
    return CopyIndex(opened.stories("train"))

"""`fabula serve --api`: completions over HTTP, in the form of OpenAI's API, for programs that speak it.

`GET /v1/models`, `POST /v1/completions` (with `"stream": true` as server-sent events). Beyond OpenAI's fields, `top_k`,
`min_p` and `repetition_penalty` are understood; a field that is left out is the model's own setting.
"""

import asyncio
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import uvicorn
from pydantic import Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from fabula.config import Record
from fabula.errors import FabulaError
from fabula.generation.engine import Engine
from fabula.generation.engines import load_engine
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import Draft, SideBySide, begin
from fabula.models.load import locate_model
from fabula.progress import OnProgress, silent
from fabula.serving.guard import LOOPBACK, MAX_CONNECTIONS, BodyInTime, PatientProtocol, hosts_for
from fabula.serving.serve import listen

MAX_BODY_BYTES = 4_000_000

MAX_AT_ONCE = 16
"""Stories that are written at once; more wait their turn."""

MAX_BEFORE_MORE = 8
"""No story is begun while more than this are being written, so that those that wait can share a batch."""


MAX_STORIES = 128
"""Stories that one request may ask for, over all its prompts."""

MAX_STOPS = 16
MAX_STOP_CHARS = 1000


class StreamOptions(Record):
    include_usage: bool = False


class CompletionRequest(Record):
    """The body of `POST /v1/completions`. Fields of OpenAI's that are not here are refused by name."""

    model: str
    prompt: str | list[str] = ""
    max_tokens: int | None = Field(default=None, ge=1, le=100_000)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    n: int = Field(default=1, ge=1, le=128)
    seed: int | None = Field(default=None, ge=0)
    stop: str | list[str] | None = None
    echo: bool = False
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: str | None = None
    """Taken and not used."""

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    @property
    def stops(self) -> list[str]:
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [stop for stop in given if stop]


class Choice:
    """One story of an answer, cut where a stop string begins."""

    def __init__(self, prompt: str, stops: list[str]) -> None:
        self.prompt, self.stops = prompt, stops
        self.text = ""
        self.num_shown = 0
        self.num_tokens = 0
        self.finish_reason: Literal["stop", "length"] | None = None

    def add(self, piece: str) -> str:
        """Take a piece of text; return what can be shown now: nothing that may turn out to begin a stop string."""
        self.text += piece
        places = [place for stop in self.stops if (place := self.text.find(stop)) >= 0]
        if places:
            self.text, self.finish_reason = self.text[: min(places)], "stop"
            return self.show()
        held = max(
            (size for stop in self.stops for size in range(1, len(stop)) if self.text.endswith(stop[:size])),
            default=0,
        )
        return self.show(len(self.text) - held)

    def show(self, end: int | None = None) -> str:
        shown = self.text[self.num_shown : end]
        self.num_shown += len(shown)
        return shown


class WritingFailed(Exception):
    pass


FinishReason = Literal["end", "length", "failed"]
Hear = Callable[[Draft, str, FinishReason | None], None]


class BatchWriter:
    """One model, one thread that writes with it, and the stories that wait. Those that begin at the same time share
    their steps; one step of a batch takes little longer than that of a single story."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._together = SideBySide(engine)
        self._waiting: deque[Draft] = deque()
        self._heard: dict[Draft, Hear] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def write(self, drafts: list[Draft], hear: Hear) -> None:
        """Write these. `hear` is told each piece of text, and at the end why it ended, in the writer's thread; where
        writing failed, the kind of error instead of a piece."""
        with self._changed:
            self._waiting += drafts
            self._heard |= dict.fromkeys(drafts, hear)
            self._changed.notify()

    def close(self) -> None:
        """Stop writing and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._together or self._closed)
                if self._closed:
                    return
                if len(self._together) <= MAX_BEFORE_MORE:
                    room = MAX_AT_ONCE - len(self._together)
                    self._together.add(
                        [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
                    )
            try:
                for draft, piece in self._together.step():
                    self._heard[draft](draft, piece, draft.finish_reason)
            except Exception as error:  # the writer outlives whatever one step does
                with self._changed:
                    self._waiting.clear()
                    for draft, hear in self._heard.items():
                        draft.is_wanted = False
                        hear(draft, type(error).__name__, "failed")
                self._together = SideBySide(self._engine)
            with self._changed:
                self._heard = {draft: hear for draft, hear in self._heard.items() if draft.goes_on}


def make_api(engine: Engine, name: str, hosts: Sequence[str] = LOOPBACK) -> Starlette:
    """The application. `name` is what the model is called in it; `hosts` are the names that it may be asked for by."""
    writer = BatchWriter(engine)
    card = {"id": name, "object": "model", "created": 0, "owned_by": "fabula"}

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [card]})

    async def one_model(request: Request) -> Response:
        wanted = request.path_params["model"]
        return (
            JSONResponse(card)
            if wanted == name
            else refuse(f"no model {wanted!r}; this is {name!r}", 404, "model")
        )

    async def completions(request: Request) -> Response:
        # Another site's page can make a browser send anything but JSON without asking first.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refuse("the request must be of type application/json", 415)
        try:
            body = json.loads(await request.body())
            if not isinstance(body, dict):
                raise FabulaError("the body is no JSON object")
            asked = CompletionRequest.parse(
                {key: value for key, value in body.items() if value is not None}, "request"
            )
            if asked.model != name:
                return refuse(f"no model {asked.model!r}; this is {name!r}", 404, "model")
            settings = SamplingSettings.of_model(engine.folder).with_changes(
                max_new_tokens=asked.max_tokens,
                temperature=asked.temperature,
                top_p=asked.top_p,
                top_k=asked.top_k,
                min_p=asked.min_p,
                repetition_penalty=asked.repetition_penalty,
            )
            check_size(asked)
            seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
            drafts = begin(engine, asked.prompts, settings, seed, asked.n)
        except (FabulaError, ValueError, RecursionError) as error:
            return refuse(str(error), 400)
        choices = [Choice(prompt, asked.stops) for prompt in asked.prompts for _ in range(asked.n)]
        head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": name,
        }
        shown = completed(engine, choices, written(writer, drafts), asked.echo)
        if asked.stream:
            wants_usage = asked.stream_options is not None and asked.stream_options.include_usage
            events = as_events(head, shown, lambda: usage(engine, choices) if wants_usage else None)
            return StreamingResponse(
                events, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
            )
        try:
            async for _ in shown:
                if await request.is_disconnected():
                    await shown.aclose()
                    return Response(status_code=499)
        except WritingFailed as error:
            return refuse(str(error), 500)
        answers = [
            answer(index, (choice.prompt if asked.echo else "") + choice.text, choice.finish_reason)
            for index, choice in enumerate(choices)
        ]
        return JSONResponse({**head, "choices": answers, "usage": usage(engine, choices)})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(writer.close)

    return Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/models/{model:path}", one_model),
            Route("/v1/completions", completions, methods=["POST"]),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False),
            Middleware(BodyInTime),
        ],
        exception_handlers={HTTPException: answer_http_error},
        max_body_size=MAX_BODY_BYTES,
        lifespan=lifespan,
    )


async def written(
    writer: BatchWriter, drafts: list[Draft]
) -> AsyncGenerator[tuple[Draft, str, FinishReason | None]]:
    """Each piece of these drafts as the writer writes it. A client that leaves ends it."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[Draft, str, FinishReason | None]] = asyncio.Queue()

    def hear(*piece: Any) -> None:
        with suppress(RuntimeError):  # the server is shutting down, its loop is closed
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    writer.write(drafts, hear)
    try:
        while True:
            yield await pieces.get()
    finally:
        for draft in drafts:
            draft.is_wanted = False


async def completed(
    engine: Engine,
    choices: list[Choice],
    pieces: AsyncGenerator[tuple[Draft, str, FinishReason | None]],
    echo: bool,
) -> AsyncGenerator[tuple[int, str, str | None]]:
    """What can be shown of each choice as it comes: index, text, and at its end the finish reason.

    Raises:
        WritingFailed: with a sentence for the client.
    """
    try:
        for index, choice in enumerate(choices):
            if echo and choice.prompt:
                yield index, choice.prompt, None
        async for draft, piece, finish_reason in pieces:
            if finish_reason == "failed":
                raise WritingFailed(f"writing failed ({piece}); try again")
            choice = choices[draft.index]
            if choice.finish_reason is not None:
                continue
            text = choice.add(piece)
            if choice.finish_reason is not None:
                draft.is_wanted = False
                choice.num_tokens = len(engine.encode(choice.text))
            elif finish_reason is not None:
                choice.finish_reason = "stop" if finish_reason == "end" else "length"
                choice.num_tokens = draft.num_tokens
                text += choice.show()
            if text or choice.finish_reason is not None:
                yield draft.index, text, choice.finish_reason
            if all(choice.finish_reason is not None for choice in choices):
                return
    finally:
        await pieces.aclose()


async def as_events(
    head: dict[str, Any],
    shown: AsyncIterator[tuple[int, str, str | None]],
    count: Callable[[], dict[str, int] | None],
) -> AsyncIterator[str]:
    try:
        async for index, text, finish_reason in shown:
            yield f"data: {json.dumps({**head, 'choices': [answer(index, text, finish_reason)]})}\n\n"
    except WritingFailed as error:
        yield f"data: {json.dumps(fault(str(error), 500))}\n\n"
        return
    if (counted := count()) is not None:
        yield f"data: {json.dumps({**head, 'choices': [], 'usage': counted})}\n\n"
    yield "data: [DONE]\n\n"


def check_size(asked: CompletionRequest) -> None:
    """See that a request asks for no more than one request may."""
    if not asked.prompts:
        raise FabulaError("the list of prompts is empty")
    try:
        "".join([*asked.prompts, *asked.stops]).encode()
    except UnicodeEncodeError:
        raise FabulaError("a text holds half a character (a lone surrogate)") from None
    if len(asked.prompts) * asked.n > MAX_STORIES:
        raise FabulaError(f"{len(asked.prompts) * asked.n:,} stories at once; at most {MAX_STORIES}")
    if len(asked.stops) > MAX_STOPS or any(len(stop) > MAX_STOP_CHARS for stop in asked.stops):
        raise FabulaError(f"at most {MAX_STOPS} stop strings of {MAX_STOP_CHARS:,} characters each")


def answer_http_error(_: Request, error: Exception) -> JSONResponse:
    """What the framework refuses, in the same form."""
    assert isinstance(error, HTTPException)
    return refuse(error.detail, error.status_code)


def answer(index: int, text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


def usage(engine: Engine, choices: list[Choice]) -> dict[str, int]:
    """Tokens read and written; the token before the story is counted."""
    read = sum(1 + len(engine.encode(choice.prompt)) for choice in choices)
    written = sum(choice.num_tokens for choice in choices)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def refuse(message: str, status: int, field: str | None = None) -> JSONResponse:
    return JSONResponse(fault(message, status, field), status_code=status)


def fault(message: str, status: int, field: str | None = None) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": field, "code": None}}


def serve_api(
    model: str | Path,
    *,
    host: str,
    port: int,
    engine: str = "auto",
    on_ready: Callable[[str], None] | None = None,
    on_progress: OnProgress = silent,
) -> None:
    """Answer completions over HTTP until stopped (Ctrl-C).

    Args:
        model: folder of a model or of a run. Its folder's name is its name in the API.
        host: address to listen on.
        port: 0 takes a free one.
        engine: as for `fabula.write`.
        on_ready: called with the address once it answers.

    Raises:
        FabulaError: no such model, or the port is taken.
    """
    folder = locate_model(model)
    name = folder.parent.resolve().name if folder.name == "model" else folder.resolve().name
    with listen(host, port) as listening:
        app = make_api(load_engine(folder, engine, on_progress=on_progress), name, hosts_for(host))
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                log_level="warning",
                access_log=False,
                server_header=False,
                limit_concurrency=MAX_CONNECTIONS,
            )
        )
        if on_ready is not None:
            on_ready(f"http://{host}:{listening.getsockname()[1]}/v1 with model {name!r}")
        with suppress(KeyboardInterrupt):  # uvicorn raises it again once it has ended in good order
            server.run(sockets=[listening])

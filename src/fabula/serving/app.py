"""The page as a web application: a handful of routes, no files but those of the page, nothing kept of what visitors
write."""

import asyncio
import json
import math
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

from pydantic import Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fabula.config import Record
from fabula.errors import FabulaError
from fabula.generation.engine import Engine
from fabula.generation.settings import SamplingSettings
from fabula.models.records import ModelRecords, page_data
from fabula.serving.desk import Desk, Event, Ticket
from fabula.serving.guard import LOOPBACK, BodyInTime
from fabula.serving.limits import Limits, Meter, Refusal

if TYPE_CHECKING:  # it needs a library that a page without training stories does not
    from fabula.serving.copies import CopyIndex

PAGE = {
    "index.html": "text/html",
    "style.css": "text/css",
    "app.js": "text/javascript",
    "story.js": "text/javascript",
    "settings.js": "text/javascript",
    "writer.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""The page's files and their media types. No other file of the machine can be asked for."""

MAX_CONTINUATIONS = 3
MAX_COPIES_CHARS = 20_000
"""Longest text that is compared with the training stories at once."""


class WriteRequest(Record):
    """The body of a request to write."""

    text: str = Field(description="The story so far.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Changes to the model's sampling settings."
    )
    seed: int | None = Field(default=None, ge=0, lt=2**53, description="None for a new one.")
    num_continuations: int = Field(default=1, ge=1, le=MAX_CONTINUATIONS)
    visitor: str = Field(default="", max_length=64, description="A random name that tells two tabs apart.")


class CopiesRequest(Record):
    """The body of a request to compare a text with the training stories."""

    text: str = Field(max_length=MAX_COPIES_CHARS)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page is shown.

    Attributes:
        hosts: names under which it may be asked for; ("*",) for any. On loopback, only loopback's own, so that no
            other site can reach the page by a name that it makes point there.
        framed_by: sites that may show it in a frame.
    """

    hosts: Sequence[str] = LOOPBACK
    framed_by: Sequence[str] = ()


def make_app(
    engine: Engine,
    records: ModelRecords,
    *,
    limits: Limits | None = None,
    copies: "CopyIndex | None" = None,
    place: Place | None = None,
) -> Starlette:
    """The application that shows the page and writes with `engine`.

    Args:
        engine: the loaded model; nothing else may use it while the application runs.
        records: what the About tab and the openings come from.
        limits: None for the default ones.
        copies: the training stories, to mark what is copied from them; None marks nothing.
        place: None for loopback.
    """
    limits, place = limits or Limits(), place or Place()
    stated = SamplingSettings.of_model(engine.folder)
    desk = Desk(engine, limits)
    meter = Meter()
    data = page_data(
        records, stated.model_dump(exclude={"start_of_story"}), limits.model_dump(), copies=copies is not None
    )
    folder = package_files("fabula") / "serving" / "page"
    page = {name: (folder / name).read_bytes() for name in PAGE}

    async def show(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in page:
            raise HTTPException(404, "There is no such page.")
        return Response(page[name], media_type=PAGE[name], headers={"cache-control": "no-cache"})

    async def show_data(_: Request) -> Response:
        return JSONResponse({**data, "num_waiting": desk.num_waiting + desk.is_busy})

    async def write_passage(request: Request) -> Response:
        wanted = WriteRequest.parse(await read_body(request), where="request")
        address = request.client.host if request.client else ""
        if len(wanted.text) > limits.max_prompt_chars:
            raise Refusal(
                f"This story has {len(wanted.text):,} characters; at most {limits.max_prompt_chars:,} can be gone on"
                " with here. Save it, and go on with its last part.",
                413,
            )
        settings = visitor_settings(wanted.settings, stated, limits)
        for key, most in (
            (f"{address} {wanted.visitor}", limits.max_per_minute),
            (address, limits.max_per_address),
        ):
            if wait := meter.count(key, most):
                raise Refusal(f"That was {most} passages in a minute. Please wait {math.ceil(wait)} s.", 429)
        ticket = Ticket(
            prompt=wanted.text,
            settings=settings,
            seed=secrets.randbelow(2**32) if wanted.seed is None else wanted.seed,
            num_continuations=wanted.num_continuations,
            loop=asyncio.get_running_loop(),
        )
        desk.join(ticket)
        return StreamingResponse(
            event_lines(desk, ticket, request),
            media_type="application/x-ndjson",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def find_copies(request: Request) -> Response:
        wanted = CopiesRequest.parse(await read_body(request), where="request")
        address = request.client.host if request.client else ""
        if meter.count(f"copies {address}", 2 * limits.max_per_address):
            raise Refusal("Copied passages are not looked for so often.", 429)
        found = await run_in_threadpool(copies.find, wanted.text) if copies else []
        return JSONResponse([asdict(copy) for copy in found])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(desk.close)

    return Starlette(
        routes=[
            Route("/", show),
            Route("/model.json", show_data),
            Route("/write", write_passage, methods=["POST"]),
            Route("/copies", find_copies, methods=["POST"]),
            Route("/{name}", show),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[*place.hosts], www_redirect=False),
            Middleware(OwnHeaders, framed_by=place.framed_by),
            Middleware(BodyInTime),
        ],
        exception_handlers={
            Refusal: answer_error,
            FabulaError: answer_error,
            HTTPException: answer_error,
            Exception: answer_error,
        },
        lifespan=lifespan,
        max_body_size=8 * limits.max_prompt_chars + 10_000,
    )


def answer_error(_: Request, error: Exception) -> Response:
    """One sentence for the visitor."""
    message, status = "Something went wrong here. Please try again.", 500
    if isinstance(error, Refusal):
        message, status = str(error), error.status
    elif isinstance(error, FabulaError):
        message, status = str(error), 422
    elif isinstance(error, HTTPException):
        message, status = error.detail, error.status_code
    return JSONResponse({"message": message}, status)


async def read_body(request: Request) -> dict[str, Any]:
    """The JSON object in a request.

    A type other than JSON, and a request that another site's page sends, are refused: so no other site can make a
    visitor's browser use the model.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Refusal("Requests from other sites are not answered.", 403)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal("The request must be JSON.", 415)
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise Refusal("The request is not valid JSON.", 400) from None
    if not isinstance(body, dict):
        raise Refusal("The request must be a JSON object.", 400)
    if isinstance(text := body.get("text"), str):
        check_text(text)
    return body


def check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refusal("The text holds half a character (a lone surrogate).", 400) from None


def visitor_settings(changes: dict[str, Any], stated: SamplingSettings, limits: Limits) -> SamplingSettings:
    """The model's settings with a visitor's changes.

    Raises:
        FabulaError: an unknown field, or a value out of range.
        Refusal: more tokens than the page allows.
    """
    settings = stated.with_changes(**{"max_new_tokens": limits.max_new_tokens, **changes})
    if settings.max_new_tokens > limits.max_new_tokens:
        raise Refusal(
            f"At most {limits.max_new_tokens:,} tokens are written at once here, not {settings.max_new_tokens:,}.",
            422,
        )
    return settings


async def event_lines(desk: Desk, ticket: Ticket, request: Request) -> AsyncIterator[str]:
    """The ticket's events as JSON lines, until writing ends or the visitor leaves."""
    gone = asyncio.ensure_future(disconnected(request))
    try:
        while True:
            waiting = asyncio.ensure_future(ticket.events.get())
            await asyncio.wait({gone, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                waiting.cancel()
                return
            events: list[Event | None] = [waiting.result()]
            while not ticket.events.empty():
                events.append(ticket.events.get_nowait())
            lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events if event)
            if lines:
                yield lines
            if events[-1] is None:
                return
    finally:
        gone.cancel()
        desk.leave(ticket)


async def disconnected(request: Request) -> None:
    """Return when the visitor has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class OwnHeaders:
    """Adds the headers that keep the page to itself: no script, style, picture or connection from elsewhere."""

    def __init__(self, app: ASGIApp, framed_by: Sequence[str] = ()) -> None:
        self.app = app
        ancestors = " ".join(["'self'", *framed_by])
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
            f" base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
        )
        self.headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self.headers]
            await send(message)

        await self.app(scope, receive, send_with_headers)

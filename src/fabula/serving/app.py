"""The page as a web application: a few routes, no files but the page's own, and nothing stored of what visitors write."""

import html
import json
import math
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.resources import files as package_files
from typing import Any

from pydantic import Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fabula.config import Record
from fabula.corpus.copies import CopyIndex
from fabula.errors import FabulaError
from fabula.generation.draft import make_drafts
from fabula.generation.engine import Engine
from fabula.generation.likely_words import MAX_WORD_CHARS, likely_words
from fabula.generation.settings import SamplingSettings
from fabula.models.records import ModelRecords
from fabula.report.facts import PageData
from fabula.serving.generation_queue import Event, Failed, GenerationQueue, Job, Started, Waiting
from fabula.serving.guard import LOOPBACK, BodyInTime, OwnSite
from fabula.serving.guess import Guesses
from fabula.serving.rate import RateMeter
from fabula.serving.requests import Refusal, check_guard, read_body
from fabula.serving.settings import Limits

PAGE = {
    "index.html": "text/html",
    "style.css": "text/css",
    "app.js": "text/javascript",
    "story.js": "text/javascript",
    "settings.js": "text/javascript",
    "element.js": "text/javascript",
    "theme.js": "text/javascript",
    "writer.js": "text/javascript",
    "prompt.js": "text/javascript",
    "shelf.js": "text/javascript",
    "files.js": "text/javascript",
    "guess.js": "text/javascript",
    "words.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""The page's files and their media types. The server answers with no other file of the machine."""

ERROR_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>fabula</title><link rel="stylesheet" href="/style.css"></head>
<body><header><h1><a class="brand" href="/">fabula</a></h1></header><main><p id="problem">{}</p></main></body></html>
"""

ERRORS = (Refusal, FabulaError, HTTPException, ClientDisconnect, Exception)
"""What `answer_error` answers. Nobody reads its answer to a `ClientDisconnect`, which is no error of the server."""

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


class WordsRequest(Record):
    """The body of a request for the words that the model would write at a place."""

    text: str = Field(description="The story before the word, with the space.")
    word: str = Field(max_length=MAX_WORD_CHARS, description="The word that stands there.")
    settings: dict[str, Any] = Field(default_factory=dict, description="As for writing, such as the memory.")


class GuessRequest(Record):
    """The body of a request that tells which passage a person wrote."""

    id: str = Field(max_length=64)
    chosen: int | None = Field(description="Its index, or None.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page is served, and who may use it.

    Attributes:
        hosts: host names that the server answers to; ("*",) for any. On loopback only loopback's own, so that no other
            site can reach the page by a name that it makes point there.
        framed_by: sites that may show the page in a frame.
        guess: whether visitors may guess which passage the author wrote; they see held-out stories then.
        learn: address to which the page sends a story that the model shall learn; "" for none.
    """

    hosts: Sequence[str] = LOOPBACK
    framed_by: Sequence[str] = ()
    guess: bool = False
    learn: str = ""


def make_app(
    engine: Engine,
    records: ModelRecords,
    *,
    settings: SamplingSettings | None = None,
    limits: Limits | None = None,
    copies: CopyIndex | None = None,
    place: Place | None = None,
) -> Starlette:
    """The application that shows the page and writes with `engine`.

    Args:
        engine: the loaded model; nothing else may use it while the application runs.
        records: what the About tab and the openings are made from.
        settings: what holds where a visitor asks for nothing else; None for the model's own.
        limits: None for the defaults.
        copies: the training stories, to mark what is copied from them; None marks nothing.
        place: None for loopback.
    """
    place = place or Place()
    page = Page(
        engine, records, settings or SamplingSettings.of_model(engine.folder), limits or Limits(), copies
    )
    page.guesses, page.learn = Guesses.of(records) if place.guess else None, place.learn

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(page.queue.close)

    app = Starlette(
        routes=[
            Route("/", page.show),
            Route("/model.json", page.show_data),
            Route("/write", page.write, methods=["POST"]),
            Route("/copies", page.find_copies, methods=["POST"]),
            Route("/words", page.find_words, methods=["POST"]),
            Route("/pair.json", page.ask_guess),
            Route("/guess", page.answer_guess, methods=["POST"]),
            Route("/{name}", page.show),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[*place.hosts], www_redirect=False),
            Middleware(OwnHeaders, framed_by=place.framed_by),
            Middleware(OwnSite),
            Middleware(BodyInTime),
        ],
        exception_handlers=dict.fromkeys(ERRORS, answer_error),
        lifespan=lifespan,
        max_body_size=8 * page.limits.max_prompt_chars + 10_000,
    )
    app.state.queue = page.queue  # for whoever lets go of the model before the server ends
    return app


class Page:
    """The handlers of the page's routes."""

    def __init__(
        self,
        engine: Engine,
        records: ModelRecords,
        settings: SamplingSettings,
        limits: Limits,
        copies: CopyIndex | None,
    ) -> None:
        self.engine, self.settings, self.limits, self.copies = engine, settings, limits, copies
        self.queue = GenerationQueue(limits)
        self.guesses: Guesses | None = None
        self.learn = ""
        self._meter = RateMeter()
        shown = {**limits.model_dump(), "context_length": engine.context_length}
        data = PageData.of(records, self.settings, shown, copies=copies is not None)
        self._data = data.model_dump(mode="json")

    async def show(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in PAGE:
            raise HTTPException(404, "There is no such page.")
        return page_file("serving", name, PAGE[name])

    async def show_data(self, _: Request) -> Response:
        offers = {"guess": self.guesses is not None, "learn": self.learn}
        return JSONResponse({**self._data, **offers, "num_waiting": self.queue.num_unfinished})

    async def ask_guess(self, request: Request) -> Response:
        """A pair of passages to tell apart."""
        if self.guesses is None:
            raise HTTPException(404, "There is no such page.")
        self._count(request, "guesses")
        return JSONResponse(await run_in_threadpool(self.guesses.ask), headers={"cache-control": "no-store"})

    async def answer_guess(self, request: Request) -> Response:
        if self.guesses is None:
            raise HTTPException(404, "There is no such page.")
        answer = GuessRequest.parse(await read_body(request), where="request")
        return JSONResponse(await run_in_threadpool(self.guesses.answer, answer.id, answer.chosen))

    async def write(self, request: Request) -> Response:
        wanted = WriteRequest.parse(await read_body(request), where="request")
        settings = self._settings_of(wanted)
        self._count(request, wanted.visitor)
        seed = secrets.randbelow(2**32) if wanted.seed is None else wanted.seed
        drafts = make_drafts(self.engine, [wanted.text], settings, seed, wanted.num_continuations)
        job = self.queue.submit(drafts, max_seconds=self.limits.max_seconds)
        return StreamingResponse(
            self._event_lines(job),
            media_type="application/x-ndjson",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def find_copies(self, request: Request) -> Response:
        wanted = CopiesRequest.parse(await read_body(request), where="request")
        if self._meter.count(f"copies {address_of(request)}", 2 * self.limits.max_per_address):
            raise Refusal("Please wait a little before the next search for copied passages.", 429)
        found = await run_in_threadpool(self.copies.find, wanted.text) if self.copies else []
        return JSONResponse([asdict(copy) for copy in found])

    async def find_words(self, request: Request) -> Response:
        """The words that the model would write at a place, with their probabilities; the one that stands there first."""
        wanted = WordsRequest.parse(await read_body(request), where="request")
        settings = self._settings_of(wanted)
        if self._meter.count(f"words {address_of(request)}", self.limits.max_per_address):
            raise Refusal("Please wait a little before you ask for more words.", 429)
        [draft] = make_drafts(self.engine, [wanted.text], settings.with_changes(opening=False), 0)
        found = await self.queue.aside(partial(likely_words, draft, wanted.word))
        return JSONResponse([asdict(word) for word in found])

    def _settings_of(self, wanted: WriteRequest | WordsRequest) -> SamplingSettings:
        """The model's settings with a visitor's changes.

        Raises:
            FabulaError: an unknown field, or a value out of range.
            Refusal: a longer story, or more tokens, than the page allows.
        """
        most_chars, most_tokens = self.limits.max_prompt_chars, self.limits.max_new_tokens
        if len(wanted.text) > most_chars:
            raise Refusal(
                f"This story has {len(wanted.text):,} characters; this page continues stories of at most"
                f" {most_chars:,}. Save it, and begin a new story with its last part.",
                413,
            )
        settings = self.settings.with_changes(**{"max_new_tokens": most_tokens, **wanted.settings})
        check_guard(self.settings, settings)
        if settings.max_new_tokens > most_tokens:
            raise Refusal(
                f"This page writes at most {most_tokens:,} tokens at once, not {settings.max_new_tokens:,}.",
                422,
            )
        return settings

    def _count(self, request: Request, visitor: str) -> None:
        """Count one passage of a visitor.

        Raises:
            Refusal: that is more than the limits allow.
        """
        address = address_of(request)
        for key, most in (
            (f"{address} {visitor}", self.limits.max_per_minute),
            (address, self.limits.max_per_address),
        ):
            if wait := self._meter.count(key, most):
                raise Refusal(f"That was {most} passages in a minute. Please wait {math.ceil(wait)} s.", 429)

    async def _event_lines(self, job: Job) -> AsyncIterator[str]:
        """A job's events as JSON lines. A visitor who leaves cancels it."""
        try:
            async for event in job.events():
                for fields in as_json(event, job):
                    yield json.dumps(fields, ensure_ascii=False) + "\n"
        finally:
            self.queue.cancel(job)


def as_json(event: Event, job: Job) -> list[dict[str, Any]]:
    """An event as the page's script reads it."""
    if isinstance(event, Waiting):
        return [{"type": "queue", "ahead": event.num_ahead}]
    if isinstance(event, Started):
        return [{"type": "start", "unread": event.num_unread}]
    if isinstance(event, Failed):
        return [{"type": "error", "message": event.message}]
    found: list[dict[str, Any]] = []
    if event.text:
        found.append({"type": "piece", "index": event.index, "text": event.text})
    if event.finish_reason is not None:
        found.append({"type": "done", "index": event.index, "finish_reason": event.finish_reason})
    return found


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


@cache
def _page_bytes(package: str, name: str) -> bytes:
    return (package_files("fabula") / package / "page" / name).read_bytes()


def page_file(package: str, name: str, media_type: str) -> Response:
    """A file of a page of this package."""
    return Response(_page_bytes(package, name), media_type=media_type, headers={"cache-control": "no-cache"})


def answer_error(request: Request, error: Exception) -> Response:
    """The error as one sentence for the visitor: as a page where the browser wanted one."""
    message, status = "Something went wrong here. Please try again.", 500
    if isinstance(error, Refusal):
        message, status = str(error), error.status
    elif isinstance(error, FabulaError):
        message, status = str(error), 422
    elif isinstance(error, HTTPException):
        message, status = error.detail, error.status_code
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(ERROR_PAGE.format(html.escape(message)), status)
    return JSONResponse({"message": message}, status)


class OwnHeaders:
    """Adds headers that forbid the page any script, style, picture or connection from elsewhere, where a response has
    none of its own."""

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
                own = message.get("headers", [])
                there = {name.lower() for name, _ in own}
                message["headers"] = [*own, *(each for each in self.headers if each[0] not in there)]
            await send(message)

        await self.app(scope, receive, send_with_headers)

"""`fabula serve --api`: completions over HTTP in the form of OpenAI's API, for programs that speak it.

`GET /v1/models`, and `POST /v1/completions` (with `"stream": true` as server-sent events). In addition to OpenAI's
fields it accepts the other sampling settings and `whole_sentences`; a field that is not given takes the model's own
setting.
"""

import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from pydantic import Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from fabula.config import Record
from fabula.errors import FabulaError
from fabula.generation.draft import Draft, make_drafts
from fabula.generation.engine import Engine
from fabula.generation.settings import SamplingSettings
from fabula.serving.generation_queue import Failed, GenerationQueue, Written
from fabula.serving.guard import LOOPBACK, BodyInTime
from fabula.serving.requests import Refusal, check_guard, read_body
from fabula.serving.settings import Limits

MAX_BODY_BYTES = 4_000_000

MAX_STORIES = 128
"""Maximum number of stories in one request, over all its prompts."""

MAX_STOPS = 16
MAX_STOP_CHARS = 1000

NEUTRAL = {"presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {}}
"""What many clients send for settings of OpenAI's that fabula does not have. Other values are refused."""


class StreamOptions(Record):
    include_usage: bool = False


class CompletionRequest(Record):
    """The body of `POST /v1/completions`. It refuses OpenAI's other fields by name."""

    model: str
    prompt: str | list[str] = ""
    max_tokens: int | None = Field(default=None, ge=1, le=100_000)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    top_n_sigma: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    banned_phrases: list[str] | None = Field(default=None, max_length=100)
    ban_overused: bool | None = None
    word_bias: dict[str, float] | None = None
    copy_guard: int | None = None
    best_of: int | None = None
    memory: str | None = None
    note: str | None = None
    story_prompt: str | None = None
    start_of_story: bool | None = None
    opening: bool | None = None
    token_healing: bool | None = None
    suffix: str | None = None
    """The text that follows: the setting `following`."""
    n: int = Field(default=1, ge=1, le=128)
    seed: int | None = Field(default=None, ge=0)
    stop: str | list[str] | None = None
    echo: bool = False
    stream: bool = False
    stream_options: StreamOptions | None = None
    whole_sentences: bool = False
    """Whether a story that reaches `max_tokens` ends with a whole sentence: up to 40 tokens more, or cut back."""
    user: str | None = None
    """Accepted and ignored."""

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    @property
    def stops(self) -> list[str]:
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [stop for stop in given if stop]


SAMPLING_FIELDS = CompletionRequest.model_fields.keys() & SamplingSettings.model_fields.keys()
"""Fields of a request that are sampling settings of the same name."""


class Choice:
    """One story of an answer, cut where a stop string begins."""

    def __init__(self, prompt: str, stops: list[str]) -> None:
        self.prompt, self.stops = prompt, stops
        self.text = ""
        self.num_shown = 0
        self.num_tokens = 0
        self.finish_reason: Literal["stop", "length"] | None = None

    def add(self, piece: str) -> str:
        """Add a piece of text; return what can be shown now, which excludes the possible beginning of a stop string."""
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
    """`str()` is a sentence for the client."""


def make_api(
    engine: Engine,
    name: str,
    *,
    settings: SamplingSettings | None = None,
    hosts: Sequence[str] = LOOPBACK,
    limits: Limits | None = None,
) -> Starlette:
    """The application.

    Args:
        engine: the loaded model; nothing else may use it while the application runs.
        name: the name of the model in the API.
        settings: what holds for fields that a request does not give; None for the model's own.
        hosts: the host names that the server answers to.
        limits: `max_waiting` and `max_stories` hold here; None for the defaults.
    """
    api = Api(engine, name, settings or SamplingSettings.of_model(engine.folder), limits or Limits())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(api.queue.close)

    return Starlette(
        routes=[
            Route("/v1/models", api.models),
            Route("/v1/models/{model:path}", api.one_model),
            Route("/v1/completions", api.completions, methods=["POST"]),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False),
            Middleware(BodyInTime),
        ],
        exception_handlers=dict.fromkeys(
            (Refusal, FabulaError, HTTPException, ClientDisconnect), answer_error
        ),
        max_body_size=MAX_BODY_BYTES,
        lifespan=lifespan,
    )


class Api:
    """The handlers of the routes."""

    def __init__(self, engine: Engine, name: str, settings: SamplingSettings, limits: Limits) -> None:
        self.engine, self.name, self.settings = engine, name, settings
        self.queue = GenerationQueue(limits)
        self._card = {"id": name, "object": "model", "created": 0, "owned_by": "fabula"}

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._card]})

    async def one_model(self, request: Request) -> Response:
        self._check_name(request.path_params["model"])
        return JSONResponse(self._card)

    async def completions(self, request: Request) -> Response:
        body = await read_body(request)
        asked = CompletionRequest.parse(
            {key: value for key, value in body.items() if value not in (None, NEUTRAL.get(key))}, "request"
        )
        self._check_name(asked.model)
        check_size(asked)
        settings = self.settings.with_changes(
            max_new_tokens=asked.max_tokens,
            following=asked.suffix,
            **{name: getattr(asked, name) for name in SAMPLING_FIELDS},
        )
        check_guard(self.settings, settings)
        seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
        drafts = make_drafts(self.engine, asked.prompts, settings, seed, asked.n)
        choices = [Choice(prompt, asked.stops) for prompt in asked.prompts for _ in range(asked.n)]
        head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": self.name,
        }
        shown = self._write(drafts, choices, echo=asked.echo)
        if asked.stream:
            return StreamingResponse(
                self._event_lines(head, asked, shown, choices),
                media_type="text/event-stream",
                headers={"cache-control": "no-store"},
            )
        try:
            async for _ in shown:
                if await request.is_disconnected():
                    await shown.aclose()
                    return Response(status_code=499)
        except WritingFailed as error:
            raise Refusal(str(error), 500) from None
        answers = [
            answer(index, (choice.prompt if asked.echo else "") + choice.text, choice.finish_reason)
            for index, choice in enumerate(choices)
        ]
        return JSONResponse({**head, "choices": answers, "usage": self._usage(asked, choices)})

    def _check_name(self, model: str) -> None:
        if model != self.name:
            raise Refusal(f"There is no model {model!r}; this is {self.name!r}.", 404, "model")

    async def _write(
        self, drafts: list[Draft], choices: list[Choice], *, echo: bool
    ) -> AsyncGenerator[tuple[int, str, str | None]]:
        """Write the choices; yield what can be shown of each as it comes: index, text, and at its end the finish reason.

        Raises:
            WritingFailed: an error in the engine.
        """
        job = self.queue.submit(drafts)
        try:
            for index, choice in enumerate(choices):
                if echo and choice.prompt:
                    yield index, choice.prompt, None
            async for event in job.events():
                if isinstance(event, Failed):
                    raise WritingFailed(event.message)
                if not isinstance(event, Written) or choices[event.index].finish_reason is not None:
                    continue
                choice, draft = choices[event.index], drafts[event.index]
                text = choice.add(event.text)
                if choice.finish_reason is not None:  # a stop string
                    draft.is_wanted = False
                    choice.num_tokens = len(self.engine.encode(choice.text))
                elif event.finish_reason is not None:
                    is_bridge = bool(draft.settings.following)  # to which no continuation belongs
                    is_whole = event.finish_reason == "end" or (
                        is_bridge and event.finish_reason == "sentence"
                    )
                    choice.finish_reason = "stop" if is_whole else "length"
                    choice.num_tokens = draft.num_tokens
                    text += choice.show()
                if text or choice.finish_reason is not None:
                    yield event.index, text, choice.finish_reason
                if all(choice.finish_reason is not None for choice in choices):
                    return
        finally:
            self.queue.cancel(job)

    async def _event_lines(
        self,
        head: dict[str, Any],
        asked: CompletionRequest,
        shown: AsyncGenerator[tuple[int, str, str | None]],
        choices: list[Choice],
    ) -> AsyncIterator[str]:
        """The answer as server-sent events."""
        try:
            async for index, text, finish_reason in shown:
                yield f"data: {json.dumps({**head, 'choices': [answer(index, text, finish_reason)]})}\n\n"
        except WritingFailed as error:
            yield f"data: {json.dumps(fault(str(error), 500))}\n\n"
            return
        finally:
            await shown.aclose()
        if asked.stream_options is not None and asked.stream_options.include_usage:
            yield f"data: {json.dumps({**head, 'choices': [], 'usage': self._usage(asked, choices)})}\n\n"
        yield "data: [DONE]\n\n"

    def _usage(self, asked: CompletionRequest, choices: list[Choice]) -> dict[str, int]:
        """Tokens of the prompts, each counted once and with the start token, and tokens written."""
        read = sum(1 + len(self.engine.encode(prompt)) for prompt in asked.prompts)
        written = sum(choice.num_tokens for choice in choices)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def check_size(asked: CompletionRequest) -> None:
    """Check that one request may ask for so much.

    Raises:
        FabulaError: it asks for too much, or for nothing.
    """
    if not asked.prompts:
        raise FabulaError("the list of prompts is empty")
    if len(asked.prompts) * asked.n > MAX_STORIES:
        raise FabulaError(f"{len(asked.prompts) * asked.n:,} stories at once; at most {MAX_STORIES}")
    if len(asked.stops) > MAX_STOPS or any(len(stop) > MAX_STOP_CHARS for stop in asked.stops):
        raise FabulaError(f"at most {MAX_STOPS} stop strings of {MAX_STOP_CHARS:,} characters each")


def answer(index: int, text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


def answer_error(_: Request, error: Exception) -> JSONResponse:
    """An error as a response."""
    if isinstance(error, HTTPException):
        return JSONResponse(fault(error.detail, error.status_code), error.status_code)
    status, field = (error.status, error.field) if isinstance(error, Refusal) else (400, None)
    return JSONResponse(fault(str(error), status, field), status)


def fault(message: str, status: int, field: str | None = None) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": field, "code": None}}

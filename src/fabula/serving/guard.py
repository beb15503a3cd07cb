"""Protection against slow clients and other sites: time limits, host names that the server answers to, and pages that may use it."""

import asyncio
from collections.abc import Sequence

import h11
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")

HEAD_SECONDS = 10.0
"""Time for the headers of a request, from connecting or from the first byte."""

BODY_SECONDS = 20.0
"""Time for the body of a request, after its headers."""

MAX_CONNECTIONS = 1000


def hosts_for(host: str) -> Sequence[str]:
    """The host names that a server on this address answers to; ("*",) for any. On loopback only loopback's own, so that
    no other site can reach the server by a name that it makes point there."""
    return LOOPBACK if host in LOOPBACK else ("*",)


class TimedProtocol(H11Protocol):
    """uvicorn's HTTP with a time limit on headers; uvicorn itself waits for them for ever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except h11.LocalProtocolError:  # invalid data during an answer: too late for an error
            self.transport.close()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_watching()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class OwnSite:
    """Refuses what a page of another site asks for, even where it could not read the answer: it could make the server work.
    Links from other sites work. Clients that are no browsers do not send these headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        is_own = headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        if not is_own and headers.get("sec-fetch-mode") != "navigate":
            refused = JSONResponse({"message": "Requests from other sites are refused."}, 403)
            await refused(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class BodyInTime:
    """Answers 408 where the body of a request does not arrive within `BODY_SECONDS`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        is_whole = scope["type"] != "http"

        async def receive_in_time() -> Message:
            nonlocal is_whole
            if is_whole:  # only the end of the connection can follow, at any time
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The request did not arrive in time.") from None
            is_whole = not message.get("more_body", False)
            return message

        await self.app(scope, receive_in_time, send)

"""The desk: one model, one thread that writes with it, and the queue of those who wait for their turn."""

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from fabula.errors import FabulaError
from fabula.generation.engine import Engine
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import Piece, write
from fabula.serving.limits import Limits, Refusal

FinishReason = Literal["end", "length", "time"]


class Event(TypedDict, total=False):
    """What a visitor is told. `type` is

    "queue": `ahead` others come first;
    "start": writing begins;
    "piece": `text` was added to continuation `index`;
    "done": continuation `index` is finished, for the reason `finish_reason`;
    "error": `message` says what went wrong.
    """

    type: str
    ahead: int
    index: int
    text: str
    finish_reason: FinishReason
    message: str


@dataclass(eq=False, slots=True)
class Ticket:
    """One visitor's request in the queue. `events` ends with None."""

    prompt: str
    settings: SamplingSettings
    seed: int
    num_continuations: int
    loop: asyncio.AbstractEventLoop
    events: asyncio.Queue[Event | None] = field(default_factory=asyncio.Queue)
    left: bool = False

    def tell(self, event: Event | None) -> None:
        """Hand an event over to the visitor's loop; may be called from any thread."""
        if not self.left:
            try:
                self.loop.call_soon_threadsafe(self.events.put_nowait, event)
            except RuntimeError:  # the server is shutting down, its loop is closed
                self.left = True


class Desk:
    """Serves tickets in the order in which they came, one at a time: an engine holds one batch.

    A visitor who leaves is struck from the queue, or writing stops before the next token.
    """

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine, self.limits = engine, limits
        self._waiting: deque[Ticket] = deque()
        self._current: Ticket | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._thread.start()

    def join(self, ticket: Ticket) -> None:
        """Put a ticket at the end of the queue.

        Raises:
            Refusal: the queue is full.
        """
        with self._changed:
            if len(self._waiting) >= self.limits.max_waiting:
                raise Refusal(
                    f"{len(self._waiting)} visitors are waiting already. Please try again in a minute.", 503
                )
            self._waiting.append(ticket)
            self._tell_places(first=len(self._waiting) - 1)
            self._changed.notify()

    def leave(self, ticket: Ticket) -> None:
        """The visitor is gone, or wants no more."""
        with self._changed:
            ticket.left = True
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                self._tell_places()

    @property
    def num_waiting(self) -> int:
        with self._changed:
            return len(self._waiting)

    @property
    def is_busy(self) -> bool:
        with self._changed:
            return self._current is not None

    def close(self) -> None:
        """Stop writing and end the thread."""
        with self._changed:
            self._closed = True
            for ticket in [*self._waiting, *([self._current] if self._current else [])]:
                ticket.tell({"type": "error", "message": "The server is shutting down."})
                ticket.tell(None)
                ticket.left = True
            self._changed.notify()
        self._thread.join(timeout=10)

    def _tell_places(self, first: int = 0) -> None:
        busy = self._current is not None
        for place, ticket in enumerate(self._waiting):
            if place >= first:
                ticket.tell({"type": "queue", "ahead": place + busy})

    def _work(self) -> None:
        while True:
            with self._changed:
                self._current = None
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                ticket = self._current = self._waiting.popleft()
                self._tell_places()
            try:
                self._write(ticket)
            except FabulaError as error:
                ticket.tell({"type": "error", "message": str(error)})
            except Exception as error:  # the desk outlives whatever one request does to the model
                ticket.tell(
                    {
                        "type": "error",
                        "message": f"Writing failed ({type(error).__name__}). Please try again.",
                    }
                )
            ticket.tell(None)

    def _write(self, ticket: Ticket) -> None:
        if ticket.left:
            return
        ticket.tell({"type": "start"})
        began = time.monotonic()
        unfinished = set(range(ticket.num_continuations))
        pieces = write(
            self.engine,
            ticket.prompt,
            settings=ticket.settings,
            seed=ticket.seed,
            num_stories=ticket.num_continuations,
            batch_size=ticket.num_continuations,
        )
        for each in pieces:
            if ticket.left:
                return
            if isinstance(each, Piece):
                ticket.tell({"type": "piece", "index": each.index, "text": each.text})
            else:
                unfinished.discard(each.index)
                ticket.tell({"type": "done", "index": each.index, "finish_reason": each.finish_reason})
            if unfinished and time.monotonic() - began > self.limits.max_seconds:
                for index in sorted(unfinished):
                    ticket.tell({"type": "done", "index": index, "finish_reason": "time"})
                return

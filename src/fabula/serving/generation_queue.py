"""The generation queue: one model, one thread that writes with it, and the requests that wait for it. The page and the
API both use it."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from fabula.generation.batcher import Batcher
from fabula.generation.draft import Draft
from fabula.generation.draft import FinishReason as DraftFinishReason
from fabula.serving.requests import Refusal
from fabula.serving.settings import Limits

T = TypeVar("T")
FinishReason = DraftFinishReason | Literal["time"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """`num_ahead` other requests come first."""

    num_ahead: int


@dataclass(frozen=True, slots=True)
class Started:
    """Writing has begun. The model does not read the first `num_unread` characters of the prompt."""

    num_unread: int


@dataclass(frozen=True, slots=True)
class Written:
    """`text` was added to story `index` of the request; where `finish_reason` is not None, the story is finished."""

    index: int
    text: str
    finish_reason: FinishReason | None


@dataclass(frozen=True, slots=True)
class Failed:
    """Writing ended with an error; `message` is a sentence for the client. No other event follows."""

    message: str


Event = Waiting | Started | Written | Failed


class Job:
    """One request in the queue: the stories that it asks for, and the events that tell how far they are.

    Args:
        drafts: its stories; number i has the index i.
        max_seconds: after this time its stories end as soon as a sentence does, with the finish reason "time".
    """

    def __init__(self, drafts: Sequence[Draft], max_seconds: float) -> None:
        self.drafts, self.max_seconds = drafts, max_seconds
        self.num_begun = 0
        self.began = 0.0
        self._num_open = len(drafts)
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    async def events(self) -> AsyncGenerator[Event]:
        """The events as they come, until all stories are finished. Closing the generator does not cancel the job."""
        while (event := await self._events.get()) is not None:
            yield event

    def tell(self, event: Event | None) -> None:
        """Report an event, or with None that there are no more. Any thread may call it."""
        with suppress(RuntimeError):  # the server is shutting down, its loop is closed
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    def report(self, draft: Draft, text: str) -> None:
        """Report what was written of one of its stories."""
        reason: FinishReason | None = draft.finish_reason
        if reason is None and time.monotonic() - self.began > self.max_seconds:
            draft.is_due = True
        elif draft.is_due and reason != "end":
            reason = "time"
        if text or reason is not None:
            self.tell(Written(draft.index, text, reason))
        if reason is not None:
            self._num_open -= 1
            if not self._num_open:
                self.tell(None)

    def fail(self, message: str) -> None:
        self.drop()
        self.tell(Failed(message))
        self.tell(None)

    def drop(self) -> None:
        for draft in self.drafts:
            draft.is_wanted = False


class GenerationQueue:
    """Writes the stories of the requests in the order in which they came.

    Stories that begin at the same time share a batch; a step of a batch takes little longer than that of one story.

    Args:
        limits: `max_stories` and `max_waiting` hold here.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._batcher = Batcher()
        self._waiting: deque[Job] = deque()
        self._jobs: dict[Draft, Job] = {}
        self._asides: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="generation-queue", daemon=True)
        self._thread.start()

    def submit(self, drafts: Sequence[Draft], *, max_seconds: float = float("inf")) -> Job:
        """Put a request at the end of the queue; to be called in the event loop that reads its events.

        Raises:
            Refusal: too many requests wait already.
        """
        job = Job(drafts, max_seconds)
        with self._changed:
            if len(self._waiting) >= self._limits.max_waiting:
                raise Refusal(
                    f"{len(self._waiting)} requests are waiting already. Please try again in a minute.", 503
                )
            self._waiting.append(job)
            job.tell(Waiting(len(self._waiting) - 1))
            self._changed.notify()
        return job

    async def aside(self, work: Callable[[], T]) -> T:
        """The result of other work with the engine, done between two steps of writing.

        Raises:
            Refusal: too much of it waits already, or the server is shutting down.
        """
        done: Future[T] = Future()
        with self._changed:
            if len(self._asides) >= self._limits.max_waiting or self._is_closed:
                raise Refusal("The model is busy. Please try again in a minute.", 503)
            self._asides.append((done, work))
            self._changed.notify()
        return await asyncio.wrap_future(done)

    def cancel(self, job: Job) -> None:
        """Take a request out of the queue, or stop writing its stories before their next tokens."""
        with self._changed:
            job.drop()
            if job in self._waiting:
                self._waiting.remove(job)
                self._tell_places()

    @property
    def num_unfinished(self) -> int:
        """Requests that wait or are being written."""
        with self._changed:
            return len({*self._waiting, *self._jobs.values()})

    def close(self) -> None:
        """Stop writing and end the thread."""
        with self._changed:
            self._is_closed = True
            for job in {*self._waiting, *self._jobs.values()}:
                job.fail("The server is shutting down.")
            for done, _ in self._asides:
                do_aside(done, refuse_closed)
            self._changed.notify()
        self._thread.join(timeout=10)

    def _tell_places(self) -> None:
        for place, job in enumerate(self._waiting):
            if not job.num_begun:
                job.tell(Waiting(place))

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._waiting or len(self._batcher) or self._asides or self._is_closed
                )
                if self._is_closed:
                    return
                aside = self._asides.popleft() if self._asides else None
                # While more than half are being written, the others wait, so that they can share a batch.
                if len(self._batcher) <= self._limits.max_stories // 2:
                    self._begin()
            if aside is not None:
                do_aside(*aside)
            try:
                for draft, text in self._batcher.step():
                    self._jobs[draft].report(draft, text)
            except Exception as error:  # the queue outlives whatever one step does to the model
                with self._changed:
                    for job in set(self._jobs.values()):
                        job.fail(f"Writing failed ({type(error).__name__}). Please try again.")
                self._batcher = Batcher()
            with self._changed:
                self._jobs = {draft: job for draft, job in self._jobs.items() if draft.is_unfinished}

    def _begin(self) -> None:
        """Begin stories of the requests that wait, as many as there is room for."""
        while self._waiting and len(self._batcher) < self._limits.max_stories:
            job = self._waiting[0]
            if not job.num_begun:
                job.began = time.monotonic()
                job.tell(Started(job.drafts[0].num_unread))
            room = self._limits.max_stories - len(self._batcher)
            end = job.num_begun + max(1, room // job.drafts[0].settings.num_candidates)
            begun = job.drafts[job.num_begun : end]
            self._jobs |= dict.fromkeys(begun, job)
            self._batcher.add(begun)
            job.num_begun += len(begun)
            if job.num_begun == len(job.drafts) or not any(draft.is_wanted for draft in job.drafts):
                self._waiting.popleft()
                self._tell_places()


def refuse_closed() -> None:
    raise Refusal("The server is shutting down.", 503)


def do_aside(done: Future[Any], work: Callable[[], Any]) -> None:
    if not done.set_running_or_notify_cancel():  # the client has left
        return
    try:
        done.set_result(work())
    except Exception as error:  # it belongs to whoever asked
        done.set_exception(error)

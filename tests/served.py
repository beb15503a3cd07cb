"""The page on a free port of loopback, for tests; and an engine that can be paused."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from starlette.types import ASGIApp

from fabula.generation.engine import Batch
from fabula.generation.transformers_engine import TransformersEngine
from fabula.serving.serve import listen


class HeldEngine(TransformersEngine):
    """An engine that takes its time, counts its steps, and never ends a story by itself.

    Attributes:
        seconds_a_step: how long each step takes at least.
        num_steps: steps taken so far.
        fault: raised by the next read.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seconds_a_step = 0.0
        self.num_steps = 0
        self.fault: Exception | None = None

    def read(self, windows: Sequence[Sequence[int]]) -> Batch:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        return HeldBatch(super().read(windows), self)


class HeldBatch(Batch):
    def __init__(self, batch: Batch, engine: HeldEngine) -> None:
        self._batch, self._engine = batch, engine
        self._keep_from_ending()

    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        time.sleep(self._engine.seconds_a_step)
        self._engine.num_steps += 1
        self._batch.step(rows, input_ids)
        self._keep_from_ending()

    def _keep_from_ending(self) -> None:
        self.logits_BV = self._batch.logits_BV.copy()
        self.logits_BV[:, sorted(self._engine.end_ids)] = -1e9


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Run an application in a thread; yield its address, without a slash at the end."""
    import uvicorn

    from fabula.serving.guard import TimedProtocol

    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(app, http=TimedProtocol, log_level="error", lifespan="on", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        listening.close()

"""Runs the cleaning in this process, in several, or on a Ray cluster. The results are in input order."""

import itertools
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fabula.corpus.formats.base import ReadingLog
from fabula.corpus.ledger import Decided
from fabula.corpus.lines import FileRange
from fabula.corpus.read import StorySource
from fabula.corpus.stages import CleanedStories, Cleaning, ReadStories, clean_range
from fabula.errors import FabulaError
from fabula.install import missing_extra

BATCH_BYTES = 4 << 20
"""Bytes of text in a batch that is read here and cleaned elsewhere, for files that cannot be cut."""

SERIAL_BYTES = 16 << 20
"""Up to this size of input in bytes, starting more processes takes longer than it saves."""

Decisions = Mapping[str, list[Decided]]


class Task(NamedTuple):
    """A part of the input that is being cleaned.

    Attributes:
        file: number of its file.
        size: its approximate size in bytes.
        relative: whether lines are counted from the beginning of the part, not of the file.
        result: waits for the stories, and raises the error if there was one.
    """

    file: int
    size: int
    relative: bool
    result: Callable[[], CleanedStories]


def usual_workers(source: StorySource) -> int:
    """Number of processes: one for small input, else the number of cores that this process may use."""
    if source.num_bytes <= SERIAL_BYTES:
        return 1
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def run_here(
    source: StorySource, cleaning: Cleaning, decisions: Decisions, num_workers: int
) -> Iterator[Task]:
    """Clean on this machine. At most two parts for each worker are in progress at a time."""
    with _pool(num_workers) as submit:
        waiting: deque[Task] = deque()
        tasks = _tasks(source)
        while True:
            for task, file, size in itertools.islice(tasks, num_workers * 2 - len(waiting)):
                result = submit(clean_range, source, task, cleaning, decisions)
                waiting.append(Task(file, size, isinstance(task, FileRange), result))
            if not waiting:
                return
            yield waiting.popleft()


def _tasks(source: StorySource) -> Iterator[tuple[FileRange | ReadStories, int, int]]:
    """Ranges for the workers to read, or stories that were read here, each with the number of its file and its size."""
    for part in source.ranges():
        if part.end is not None:
            yield part, part.file, source.range_bytes(part)
        else:
            for batch in batches(source, part):
                yield batch, part.file, batch.size


def batches(source: StorySource, part: FileRange) -> Iterator[ReadStories]:
    """The stories of a range in batches of about `BATCH_BYTES` of text."""
    log = ReadingLog()
    batch, num_told = ReadStories(), 0
    for story in source.read(part, log):
        batch.stories.append(story)
        batch.size += len(story.text)
        if batch.size >= BATCH_BYTES:
            batch.left_out, num_told = log.removals[num_told:], len(log.removals)
            yield batch
            batch = ReadStories()
    batch.left_out = log.removals[num_told:]
    if batch.stories or batch.left_out:
        yield batch


@contextmanager
def _pool(num_workers: int) -> Iterator[Callable[..., Callable[[], CleanedStories]]]:
    """Yields a function that starts a call and returns a function that waits for its result."""
    if num_workers == 1:
        yield lambda call, *arguments: lambda: call(*arguments)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    pool = ProcessPoolExecutor(
        num_workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
    )

    def submit(call: Callable[..., CleanedStories], *arguments: Any) -> Callable[[], CleanedStories]:
        future = pool.submit(call, *arguments)

        def result() -> CleanedStories:
            try:
                return future.result()
            except BrokenProcessPool:
                raise FabulaError(
                    "a worker process died, perhaps for lack of memory", hint="try fewer with --workers"
                ) from None

        return result

    try:
        yield submit
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    import signal
    import threading

    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["RAYON_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C


def _end_with_parent() -> None:
    """End this worker when its parent was killed; it would wait forever for the next task."""
    import multiprocessing

    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def run_on_ray(source: StorySource, cleaning: Cleaning, decisions: Decisions, address: str) -> Iterator[Task]:
    """Clean on a Ray cluster, with Ray Data. If a machine fails, its parts are cleaned again on another one.

    Every machine must have fabula installed, and find the input at the same path.

    Raises:
        FabulaError: Ray is not installed, or nothing answers at `address`.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise missing_extra("Ray is not installed", "scale", where="--ray") from None
    if not ray.is_initialized():
        if address == "local":
            ray.init(log_to_driver=False)
        else:
            _answers(address)
            ray.init(address=address, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    parts = list(source.ranges())
    shared = ray.put((source, cleaning, dict(decisions)))

    def clean_row(rows: Any) -> Iterator[Any]:
        source, cleaning, decisions = ray.get(shared)
        for number in rows["item"]:
            for batch in clean_batches(source, parts[number], cleaning, decisions):
                yield {"part": np.array([number]), "result": _one_object(batch)}

    rows = ray.data.from_items(list(range(len(parts))), override_num_blocks=len(parts)).map_batches(
        clean_row, batch_size=1, num_cpus=1
    )
    for row in rows.iter_rows():
        part = parts[row["part"]]
        size = source.range_bytes(part) if part.end is not None else 0
        yield Task(part.file, size, part.end is not None, partial(_raised, row["result"]))


def _answers(address: str) -> None:
    """Check that something answers at "host:port"; Ray itself would wait for minutes.

    Raises:
        FabulaError: nothing answers.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError):
        raise FabulaError(
            "no Ray cluster answers",
            where=address,
            hint="give the address of its head, such as host:6379, or local",
        ) from None


def clean_batches(
    source: StorySource, part: FileRange, cleaning: Cleaning, decisions: Decisions
) -> Iterator[CleanedStories | FabulaError]:
    """A range, cleaned, in parts that fit into memory; the last one is the error that ended it, if there was one."""
    try:
        if part.end is not None:
            yield clean_range(source, part, cleaning, decisions)
        else:
            for batch in batches(source, part):
                yield clean_range(source, batch, cleaning, decisions)
    except FabulaError as error:
        yield error


def _one_object(value: object) -> np.ndarray:
    column = np.empty(1, object)
    column[0] = value
    return column


def _raised(result: CleanedStories | FabulaError) -> CleanedStories:
    if isinstance(result, FabulaError):
        raise result
    return result

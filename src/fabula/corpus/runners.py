"""Runs the cleaning in this process, in several, or on a Ray cluster. The results are in input order."""

import itertools
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

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
    """Clean on a Ray cluster. If a machine fails, its parts are cleaned again on another one.

    Every machine must have fabula installed, and find the input at the same path. Two parts for each core are in progress
    at a time.

    Raises:
        FabulaError: Ray is not installed, or nothing answers at `address`.
    """
    try:
        import ray
    except ImportError:
        raise missing_extra("Ray is not installed", "scale", packages=["ray"], where="--ray") from None
    with _told_if_killed(
        "fabula: error: --ray: Ray ended this program, since one of its own processes on this machine is gone;"
        " type the same command again"
    ):
        yield from _ray_tasks(ray, (source, cleaning, dict(decisions)), address)


def _ray_tasks(ray: Any, work: tuple[StorySource, Cleaning, Decisions], address: str) -> Iterator[Task]:
    if not ray.is_initialized():
        quiet = {"log_to_driver": False, "logging_level": "error"}
        if address == "local":
            # Ray's 15 leaves them little beside other programs
            os.environ.setdefault("RAY_worker_niceness", "0")
            ray.init(include_dashboard=False, **quiet)
        else:
            _answers(address)
            ray.init(address=address, **quiet)
    clean: Any = ray.remote(num_cpus=1, num_returns="streaming")(clean_batches)
    shared = ray.put(work)
    source = work[0]
    parts = source.ranges()
    waiting: deque[tuple[FileRange, Iterator[Any]]] = deque()
    while True:
        num_parts = 2 * max(1, int(ray.cluster_resources().get("CPU", 0)))  # machines come and go
        for part in itertools.islice(parts, max(0, num_parts - len(waiting))):
            waiting.append((part, clean.remote(shared, part)))
        if not waiting:
            return
        part, results = waiting.popleft()
        size = source.range_bytes(part) if part.end is not None else 0
        for result in results:
            yield Task(part.file, size, part.end is not None, partial(_fetch, result))


@contextmanager
def _told_if_killed(message: str) -> Iterator[None]:
    """Print a message if this process ends within the block, as Ray's library ends it, without an exception, when it
    loses its server on this machine."""
    code = "import sys; sys.stdin.read() or print(sys.argv[1], file=sys.stderr)"
    watcher = subprocess.Popen(
        [sys.executable, "-c", code, message], stdin=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield
    finally:
        watcher.communicate("alive")


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
    shared: tuple[StorySource, Cleaning, Decisions], part: FileRange
) -> Iterator[CleanedStories | FabulaError]:
    """A range, cleaned, in parts that fit into memory; the last one is the error that ended it, if there was one."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    source, cleaning, decisions = shared
    try:
        for task in [part] if part.end is not None else batches(source, part):
            yield clean_range(source, task, cleaning, decisions)
    except FabulaError as error:
        yield error


def _fetch(result: Any) -> CleanedStories:
    """The stories that a task of Ray returned."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        cleaned: Any = ray.get(result)
    except RayTaskError:  # an error in this program
        raise
    except RayError as error:
        raise FabulaError(
            f"the Ray cluster failed ({type(error).__name__})", where="--ray", hint="see its own logs"
        ) from error
    if isinstance(cleaned, FabulaError):
        raise cleaned
    return cleaned

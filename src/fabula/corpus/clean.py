"""Clean a file of stories into a corpus.

    result = clean("stories.txt", "corpus")

Stories are processed as a stream: they are read, repaired, searched for boilerplate and filtered (`stages`; one range
    of the input at a time, in several processes), stored on disk (`spool`) until their near-duplicates are known
    (`dedup`), then split and written (`assemble`). Each step depends only on content, so the corpus is the same, byte
    for byte, with any number of processes.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fabula.corpus import remote
from fabula.corpus.assemble import assemble
from fabula.corpus.options import CleaningOptions, ReadingOptions, WorkerOptions
from fabula.corpus.plan import Plan, resolve
from fabula.corpus.runners import run_here, run_on_ray, usual_workers
from fabula.corpus.store import STAGE, check_file, check_output, is_whole, write_jsonl
from fabula.errors import FabulaError
from fabula.files import PARTIAL, atomic_folder, library_versions, sole_owner
from fabula.progress import OnProgress, silent
from fabula.results import CleaningCounts, CorpusManifest


@dataclass(frozen=True)
class CleanResult:
    """What cleaning did.

    Attributes:
        corpus: folder of the corpus; None after a preview.
        counts: what was read, kept, removed and repaired.
        unchanged: whether the corpus existed already and nothing was done.
    """

    corpus: Path | None
    counts: CleaningCounts
    unchanged: bool = False


def clean(
    stories: str | Path | Sequence[str | Path],
    out: str | Path | None,
    options: CleaningOptions | None = None,
    *,
    reading: ReadingOptions | None = None,
    workers: WorkerOptions | None = None,
    decisions: str | Path | None = None,
    jsonl: str | Path | None = None,
    on_progress: OnProgress = silent,
) -> CleanResult:
    """Clean stories into a corpus: remove text that is not story, drop near-duplicates, and hold some stories out for
    validation.

    Args:
        stories: one or more files, archives, folders or URLs, or `hub:user/dataset`; see `open_stories`.
        out: folder of the corpus, or its URL; None for a preview, which writes nothing. An existing corpus is replaced,
            unless it was made from the same input and settings.
        options: what is removed, dropped and held out.
        reading: how the stories are read.
        workers: where the work is done. As always with several processes, a script that calls this for large input must
            be guarded by `if __name__ == "__main__":`.
        decisions: a review file (see `read_decisions`).
        jsonl: also write the kept stories to this file, in the order of the input, as {"source_line", "text"}.

    Raises:
        FabulaError: the input cannot be read, the output cannot be written (perhaps because another process is writing
            it), or nothing is left to train on.
    """
    workers = workers or WorkerOptions()
    plan = resolve(stories, options or CleaningOptions(), reading or ReadingOptions(), decisions, on_progress)
    if jsonl is not None:
        check_file(Path(jsonl))
    if out is not None and (found := _find(plan, out, wants_jsonl=jsonl is not None)) is not None:
        if jsonl is not None:
            write_jsonl(Path(out), Path(jsonl))
        return CleanResult(remote.path_of(out), found, unchanged=True)
    with _output_folder(out) as folder:
        counts = _make(plan, folder, workers, on_progress)
        if jsonl is not None:
            write_jsonl(folder, Path(jsonl))
        if out is not None and remote.is_url(out):
            remote.put(folder, str(out))
    return CleanResult(remote.path_of(out) if out is not None else None, counts)


def _find(plan: Plan, out: str | Path, wants_jsonl: bool) -> CleaningCounts | None:
    """The counts of the corpus at `out`, if it is complete and was made from the same input and settings.

    Raises:
        FabulaError: `out` holds something else.
    """
    if remote.is_url(out):
        manifest = remote.manifest_at(str(out))
        is_there = manifest is not None and not wants_jsonl
    else:
        check_output(Path(out))
        manifest = CorpusManifest.find(Path(out))
        is_there = manifest is not None and is_whole(Path(out))
    if manifest is None or not is_there or manifest.fingerprint != plan.fingerprint:
        return None
    return manifest.counts


@contextmanager
def _output_folder(out: str | Path | None) -> Iterator[Path]:
    """An empty folder that becomes the corpus; a temporary one for a preview and for a URL."""
    with ExitStack() as stack:
        if out is None or remote.is_url(out):
            yield Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fabula-")))
        else:
            stack.enter_context(_sole_writer(Path(out)))
            yield stack.enter_context(atomic_folder(out))


@contextmanager
def _sole_writer(out: Path) -> Iterator[None]:
    """Keep a second process from writing the corpus `out` while the block runs.

    The lock is in a folder next to it, since `out` itself is replaced. The folder is deleted afterwards.
    """
    beside = out.with_name(f"{out.name}.lock{PARTIAL}")
    with ExitStack() as stack:
        try:
            stack.enter_context(sole_owner(beside))
        except FabulaError as error:
            raise FabulaError(error.what, where=out, hint=error.hint) from None
        stack.callback(shutil.rmtree, beside, ignore_errors=True)
        yield


def _make(plan: Plan, folder: Path, workers: WorkerOptions, on_progress: OnProgress) -> CleaningCounts:
    """Fill `folder` with the corpus."""
    if workers.ray is None:
        num_workers = workers.workers or usual_workers(plan.source)
        tasks = run_here(plan.source, plan.cleaning, plan.decisions, num_workers)
    else:
        tasks = run_on_ray(plan.source, plan.cleaning, plan.decisions, workers.ray)
    counts = assemble(folder, plan, tasks, on_progress)
    CorpusManifest(
        stage=STAGE,
        fingerprint=plan.fingerprint,
        inputs=plan.inputs,
        config=plan.cleaning.model_dump(mode="json"),
        counts=counts,
        versions=library_versions("ftfy", "rensa", "pyarrow"),
    ).write(folder)
    return counts

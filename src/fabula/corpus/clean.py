"""Clean a file of stories into a corpus.

    result = clean("stories.txt", "corpus")

Stories stream through: read, repair, find notes, filter (`stages`, one range of the input at a time, on as many
processes as there are); wait on the disk (`spool`) until the copies among them are known (`dedup`); are split and
written (`split`, `store`). Each step is a function of content alone, so the corpus is the same, byte for byte, whatever
the number of processes.
"""

import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fabula.corpus import dedup, remote, split
from fabula.corpus.boilerplate import RULE_SETS, RULES, choose_rule_set
from fabula.corpus.filters import Filters
from fabula.corpus.ledger import Decided, Removal, read_decisions, restore
from fabula.corpus.own_rules import RuleFile
from fabula.corpus.read import StorySource, open_stories
from fabula.corpus.review import Review
from fabula.corpus.runners import Work, run_here, run_on_ray, usual_workers
from fabula.corpus.spool import Spool
from fabula.corpus.stages import Batch, Cleaning, Copies
from fabula.corpus.store import REVIEW, STAGE, CorpusWriter, check_file, check_output, is_whole, open_corpus
from fabula.errors import FabulaError, did_you_mean
from fabula.files import (
    PARTIAL,
    Manifest,
    atomic_file,
    atomic_folder,
    fingerprint,
    hash_file,
    library_versions,
    sole_owner,
)
from fabula.progress import OnProgress, Progress, silent

_NUM_SAMPLED = 400
"""Stories that the rule set is chosen by."""


@dataclass(frozen=True)
class CleanResult:
    """What cleaning did.

    Attributes:
        corpus: its folder; None after a dry run.
        format: how the stories were written, for the reader.
        rule_set: the rules that looked for notes, and `rule_set_reason`: why those.
        num_read, num_kept: stories.
        num_dropped: stories, by reason ("empty", "exact_copy", "near_copy", or a filter's name).
        num_removals: pieces of text taken out of kept stories; `removals_by_rule` and `words_by_rule` by rule.
        words_removed, words_kept: words of kept stories.
        repairs: number of repairs, by name.
        splits: stories by split.
        unchanged: nothing was done, because the corpus was there already.
    """

    corpus: Path | None
    format: str
    rule_set: str
    rule_set_reason: str
    num_read: int
    num_kept: int
    num_dropped: dict[str, int]
    num_removals: int
    removals_by_rule: dict[str, int]
    words_by_rule: dict[str, int]
    words_removed: int
    words_kept: int
    repairs: dict[str, int]
    splits: dict[str, int]
    unchanged: bool = False


def clean(
    stories: str | Path,
    out: str | Path | None,
    *,
    format: str | None = None,
    column: str | None = None,
    split_at: str | None = None,
    encoding: str | None = None,
    rules: str = "auto",
    keep: Sequence[str] = (),
    repair: bool = True,
    markdown: bool = False,
    filters: Filters | None = None,
    copies: Copies = "drop",
    similarity: float = dedup.SIMILARITY,
    split_ratios: str = split.DEFAULT,
    decisions: str | Path | None = None,
    jsonl: str | Path | None = None,
    num_workers: int | None = None,
    ray: str | None = None,
    on_progress: OnProgress = silent,
) -> CleanResult:
    """Clean stories into a corpus: take out what is not story, drop copies, and hold some out for validation.

    Args:
        stories, format, column, split_at, encoding: see `open_stories`.
        out: the corpus's folder (or the URL of one, as fsspec reads it), or None for a dry run. A corpus that is there
            is replaced; one that came from the same input and settings is left as it is.
        rules: a rule set of `fabula.corpus.boilerplate`; "auto": by what the stories look like; or a file of rules of one's
            own (see `fabula.corpus.own_rules`).
        keep: rules whose findings stay in.
        repair: undo wrong decodings, entities and invisible characters first. `markdown`: Reddit's escapes, too.
        filters: which stories to drop; by default only empty ones.
        copies: "drop" copies and near-copies; "keep" them, but on one side of the split; or "ignore" the question.
        similarity: Jaccard index of word 5-grams from which two stories are near-copies.
        split_ratios: see `split.parse_ratios`. A split column in the input comes first.
        decisions: a review file (see `read_decisions`).
        jsonl: also write kept stories there, in input order, as {"source_line", "text"}.
        num_workers: processes. By default one for small input and else one a core; a script that calls this for
            large input must be guarded by `if __name__ == "__main__":`, as always with processes.
        ray: address of a Ray cluster that cleans instead, or "local". The corpus is the same, byte for byte.

    Raises:
        FabulaError: the input cannot be read, or the output not written (another process may be at it), or nothing
            is left to train on.
    """
    source = open_stories(stories, format=format, column=column, split_at=split_at, encoding=encoding)
    ratios = split.parse_ratios(split_ratios)
    decided = read_decisions(decisions) if decisions is not None else {}
    on_progress(Progress("clean", message=source.description))
    own = RuleFile.read(rules) if rules.endswith(".toml") else RuleFile(base=rules)
    keep = sorted({*keep, *own.keep})
    _check_rules(keep)
    rule_set, reason = _choose_rules(own.base, source)
    if own.base == "auto":
        on_progress(Progress("clean", message=f"rules: {rule_set} ({reason})"))
    cleaning = Cleaning.parse(
        {
            "rules": rule_set,
            "own": own.rules,
            "keep": keep,
            "repair": repair,
            "markdown": markdown,
            "filters": filters or Filters(),
            "copies": copies,
            "similarity": similarity,
            "split": split_ratios,
        }
    )
    about = {"format": source.description, "rule_set": rule_set, "rule_set_reason": reason}
    inputs = {"stories": source.fingerprint}
    if decisions is not None:
        inputs["decisions"] = hash_file(decisions)
    config = cleaning.model_dump(mode="json")
    key = fingerprint([inputs, config, _code()])
    if jsonl is not None:
        check_file(Path(jsonl))
    url = str(out) if out is not None and remote.is_url(out) else None
    with ExitStack() as stack:
        if out is None or url:
            found = remote.manifest_at(url) if url else None
            if found is not None and found.fingerprint == key and jsonl is None:
                return _result(remote.path_of(str(url)), found.counts, unchanged=True)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fabula-")))
        else:
            check_output(Path(out))
            found = Manifest.find(Path(out))
            if found is not None and found.fingerprint == key and is_whole(Path(out)):
                result = _result(Path(out), found.counts, unchanged=True)
                if jsonl is not None:
                    _write_jsonl(Path(out), Path(jsonl))
                return result
            stack.enter_context(_sole_writer(Path(out)))
            folder = stack.enter_context(atomic_folder(out))
        if ray is None:
            works = run_here(source, cleaning, decided, num_workers or usual_workers(source))
        else:
            works = run_on_ray(source, cleaning, decided, ray)
        counts = _make(folder, source, works, cleaning, decided, ratios, about, on_progress)
        Manifest(
            stage=STAGE,
            fingerprint=key,
            inputs=inputs,
            config=config,
            counts=counts,
            versions=library_versions("ftfy", "rensa", "pyarrow"),
        ).write(folder)
        if jsonl is not None:
            _write_jsonl(folder, Path(jsonl))
        if url:
            remote.put(folder, url)
    return _result(remote.path_of(out) if out is not None else None, counts)


@contextmanager
def _sole_writer(out: Path) -> Iterator[None]:
    """Keep a second process from writing the corpus `out` while the block runs.

    The lock is in a folder beside it, since `out` itself is replaced; nothing is left of it afterwards.
    """
    beside = out.with_name(f"{out.name}.lock{PARTIAL}")
    with ExitStack() as stack:
        try:
            stack.enter_context(sole_owner(beside))
        except FabulaError as error:
            raise FabulaError(error.what, where=out, hint=error.hint) from None
        stack.callback(shutil.rmtree, beside, ignore_errors=True)
        yield


def _choose_rules(rules: str, source: StorySource) -> tuple[str, str]:
    if rules != "auto":
        if rules not in RULE_SETS:
            raise FabulaError(
                f"unknown rule set {rules!r}", where="--rules", hint=did_you_mean(rules, ["auto", *RULE_SETS])
            )
        return rules, "named by you"
    parts = list(itertools.islice(source.ranges(), 100_000))
    count = min(len(parts), 40)
    spread = [parts[len(parts) * part // count] for part in range(count)]
    texts = [
        story.text
        for part in spread
        for story in itertools.islice(source.read(part), _NUM_SAMPLED // len(spread))
    ]
    return choose_rule_set(texts)


def _check_rules(keep: Sequence[str]) -> None:
    for rule in keep:
        if rule not in RULES:
            raise FabulaError(f"unknown rule {rule!r}", where="--keep", hint=did_you_mean(rule, RULES))


def _code() -> str:
    """Hash of this package, so that a corpus is made again when the rules have changed."""
    here = Path(__file__).parent
    files = sorted(file for file in here.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return fingerprint([[file.relative_to(here).as_posix(), hash_file(file)] for file in files])


def _make(
    folder: Path,
    source: StorySource,
    works: Iterable[Work],
    cleaning: Cleaning,
    decided: Mapping[str, list[Decided]],
    ratios: tuple[float, ...],
    about: dict[str, Any],
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Fill `folder` with a corpus, but for its manifest. Returns the manifest's counts."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".spool-") as spool_folder:
        spool = Spool(Path(spool_folder))
        try:
            for batch in _in_order(source, works, on_progress):
                spool.add(batch)
            if strangers := decided.keys() - set(map(spool.id, range(len(spool)) if decided else ())):
                on_progress(
                    Progress(
                        "clean",
                        message=f"decisions about stories that are not in the input: {len(strangers):,}",
                    )
                )
            if not len(spool):
                raise FabulaError(
                    "there is no story in it",
                    where=source.path,
                    hint="see whether --format names the right format",
                )
            return _write(folder, spool, source, cleaning, ratios, about, on_progress)
        finally:
            spool.close()


def _in_order(source: StorySource, works: Iterable[Work], on_progress: OnProgress) -> Iterator[Batch]:
    """All stories, cleaned, with lines counted from the beginning of their file."""
    whole = bool(source.plans) and all(source.can_cut(number) for number in range(len(source.plans)))
    scale, unit = (1e6, "MB") if source.num_bytes >= 1e7 else (1e3, "kB")
    file, lines_before, num_stories, done = -1, 0, 0, 0.0
    for work in works:
        if work.file != file:
            file, lines_before = work.file, 0
        try:
            batch = work.result()
        except FabulaError as error:
            if error.line is None or not work.relative:
                raise
            raise FabulaError(
                error.what, where=error.where, line=error.line + lines_before, hint=error.hint
            ) from None
        if lines_before:
            for one in batch.stories:
                one.story = replace(one.story, source_line=one.story.source_line + lines_before)
        lines_before += batch.num_lines
        num_stories += len(batch.stories)
        done += work.size / scale
        yield batch
        if whole:
            values, total = {"stories": num_stories}, source.num_bytes / scale
            on_progress(Progress("clean", done=done, total=total, unit=unit, values=values))
        else:
            on_progress(Progress("clean", done=num_stories, unit="stories"))


def _write(
    folder: Path,
    spool: Spool,
    source: StorySource,
    cleaning: Cleaning,
    ratios: tuple[float, ...],
    about: dict[str, Any],
    on_progress: OnProgress,
) -> dict[str, Any]:
    num = len(spool)
    standing = np.flatnonzero(~spool.dropped)  # what filters dropped stands for nobody
    cluster, similar = np.arange(num), np.ones(num)
    if cleaning.copies != "ignore" and len(standing):
        on_progress(Progress("clean", message=f"looking for copies among {len(standing):,} stories"))
        of, found = dedup.find_copies(
            spool.keys[standing],
            lambda column: spool.band(column)[standing],
            spool.lengths[standing],
            lambda number: spool.text(int(standing[number])),
            cleaning.similarity,
        )
        cluster[standing], similar[standing] = standing[of], found
    given = spool.splits if (spool.splits > 0).any() else np.full(num, -1, np.int8)  # all "train" is no split
    heads = standing[cluster[standing] == standing]
    splits = np.full(num, -1, np.int8)
    splits[heads] = split.assign(
        np.array([split.position(spool.id(head)) for head in heads]), ratios, given[heads]
    )
    splits[standing] = splits[cluster[standing]]
    if not len(heads):
        raise FabulaError(f"none of {num:,} stories can be kept", where=source.path, hint="see the filters")
    if len(heads) < 2 and ratios[0] < 1:
        what = "there is only one story" if num == 1 else f"only 1 of {num:,} stories can be kept"
        raise FabulaError(
            f"{what}, and none can be held out for validation",
            where=source.path,
            hint="see whether --format names the right format, or add more stories",
        )
    tally = _Tally()
    review = Review({name: f"your own: {rule.pattern}" for name, rule in cleaning.own.items()})
    with CorpusWriter(folder) as writer:
        for number, one in enumerate(spool):
            tally.read(one.repairs)
            head = int(cluster[number])
            if one.reason or (head != number and cleaning.copies == "drop"):
                reason, of, likeness = one.reason, "", None
                if not reason:
                    exact = bool((spool.keys[number] == spool.keys[head]).all())
                    reason, of = "exact_copy" if exact else "near_copy", spool.id(head)
                    likeness = float(similar[number])
                text = None if of == one.story.id else restore(one.story.text, one.removals)
                writer.drop(one.story, text, reason, of, likeness)
                review.dropped(one.story, text, reason, of, likeness)
                tally.dropped[reason] += 1
            else:
                story = replace(one.story, cluster=spool.id(head), split=split.NAMES[splits[number]])
                writer.keep(story, one.removals, one.num_words)
                review.kept(story, one.removals, one.num_words)
                tally.kept(story.split, one.removals, one.num_words)
            if number % 1000 == 999 or number + 1 == num:
                on_progress(Progress("write", done=number + 1, total=num, unit="stories"))
    counts = tally.counts() | about
    with (folder / REVIEW).open("w", encoding="utf-8", newline="\n") as file:
        file.write(review.render(source.title, counts))
    shards = sorted((folder / "data").iterdir())
    return counts | {
        "shards": {shard.name: shard.stat().st_size for shard in shards},
        "content": fingerprint([[shard.name, hash_file(shard)] for shard in shards]),
    }


class _Tally:
    """Counts while stories are written."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self._num_read = self._words_kept = 0
        self._repairs: Counter[str] = Counter()
        self._splits: Counter[str] = Counter()
        self._removals: Counter[str] = Counter()
        self._words: Counter[str] = Counter()

    def read(self, repairs: Mapping[str, int]) -> None:
        self._num_read += 1
        self._repairs.update(repairs)

    def kept(self, split: str, removals: Sequence[Removal], num_words: int) -> None:
        self._splits[split] += 1
        self._words_kept += num_words
        for removal in removals:
            self._removals[removal.rule] += 1
            self._words[removal.rule] += len(removal.text.split())

    def counts(self) -> dict[str, Any]:
        return {
            "num_read": self._num_read,
            "num_kept": self._splits.total(),
            "num_dropped": dict(sorted(self.dropped.items())),
            "num_removals": self._removals.total(),
            "removals_by_rule": dict(sorted(self._removals.items())),
            "words_by_rule": dict(sorted(self._words.items())),
            "words_removed": self._words.total(),
            "words_kept": self._words_kept,
            "repairs": dict(sorted(self._repairs.items())),
            "splits": {name: self._splits[name] for name in split.NAMES if self._splits[name]},
        }


def _result(corpus: Path | None, counts: Mapping[str, Any], unchanged: bool = False) -> CleanResult:
    fields = {name: value for name, value in counts.items() if name not in ("shards", "content")}
    return CleanResult(corpus=corpus, unchanged=unchanged, **fields)


def _write_jsonl(corpus: Path, path: Path) -> None:
    """Kept stories in the order of the input."""
    import heapq
    import json

    opened = open_corpus(corpus)
    splits = [opened.stories(name) for name in opened.splits]
    with atomic_file(path) as file:
        for story in heapq.merge(*splits, key=lambda story: (story.source, story.source_line)):
            row = {"source_line": story.source_line, "text": story.text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

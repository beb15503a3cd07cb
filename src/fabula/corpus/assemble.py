"""Turns cleaned stories into the files of a corpus: collects them, finds near-duplicates, splits and writes."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fabula.corpus import dedup, split
from fabula.corpus.formats.base import LINE_WRAPS, ReaderRemoval
from fabula.corpus.judge import MAX_EXAMINED, Examination, first_line, judge, stop_if_flagrant
from fabula.corpus.ledger import DroppedRow, LeftOutRow, RepairRow, restore
from fabula.corpus.normalise import PAGE_LINES
from fabula.corpus.plan import Plan
from fabula.corpus.read import StorySource
from fabula.corpus.review import Review, certainty
from fabula.corpus.runners import Task
from fabula.corpus.spool import Spool
from fabula.corpus.stages import CleanedStories, CleanedStory
from fabula.corpus.store import REVIEW, CorpusWriter
from fabula.errors import FabulaError
from fabula.files import fingerprint, hash_file
from fabula.formatting import count_stories
from fabula.progress import OnProgress, Progress
from fabula.results import CleaningCounts, CorpusCounts
from fabula.story import count_words


def assemble(folder: Path, plan: Plan, tasks: Iterable[Task], on_progress: OnProgress) -> CorpusCounts:
    """Fill `folder` with a corpus, except for its manifest.

    Raises:
        FabulaError: the input cannot be read, or nothing is left to train on.
    """
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".spool-") as spool_folder,
        closing(Spool(Path(spool_folder))) as spool,
    ):
        left_out: list[ReaderRemoval] = list(plan.source.passed_over)
        for cleaned in _in_order(plan.source, tasks, on_progress):
            spool.add(cleaned)
            left_out += cleaned.left_out
        if not len(spool):
            raise FabulaError(
                "there is no story in it",
                where=plan.source.path,
                hint="see whether --format names the right format",
            )
        _check_decisions(plan, spool, on_progress)
        clusters = _find_clusters(spool, plan, on_progress)
        splits = _assign_splits(spool, clusters, plan)
        counts = _write(folder, plan, Sorted(spool, clusters, splits, left_out), on_progress)
    shards = sorted((folder / "data").iterdir())
    return CorpusCounts(
        **counts.model_dump(),
        shards={shard.name: shard.stat().st_size for shard in shards},
        content=fingerprint([[shard.name, hash_file(shard)] for shard in shards]),
    )


def _in_order(
    source: StorySource, tasks: Iterable[Task], on_progress: OnProgress
) -> Iterator[CleanedStories]:
    """All stories, cleaned, in input order, with lines counted from the beginning of their file."""
    whole = bool(source.plans) and all(source.can_cut(number) for number in range(len(source.plans)))
    scale, unit = (1e6, "MB") if source.num_bytes >= 1e7 else (1e3, "kB")
    file, lines_before, num_stories, done = -1, 0, 0, 0.0
    for task in tasks:
        if task.file != file:
            file, lines_before = task.file, 0
        try:
            cleaned = task.result()
        except FabulaError as error:
            if error.line is None or not task.relative:
                raise
            raise FabulaError(
                error.what, where=error.where, line=error.line + lines_before, hint=error.hint
            ) from None
        if lines_before:
            cleaned.left_out = [replace(one, line=one.line + lines_before) for one in cleaned.left_out]
            for one in cleaned.stories:
                one.story = replace(one.story, source_line=one.story.source_line + lines_before)
        lines_before += cleaned.num_lines
        num_stories += len(cleaned.stories)
        done += task.size / scale
        yield cleaned
        if whole:
            values, total = {"stories": num_stories}, source.num_bytes / scale
            on_progress(Progress("clean", done=done, total=total, unit=unit, values=values))
        else:
            on_progress(Progress("clean", done=num_stories, unit="stories"))


def _check_decisions(plan: Plan, spool: Spool, on_progress: OnProgress) -> None:
    """Report decisions about stories that are not in the input."""
    ids = set(map(spool.id, range(len(spool) if plan.decisions else 0)))
    if unknown := plan.decisions.keys() - ids:
        message = f"decisions about stories that are not in the input: {len(unknown):,}"
        on_progress(Progress("clean", message=message))


@dataclass(frozen=True)
class Clusters:
    """Near-duplicates among all stories that were read.

    Attributes:
        head: [num_stories] number of the story that represents the cluster of each story (its own number if it is the
            one).
        similarity: [num_stories] Jaccard index with that story.
        candidates: numbers of the stories that no filter dropped.
    """

    head: np.ndarray
    similarity: np.ndarray
    candidates: np.ndarray

    @property
    def heads(self) -> np.ndarray:
        """Numbers of the stories that represent their clusters."""
        return self.candidates[self.head[self.candidates] == self.candidates]


def _find_clusters(spool: Spool, plan: Plan, on_progress: OnProgress) -> Clusters:
    """Find the clusters among the stories that no filter dropped: a dropped story cannot represent others."""
    candidates = np.flatnonzero(~spool.dropped)
    head, similarity = np.arange(len(spool)), np.ones(len(spool))
    if plan.cleaning.copies != "ignore" and len(candidates):
        on_progress(Progress("clean", message=f"looking for copies among {count_stories(len(candidates))}"))
        kept, similar = dedup.find_near_duplicates(
            spool.keys[candidates],
            lambda column: spool.band(column)[candidates],
            spool.lengths[candidates],
            lambda number: spool.text(int(candidates[number])),
            plan.cleaning.similarity,
        )
        head[candidates], similarity[candidates] = candidates[kept], similar
    return Clusters(head, similarity, candidates)


def _assign_splits(spool: Spool, clusters: Clusters, plan: Plan) -> np.ndarray:
    """The split of each story [num_stories], as its number in `split.NAMES`; -1 for a story that a filter dropped.

    Raises:
        FabulaError: too few stories are left.
    """
    num, heads = len(spool), clusters.heads
    ratios = split.parse_ratios(plan.cleaning.split)
    if not len(heads):
        what = (
            f"none of {num:,} stories can be kept" if num > 1 else "there is no story in it that can be kept"
        )
        raise FabulaError(
            what, where=plan.source.path, hint="see whether it is the right file, and the filters"
        )
    if len(heads) < 2 and ratios[0] < 1:
        what = "there is only one story" if num == 1 else f"only 1 of {num:,} stories can be kept"
        raise FabulaError(
            f"{what}, and none can be held out for validation",
            where=plan.source.path,
            hint="add stories; if there are several in it, --split-at says where they begin"
            if num == 1
            else "the others are copies of it (see --copies), or a filter such as --min-words drops them",
        )
    # An input that labels every story "train" was not split.
    given = spool.splits if (spool.splits > 0).any() else np.full(num, -1, np.int8)
    if not (given >= 0).any():
        given = split.hold_out_ends(spool.books, spool.lengths, ratios)
    positions = np.array([split.position(spool.id(head)) for head in heads])
    splits = np.full(num, -1, np.int8)
    splits[heads] = split.assign(positions, ratios, given[heads])
    splits[clusters.candidates] = splits[clusters.head[clusters.candidates]]
    return splits


@dataclass(frozen=True)
class Sorted:
    """Everything that was read, with the split of each story.

    Attributes:
        spool: the stories.
        clusters: which of them are near-duplicates.
        splits: [num_stories] from `_assign_splits`.
        left_out: what was not read.
    """

    spool: Spool
    clusters: Clusters
    splits: np.ndarray
    left_out: Sequence[ReaderRemoval]

    def is_kept(self, drops_copies: bool) -> np.ndarray:
        """Whether each story is kept [num_stories]."""
        heads = self.clusters.head == np.arange(len(self.spool))
        return ~self.spool.dropped & (heads | (not drops_copies))


def _write(folder: Path, plan: Plan, read: Sorted, on_progress: OnProgress) -> CleaningCounts:
    """Write stories, ledger and review."""
    spool, clusters = read.spool, read.clusters
    is_kept = read.is_kept(plan.cleaning.copies == "drop")
    tally = Tally(np.flatnonzero(is_kept))
    review = Review({name: f"your own: {rule.pattern}" for name, rule in plan.cleaning.own.items()})
    with CorpusWriter(folder) as writer:
        for removal in read.left_out:
            source, line = removal.source, removal.line
            if removal.reason == LINE_WRAPS:
                tally.repairs[LINE_WRAPS] += int(removal.text)
                writer.write_row(_repair_row(source, line, LINE_WRAPS, int(removal.text)))
            else:
                writer.write_row(
                    LeftOutRow(left_out=removal.reason, source=source, source_line=line, text=removal.text)
                )
        for number, one in enumerate(spool):
            tally.add_read(one.repairs)
            for name in (LINE_WRAPS, PAGE_LINES):
                if count := one.repairs.get(name):
                    writer.write_row(_repair_row(one.story.source, one.story.source_line, name, count))
            if not is_kept[number]:
                row = _dropped_row(spool, clusters, number, one)
                writer.write_row(row)
                review.add_dropped(row, one.story.text)
                tally.dropped[row.dropped] += 1
            else:
                head = int(clusters.head[number])
                story = replace(one.story, cluster=spool.id(head), split=split.NAMES[read.splits[number]])
                writer.keep(story, one.removals, one.num_words)
                one.story = story
                review.add_kept(one)
                tally.add_kept(number, one)
            if number % 1000 == 999 or number + 1 == len(spool):
                on_progress(Progress("save", done=number + 1, total=len(spool), unit="stories"))
    if not plan.force:
        stop_if_flagrant(tally.examined, plan.source.path)
    counts = tally.counts(plan, read.left_out)
    with (folder / REVIEW).open("w", encoding="utf-8", newline="\n") as file:
        file.write(review.render(plan.source.title, counts))
    return counts


def _repair_row(source: str, line: int, name: str, count: int) -> RepairRow:
    return RepairRow(repaired=name, source=source, source_line=line, count=count)


def _dropped_row(spool: Spool, clusters: Clusters, number: int, one: CleanedStory) -> DroppedRow:
    """The ledger row for a story that is not kept."""
    reason, copy_of, similarity = one.reason, "", None
    if not reason:
        head = int(clusters.head[number])
        is_exact = bool((spool.keys[number] == spool.keys[head]).all())
        reason, copy_of = "exact_copy" if is_exact else "near_copy", spool.id(head)
        similarity = round(float(clusters.similarity[number]), 4)
    return DroppedRow(
        story=one.story.id,
        source=one.story.source,
        source_line=one.story.source_line,
        dropped=reason,
        copy_of=copy_of,
        similarity=similarity,
        title=one.story.title,
        text=None if copy_of == one.story.id else restore(one.story.text, one.removals),
    )


class Tally:
    """Counts while stories are written. `kept` are the numbers of the stories that are kept."""

    def __init__(self, kept: np.ndarray) -> None:
        self.dropped: Counter[str] = Counter()
        self.examined = Examination()
        self._stride = max(1, -(-len(kept) // MAX_EXAMINED))
        self._shown = list(dict.fromkeys([kept[0], kept[len(kept) // 2], kept[-1]]))
        self._first_lines: list[str] = []
        self._num_words: list[int] = []
        self._num_read = self._train_words = self._num_doubts = self._num_doubtful = 0
        self.repairs: Counter[str] = Counter()
        self._splits: Counter[str] = Counter()
        self._removals: Counter[str] = Counter()
        self._words: Counter[str] = Counter()

    def add_read(self, repairs: Mapping[str, int]) -> None:
        """Count a story that was read, and its repairs."""
        self._num_read += 1
        self.repairs.update(repairs)

    def add_kept(self, number: int, one: CleanedStory) -> None:
        """Count a story that is kept, its removals and its doubts."""
        story, num_words = one.story, one.num_words
        if len(self._num_words) % self._stride == 0:
            self.examined.add(story, one.repairs.get("controls", 0))
        if number in self._shown:
            self._first_lines.append(first_line(story.text))
        self._num_words.append(num_words)
        self._splits[story.split] += 1
        self._train_words += num_words * (story.split == "train")
        self._num_doubts += len(one.doubts)
        for removal in one.removals:
            self._num_doubtful += certainty(removal.confidence) == "doubtful"
            self._removals[removal.rule] += 1
            self._words[removal.rule] += count_words(removal.text)

    def counts(self, plan: Plan, left_out: Sequence[ReaderRemoval]) -> CleaningCounts:
        num_kept, median_words = len(self._num_words), int(np.median(self._num_words))
        num_copies = self.dropped["exact_copy"] + self.dropped["near_copy"]
        asked = 1 - split.parse_ratios(plan.cleaning.split)[0]
        warnings = judge(
            self.examined,
            num_kept=num_kept,
            num_copies=num_copies,
            median_words=median_words,
            held_out=(
                1 - self._splits["train"] / num_kept,
                1 - self._train_words / max(1, sum(self._num_words)),
                asked,
            ),
            left_out=left_out,
            unused=plan.source.unused_columns,
        )
        return CleaningCounts(
            num_read=self._num_read,
            num_kept=num_kept,
            num_dropped=dict(sorted((+self.dropped).items())),
            num_removals=self._removals.total(),
            num_doubtful=self._num_doubtful,
            num_doubts=self._num_doubts,
            removals_by_rule=dict(sorted(self._removals.items())),
            words_by_rule=dict(sorted(self._words.items())),
            words_removed=self._words.total(),
            words_kept=sum(self._num_words),
            repairs=dict(sorted(self.repairs.items())),
            splits={name: self._splits[name] for name in split.NAMES if self._splits[name]},
            format=plan.source.description,
            rule_set=plan.cleaning.rules,
            rule_set_reason=plan.rule_set_reason,
            num_left_out=dict(
                sorted(Counter(one.reason for one in left_out if one.reason != LINE_WRAPS).items())
            ),
            median_words=median_words,
            first_lines=tuple(self._first_lines),
            warnings=tuple(warnings),
        )

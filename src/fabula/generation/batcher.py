"""Writes drafts together in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fabula.generation.candidates import choose, make_candidates
from fabula.generation.draft import Draft
from fabula.generation.engine import Batch
from fabula.generation.healing import Covers, covers


@dataclass(frozen=True, slots=True)
class Group:
    """Drafts that share a batch.

    Attributes:
        rows: the row of the batch that holds the logits of each draft, ascending.
        covers: how the end of a prompt can be spelled, by row and that end, for drafts that have to spell it now.
    """

    batch: Batch
    members: list[Draft]
    rows: list[int]
    covers: dict[tuple[int, str], Covers]

    @classmethod
    def read(cls, drafts: Sequence[Draft]) -> "Group":
        """Read the windows of drafts of one engine; what several drafts share is computed once."""
        windows = [tuple(draft.window()) for draft in drafts]
        row_of = {window: row for row, window in enumerate(dict.fromkeys(windows))}
        in_order = sorted(range(len(drafts)), key=lambda index: row_of[windows[index]])
        engine = drafts[0].engine
        batch = engine.read(list(row_of))
        members, rows = [drafts[index] for index in in_order], [row_of[windows[index]] for index in in_order]
        to_heal = {
            (row, draft.to_spell): windows[index]
            for index, draft, row in zip(in_order, members, rows, strict=True)
            if draft.to_spell
        }
        found = {
            (row, end): covers(engine, list(window), end, batch.logits_BV[row])
            for (row, end), window in to_heal.items()
        }
        return cls(batch, members, rows, found)


class Batcher:
    """Writes many drafts of one engine at once. Drafts that are added together share a batch.

    A draft that needs a new window leaves its batch and starts another one, together with all other such drafts and
    those that are added at the same time. The others are not read again, so a story never depends on the stories in its
    batch.

    If a draft's settings ask for the best of several, several candidates are written for it, and it becomes the best of
    them when all are finished.
    """

    def __init__(self) -> None:
        self._unread: list[Draft] = []
        self._groups: list[Group] = []
        self._candidates: dict[Draft, list[Draft]] = {}

    def __len__(self) -> int:
        """Number of drafts that are being written, counting each candidate."""
        return len(self._unread) + sum(len(group.members) for group in self._groups)

    def add(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            if draft.settings.num_candidates > 1:
                self._candidates[draft] = make_candidates(draft)
            self._unread += self._candidates.get(draft, [draft])

    def step(self) -> Iterator[tuple[Draft, str]]:
        """Draw one token for each draft; yield the draft and the text that the token completes."""
        if unread := [draft for draft in self._unread if draft.is_unfinished]:
            self._groups.append(Group.read(unread))
        self._unread = []
        groups, self._groups = self._groups, []
        for group in groups:
            for draft, row in zip(group.members, group.rows, strict=True):
                if draft.is_unfinished:
                    found = group.covers.get((row, draft.to_spell))
                    yield self._report(draft, draft.draw(group.batch.logits_BV[row], found))
            unfinished = [
                (draft, row)
                for draft, row in zip(group.members, group.rows, strict=True)
                if draft.is_unfinished
            ]
            self._unread += [draft for draft, _ in unfinished if draft.needs_new_window()]
            staying = [(draft, row) for draft, row in unfinished if not draft.needs_new_window()]
            if staying:
                members = [draft for draft, _ in staying]
                group.batch.step([row for _, row in staying], [draft.ids[-1] for draft in members])
                self._groups.append(Group(group.batch, members, list(range(len(members))), {}))
        self._candidates = {draft: each for draft, each in self._candidates.items() if draft.is_unfinished}

    def _report(self, draft: Draft, text: str) -> tuple[Draft, str]:
        """What was written for a draft that a caller added."""
        if draft.leader is None:
            return draft, text
        candidates = self._candidates[draft.leader]
        if any(each.finish_reason is None for each in candidates):
            return draft.leader, ""
        chosen = choose(candidates)
        return draft.leader, draft.leader.take(chosen.draft, chosen.text, chosen.finish_reason)

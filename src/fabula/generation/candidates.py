"""Chooses the best of several: stories by their likelihood and their faults, bridges by the text that follows them."""

from collections.abc import Sequence

from fabula.corpus.words import loops, words_of
from fabula.generation.draft import Draft
from fabula.generation.engine import Engine
from fabula.generation.sampling import loss_of

READ_TOKENS = 256
"""Tokens before the following text that are read to score it."""

FOLLOWING_CHARS = 160
"""Characters of the following text that are scored to choose a bridge."""

JOINS = ("", " ", "\n\n")
"""Possible separators between a bridge and the following text, if neither has white space there."""


def make_candidates(leader: Draft) -> list[Draft]:
    """The drafts of which `leader` will become one."""
    return [
        Draft(leader.engine, leader.index, leader.prompt, leader.settings, leader.seed, number, leader)
        for number in range(leader.settings.num_candidates)
    ]


def choose(candidates: Sequence[Draft]) -> tuple[Draft, str]:
    """The best of finished drafts, and the separator between its text and the following text."""
    following = candidates[0].settings.following
    if following:
        return choose_bridge(candidates, following)
    return min(candidates, key=faults), ""


def faults(draft: Draft) -> tuple[bool, bool, float]:
    """The sort key of a draft, best first: whether it loops or copies training stories (if they are available), then
    whether it was cut off, then its loss per token under the model."""
    copies = draft.engine.copies
    is_faulty = loops(words_of(draft.text)) or (copies is not None and bool(copies.find(draft.text)))
    return is_faulty, draft.finish_reason != "end", draft.mean_loss


def choose_bridge(candidates: Sequence[Draft], following: str) -> tuple[Draft, str]:
    """The draft and the separator after it that make `following` likeliest."""
    engine = candidates[0].engine
    befores = [draft.prompt + draft.text for draft in candidates]
    contexts = [context_of(engine, before) for before in befores]
    tried = [
        (row, join)
        for row, before in enumerate(befores)
        for join in (("",) if before[-1:].isspace() or following[0].isspace() else JOINS)
    ]
    room = engine.context_length - max(map(len, contexts))
    continuations = [(row, engine.encode(join + following[:FOLLOWING_CHARS])[:room]) for row, join in tried]
    losses = losses_of(engine, contexts, continuations)
    row, join = tried[losses.index(min(losses))]
    return candidates[row], join


def context_of(engine: Engine, text: str) -> list[int]:
    """The last `READ_TOKENS` tokens of a text (at most half a context), or the start token and the whole text."""
    ids = [engine.start_id, *engine.encode(text)]
    num_read = min(READ_TOKENS, engine.context_length // 2)
    return ids if len(ids) <= num_read else ids[-num_read:]


def losses_of(
    engine: Engine, contexts: Sequence[list[int]], continuations: Sequence[tuple[int, list[int]]]
) -> list[float]:
    """The loss of each continuation under the model, in nats.

    Args:
        contexts: tokens to read, not empty.
        continuations: for each, the index of its context (ascending) and the tokens that follow that context.
    """
    losses = [0.0] * len(continuations)
    batch = engine.read(contexts)
    open_rows = [(index, row) for index, (row, ids) in enumerate(continuations) if ids]
    place = 0
    while open_rows:
        for index, row in open_rows:
            losses[index] += loss_of(batch.logits_BV[row], continuations[index][1][place])
        open_rows = [(index, row) for index, row in open_rows if len(continuations[index][1]) > place + 1]
        if open_rows:
            batch.step(
                [row for _, row in open_rows], [continuations[index][1][place] for index, _ in open_rows]
            )
        open_rows = [(index, row) for row, (index, _) in enumerate(open_rows)]
        place += 1
    return losses

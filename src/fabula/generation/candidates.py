"""Chooses the best of several: stories by their faults and by their likelihood against the base model's, bridges by the text that follows them.

Half of the bridges are drawn by a model that reads the following text before the story, as if it were a memory, so that
they lead there; such a bridge is left out if it quotes the following text. So is a bridge that loops. A bridge of several sentences also competes
with its beginnings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from fabula.corpus.words import loops, words_of
from fabula.files import hash_path
from fabula.generation.draft import MEMORY_SHARE, Draft, FinishReason
from fabula.generation.engine import Engine
from fabula.generation.engines import load_engine
from fabula.generation.sampling import loss_of
from fabula.generation.sentences import sentence_ends
from fabula.models.bases import BASE_BY_NAME
from fabula.models.find import is_at_hand, locate_model
from fabula.models.records import ModelRecords

READ_TOKENS = 192
"""Tokens before a bridge that are read to score the following text."""

FOLLOWING_CHARS = 240
"""Characters of the following text that are read before half of the bridges, and scored to choose a bridge."""

JOIN_CHARS = 16
"""Characters of the following text that are scored to choose a separator."""

QUOTED_CHARS = 30
"""A bridge must not have a passage of so many characters in common with the following text."""

SHORTEST_QUOTE = 12
"""A shorter following text may stand in a bridge: it may be any words."""

JOINS = ("", " ", "\n")
"""Possible separators between a bridge and the following text, if neither has white space there."""

MAX_ENDS = 3
"""Most sentence ends of one draft at which a bridge may end."""

MAX_ROWS = 24
"""Texts that are scored at once, which bounds the memory."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a draft becomes.

    Attributes:
        draft: the candidate that it was chosen from.
        text: the candidate's text, or the beginning of it, and the separator before the following text.
        finish_reason: "sentence" for a beginning.
    """

    draft: Draft
    text: str
    finish_reason: FinishReason


def make_candidates(leader: Draft) -> list[Draft]:
    """The drafts of which `leader` will become one."""
    settings, number = leader.settings, leader.settings.num_candidates
    informed = settings
    if settings.following:
        memory = f"{settings.memory.strip()}\n\n{settings.following.strip()[:FOLLOWING_CHARS]}".strip()
        read = leader.engine.encode(f"{memory}\n\n[{settings.note}]\n")
        if len(read) <= leader.engine.context_length // MEMORY_SHARE:
            informed = settings.model_copy(update={"memory": memory})
    return [
        Draft(
            leader.engine,
            leader.index,
            leader.prompt,
            settings if index < (number + 1) // 2 else informed,
            leader.seed,
            index,
            leader,
        )
        for index in range(number)
    ]


def choose(candidates: Sequence[Draft]) -> Chosen:
    """The best of finished drafts."""
    following = candidates[0].settings.following
    if following:
        return choose_bridge(candidates, following)
    found = [faults(draft) for draft in candidates]
    rest = [draft for draft, each in zip(candidates, found, strict=True) if each == min(found)]
    best = rest[int(np.argmax(gains_over_base(rest)))] if len(rest) > 1 else rest[0]
    assert best.finish_reason is not None
    return Chosen(best, best.text, best.finish_reason)


def faults(draft: Draft) -> tuple[bool, bool]:
    """Whether a finished draft loops or copies training stories (if they are available), and whether it was cut off."""
    copies = draft.engine.copies
    is_faulty = loops(words_of(draft.text)) or (copies is not None and bool(copies.find(draft.text)))
    return is_faulty, draft.finish_reason != "end"


def gains_over_base(candidates: Sequence[Draft]) -> list[float]:
    """How much likelier each text is to the model than to the base model that it was trained from, in nats per token of
    the model; without the base, its log probability per token."""
    engine, prompt = candidates[0].engine, candidates[0].prompt
    gains = [-draft.mean_loss for draft in candidates]
    base = base_of(engine)
    if base is None:
        return gains
    losses = losses_after(base, context_of(base, prompt), [("", draft.text) for draft in candidates])
    num_tokens = [max(1, draft.num_tokens) for draft in candidates]
    return [gain + loss / number for gain, loss, number in zip(gains, losses, num_tokens, strict=True)]


BASES: WeakKeyDictionary[Engine, Engine | None] = WeakKeyDictionary()
"""The base model's engine for each engine that has written the best of several."""


def base_of(engine: Engine) -> Engine | None:
    """The engine of the base model that the model was trained from; None if the model's run does not name it, or if it is
    not available without a network, or is not the same any more."""
    if engine not in BASES:
        BASES[engine] = None
        records, _ = ModelRecords.readable(engine.folder)
        named = records.run.arguments.base if records.run else ""
        at_hand = Path(named).is_dir() or (named in BASE_BY_NAME and is_at_hand(named))
        if records.training and named and at_hand:
            folder = locate_model(named)
            if hash_path(folder) == records.training.inputs.get("base"):
                BASES[engine] = load_engine(folder, engine.name)
    return BASES[engine]


def choose_bridge(candidates: Sequence[Draft], following: str) -> Chosen:
    """The bridge that makes `following` likeliest, and the separator after it that does."""
    engine, prompt = candidates[0].engine, candidates[0].prompt
    context = context_of(engine, prompt)
    bridges = [bridge for draft in candidates for bridge in bridges_of(draft)]
    bridges = [
        each for each in bridges if not quotes(each.text, following) and not loops(words_of(each.text))
    ] or bridges
    joins = ["" if (prompt + each.text)[-1:].isspace() or following[0].isspace() else " " for each in bridges]
    pairs = [
        (each.text, join + following[:FOLLOWING_CHARS]) for each, join in zip(bridges, joins, strict=True)
    ]
    best = int(np.argmin(losses_after(engine, context, pairs)))
    text, join = bridges[best].text, joins[best]
    if join:
        tried = [(text, each + following[:JOIN_CHARS]) for each in JOINS]
        join = JOINS[int(np.argmin(losses_after(engine, context, tried)))]
    return replace(bridges[best], text=text + join)


def bridges_of(draft: Draft) -> list[Chosen]:
    """A finished draft as a bridge, and its beginnings up to the last ends of sentences before."""
    assert draft.finish_reason is not None
    ends = [end for end in sentence_ends(draft.text) if draft.text[end:].strip()][-MAX_ENDS:]
    beginnings = [Chosen(draft, draft.text[:end], "sentence") for end in ends]
    return [Chosen(draft, draft.text, draft.finish_reason), *beginnings]


def quotes(text: str, following: str) -> bool:
    """Whether a text has a passage of `QUOTED_CHARS` characters in common with the following text, or has all of a shorter
    one."""
    following = following.strip()
    size = min(QUOTED_CHARS, max(len(following), SHORTEST_QUOTE))
    return any(following[start : start + size] in text for start in range(len(following) - size + 1))


def context_of(engine: Engine, text: str) -> list[int]:
    """The last `READ_TOKENS` tokens of a text (at most half a context), or the start token and the whole text."""
    ids = [engine.start_id, *engine.encode(text)]
    num_read = min(READ_TOKENS, engine.context_length // 2)
    return ids if len(ids) <= num_read else ids[-num_read:]


def losses_after(engine: Engine, context: list[int], pairs: Sequence[tuple[str, str]]) -> list[float]:
    """For each pair of texts, the loss of the second in nats after the context and the first. A token that reaches from the
    first into the second counts."""
    found: list[float] = []
    room = engine.context_length - len(context)
    for first in range(0, len(pairs), MAX_ROWS):
        group = pairs[first : first + MAX_ROWS]
        encoded = [
            engine.text_tokenizer.encode(before + after, add_special_tokens=False) for before, after in group
        ]
        losses = losses_of(engine, context, [each.ids[:room] for each in encoded])
        for (before, _), each, nats in zip(group, encoded, losses, strict=True):
            counts = np.array([end > len(before) for _, end in each.offsets[:room]], dtype=bool)
            found.append(float(nats[counts].sum()))
    return found


def losses_of(
    engine: Engine, context: list[int], continuations: Sequence[list[int]]
) -> list[NDArray[np.float64]]:
    """The loss of each token of each continuation under the model, in nats. A beginning that several continuations share
    is read once.

    Args:
        context: tokens to read before, not empty.
    """
    losses = [np.zeros(len(ids)) for ids in continuations]
    batch = engine.read([context])
    row_of: dict[tuple[int, ...], int] = {(): 0}
    for place in range(max(map(len, continuations), default=0)):
        for ids, nats in zip(continuations, losses, strict=True):
            if place < len(ids):
                nats[place] = loss_of(batch.logits_BV[row_of[tuple(ids[:place])]], ids[place])
        read = {tuple(ids[: place + 1]) for ids in continuations if place + 1 < len(ids)}
        in_order = sorted(read, key=lambda beginning: (row_of[beginning[:-1]], beginning))
        if in_order:
            batch.step([row_of[each[:-1]] for each in in_order], [each[-1] for each in in_order])
        row_of = {each: row for row, each in enumerate(in_order)}
    return losses

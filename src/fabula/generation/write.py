"""Writing stories: one as it comes, piece by piece, or many in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers.decoders import DecodeStream

from fabula.config import Record
from fabula.defaults import SEED
from fabula.errors import FabulaError
from fabula.generation.engines import Batch, Engine, load_engine
from fabula.generation.sampling import draw
from fabula.generation.settings import SamplingSettings
from fabula.progress import OnProgress, Progress, silent

CHUNK = 64
"""Tokens between two looks at whether a story is about to outgrow the context."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that has just been written: whole characters, rarely more than a word.

    Attributes:
        index: which story it belongs to, counted from 0.
        text: at least one character.
    """

    index: int
    text: str


class WrittenStory(Record):
    """A story that a model wrote, and all that is needed to have it written again."""

    index: int
    """Which story of the call it is, counted from 0."""
    prompt: str
    text: str
    """What the model wrote after the prompt; `prompt + text` is the story."""
    finish_reason: Literal["end", "length"]
    """Whether the model ended the story, or `max_new_tokens` did."""
    num_tokens: int
    """Tokens that were drawn, the one that ends the story included."""
    seed: int
    settings: SamplingSettings
    engine: str


def write(
    model: str | Path | Engine,
    prompt: str | Sequence[str] = "",
    *,
    settings: SamplingSettings | None = None,
    seed: int = SEED,
    engine: str = "auto",
    num_stories: int = 1,
    batch_size: int = 1,
    on_progress: OnProgress = silent,
) -> Iterator[Piece | WrittenStory]:
    """Write stories, yielding each piece of text as it comes and each story when it is finished.

    A story longer than the model's context goes on: when there is no room for another 64 tokens, the model reads the
    last half context again and goes on from there; what stands before that is forgotten. So it is with a prompt that
    long.

    Args:
        model: a model's folder, or an engine that is loaded already.
        prompt: the beginning of the story, "" for none; or several, for one story each.
        settings: how tokens are drawn; None takes those in the model's `generation_config.json`.
        seed: story number i is drawn with `seed + i`, so that each can be had again by itself.
        engine: as for `load_engine`; plays no part where `model` is an engine.
        num_stories: how many stories to write to each prompt.
        batch_size: how many stories are written at once; with more than one, their pieces come interleaved. It
            does not change what is written.

    Raises:
        FabulaError: no such model, a bad setting, a prompt that gives the model nothing to start from.
    """
    if num_stories < 1 or batch_size < 1:
        raise FabulaError("num_stories and batch_size must be 1 or more")
    if seed < 0:
        raise FabulaError("a seed must be 0 or more", where=f"seed {seed}")
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    loaded = model if isinstance(model, Engine) else load_engine(model, engine, on_progress=on_progress)
    chosen = settings or SamplingSettings.of_model(loaded.folder)
    repeated = [each for each in prompts for _ in range(num_stories)]
    drafts = [_Draft(loaded, index, each, chosen, seed + index) for index, each in enumerate(repeated)]
    return _write_drafts(loaded, drafts, batch_size, on_progress)


def write_stories(
    model: str | Path | Engine,
    prompts: Sequence[str],
    *,
    settings: SamplingSettings | None = None,
    seeds: Sequence[int],
    engine: str = "auto",
    batch_size: int = 8,
    on_progress: OnProgress = silent,
) -> list[WrittenStory]:
    """Write one story to each prompt, `batch_size` at once, and return them in the order of the prompts.

    Args:
        seeds: one for each prompt. The rest is as for `write`.
    """
    if len(seeds) != len(prompts):
        raise FabulaError(f"{len(prompts)} prompts need as many seeds, not {len(seeds)}")
    loaded = model if isinstance(model, Engine) else load_engine(model, engine, on_progress=on_progress)
    chosen = settings or SamplingSettings.of_model(loaded.folder)
    drafts = [
        _Draft(loaded, index, prompt, chosen, seed)
        for index, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
    ]
    written = (
        each
        for each in _write_drafts(loaded, drafts, batch_size, on_progress)
        if isinstance(each, WrittenStory)
    )
    return sorted(written, key=lambda story: story.index)


class _Draft:
    """A story that is being written."""

    def __init__(
        self, engine: Engine, index: int, prompt: str, settings: SamplingSettings, seed: int
    ) -> None:
        self.index, self.prompt, self.settings, self.seed = index, prompt, settings, seed
        self._engine = engine
        self.ids: list[int] = [engine.start_id] * settings.start_of_story + engine.encode(prompt)
        if not self.ids:
            raise FabulaError(
                "an empty prompt needs the start token", hint="leave out --bare-prompt, or give a prompt"
            )
        self.text = ""
        self.finish_reason: Literal["end", "length"] | None = None
        self._num_prompt = len(self.ids)
        self._window_start = 0
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._text_tokenizer = engine.text_tokenizer
        self._decoder = DecodeStream(self.ids, skip_special_tokens=True)

    @property
    def num_tokens(self) -> int:
        return len(self.ids) - self._num_prompt

    def wants_new_window(self) -> bool:
        """Whether what the model has read of the story so far leaves no room to go on from.

        Asked every `CHUNK` tokens only, so that stories begun together move on together.
        """
        context = self._engine.context_length
        chunk = min(CHUNK, context // 4 or 1)
        return self.num_tokens % chunk == 0 and len(self.ids) - self._window_start + chunk > context + 1

    def window(self) -> list[int]:
        """The tokens that the model is to read: the whole story, or the last half context of a long one."""
        if self.wants_new_window():
            self._window_start = len(self.ids) - max(self._engine.context_length // 2, 1)
        return self.ids[self._window_start :]

    def draw(self, logits_V: np.ndarray) -> str:
        """Draw the next token; return the text that it completes."""
        token = draw(logits_V, self.settings, np.array(self.ids), self._random.random())
        self.ids.append(token)
        piece = ""
        if token in self._engine.end_ids:
            self.finish_reason = "end"
        else:
            piece = self._decoder.step(self._text_tokenizer, token) or ""
            if self.num_tokens == self.settings.max_new_tokens:
                self.finish_reason = "length"
        if self.finish_reason is not None:
            read, whole = (
                self._text_tokenizer.decode(ids) for ids in (self.ids[: self._num_prompt], self.ids)
            )
            piece += whole[len(read) + len(self.text) + len(piece) :]  # bytes of a character never completed
        self.text += piece
        return piece

    def story(self) -> WrittenStory:
        assert self.finish_reason is not None
        return WrittenStory(
            index=self.index,
            prompt=self.prompt,
            text=self.text,
            finish_reason=self.finish_reason,
            num_tokens=self.num_tokens,
            seed=self.seed,
            settings=self.settings,
            engine=self._engine.name,
        )


def _write_drafts(
    engine: Engine, drafts: Sequence[_Draft], batch_size: int, on_progress: OnProgress
) -> Iterator[Piece | WrittenStory]:
    """Write all drafts, `batch_size` at once.

    A draft that goes on in a new window leaves its batch for one of its own, with all that do so at the same time. The
    others are not read again: what a story becomes never depends on those beside it.
    """
    num_finished = 0
    for first in range(0, len(drafts), batch_size):
        moving = list(drafts[first : first + batch_size])
        groups: list[tuple[Batch, list[_Draft]]] = []
        while moving or groups:
            if moving:
                groups.append((engine.read([draft.window() for draft in moving]), moving))
                moving = []
            going_on = []
            for batch, members in groups:
                for draft, logits_V in zip(members, batch.logits_BV, strict=True):
                    if piece := draft.draw(logits_V):
                        yield Piece(draft.index, piece)
                    if draft.finish_reason is not None:
                        num_finished += 1
                        on_progress(Progress("write", done=num_finished, total=len(drafts), unit="stories"))
                        yield draft.story()
                moving += [d for d in members if d.finish_reason is None and d.wants_new_window()]
                rows = [r for r, d in enumerate(members) if d.finish_reason is None and d not in moving]
                if rows:
                    members = [members[row] for row in rows]
                    batch.step(rows, [draft.ids[-1] for draft in members])
                    going_on.append((batch, members))
            groups = going_on

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
from fabula.generation.engine import Batch, Engine
from fabula.generation.engines import load_engine
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
    drafts = begin(loaded, prompts, chosen, seed, num_stories)
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
        Draft(loaded, index, prompt, chosen, seed)
        for index, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
    ]
    written = (
        each
        for each in _write_drafts(loaded, drafts, batch_size, on_progress)
        if isinstance(each, WrittenStory)
    )
    return sorted(written, key=lambda story: story.index)


def begin(
    engine: Engine, prompts: Sequence[str], settings: SamplingSettings, seed: int, num_stories: int
) -> list["Draft"]:
    """`num_stories` drafts to each prompt; number i is drawn with `seed + i`."""
    repeated = [prompt for prompt in prompts for _ in range(num_stories)]
    return [Draft(engine, index, each, settings, seed + index) for index, each in enumerate(repeated)]


class Draft:
    """A story that is being written.

    Attributes:
        index: which story of its call it is.
        ids: all tokens, the prompt's among them.
        text: what was written after the prompt.
        finish_reason: None until it is finished.
        is_wanted: nobody writes on at a draft that is not.
    """

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
        self.is_wanted = True
        self._num_prompt = len(self.ids)
        self._window_start = 0
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._text_tokenizer = engine.text_tokenizer
        self._decoder = DecodeStream(self.ids, skip_special_tokens=True)

    @property
    def goes_on(self) -> bool:
        return self.is_wanted and self.finish_reason is None

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


class SideBySide:
    """Stories that are written side by side: those that are added together share a batch, and its steps.

    A draft that goes on in a new window leaves its batch for one of its own, with all that do so, or are added, at the
    same time. The others are not read again: what a story becomes never depends on those beside it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._moving: list[Draft] = []
        self._groups: list[tuple[Batch, list[Draft]]] = []

    def __len__(self) -> int:
        """Drafts that are being written."""
        return len(self._moving) + sum(len(members) for _, members in self._groups)

    def add(self, drafts: Sequence[Draft]) -> None:
        self._moving += drafts

    def step(self) -> Iterator[tuple[Draft, str]]:
        """Write one token of each draft; yield the draft, and the text that its token completes."""
        if moving := [draft for draft in self._moving if draft.goes_on]:
            self._groups.append((self._engine.read([draft.window() for draft in moving]), moving))
        self._moving = []
        going_on = []
        for batch, members in self._groups:
            for draft, logits_V in zip(members, batch.logits_BV, strict=True):
                if draft.is_wanted:
                    yield draft, draft.draw(logits_V)
            moving = [draft for draft in members if draft.goes_on and draft.wants_new_window()]
            self._moving += moving
            rows = [row for row, draft in enumerate(members) if draft.goes_on and draft not in moving]
            if rows:
                members = [members[row] for row in rows]
                batch.step(rows, [draft.ids[-1] for draft in members])
                going_on.append((batch, members))
        self._groups = going_on


def _write_drafts(
    engine: Engine, drafts: Sequence[Draft], batch_size: int, on_progress: OnProgress
) -> Iterator[Piece | WrittenStory]:
    """Write all drafts, `batch_size` at once."""
    together = SideBySide(engine)
    num_finished = 0
    for first in range(0, len(drafts), batch_size):
        together.add(drafts[first : first + batch_size])
        while together:
            for draft, piece in together.step():
                if piece:
                    yield Piece(draft.index, piece)
                if draft.finish_reason is not None:
                    num_finished += 1
                    on_progress(Progress("write", done=num_finished, total=len(drafts), unit="stories"))
                    yield draft.story()

"""Drafts, the stories that are being written, and the batches that they share."""

from collections.abc import Iterator, Sequence

import numpy as np
from tokenizers.decoders import DecodeStream

from fabula.errors import FabulaError
from fabula.generation.engine import Batch, Engine
from fabula.generation.sampling import draw
from fabula.generation.settings import SamplingSettings
from fabula.results import FinishReason, WrittenStory

CHUNK = 64
"""Tokens between two checks of whether a story will soon fill the context."""


class Draft:
    """A story that is being written.

    Attributes:
        index: its number among the stories of one call.
        ids: all tokens, including the prompt's.
        text: what was written after the prompt.
        finish_reason: None until it is finished.
        is_wanted: set it to False to stop writing this draft.

    Raises:
        FabulaError: there is neither a prompt nor a start token, so that the model has nothing to read.
    """

    def __init__(
        self, engine: Engine, index: int, prompt: str, settings: SamplingSettings, seed: int
    ) -> None:
        self.index, self.prompt, self.settings, self.seed = index, prompt, settings, seed
        self.engine = engine
        self.ids: list[int] = [engine.start_id] * settings.start_of_story + engine.encode(prompt)
        if not self.ids:
            raise FabulaError(
                "an empty prompt needs the start token",
                hint="give a prompt, or leave start_of_story switched on",
            )
        self.text = ""
        self.finish_reason: FinishReason | None = None
        self.is_wanted = True
        self._num_prompt = len(self.ids)
        self._window_start = 0
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._text_tokenizer = engine.text_tokenizer
        self._decoder = DecodeStream(self.ids, skip_special_tokens=True)

    @property
    def is_unfinished(self) -> bool:
        """Whether it should be continued."""
        return self.is_wanted and self.finish_reason is None

    @property
    def num_tokens(self) -> int:
        """Tokens drawn so far."""
        return len(self.ids) - self._num_prompt

    def needs_new_window(self) -> bool:
        """Whether the model has no room left for the next tokens after what it has read.

        The answer changes only every `CHUNK` tokens, so that stories that began together move on together.
        """
        context = self.engine.context_length
        chunk = min(CHUNK, context // 4 or 1)
        return self.num_tokens % chunk == 0 and len(self.ids) - self._window_start + chunk > context + 1

    def window(self) -> list[int]:
        """The tokens that the model should read: the whole story, or the last half context of a long one."""
        if self.needs_new_window():
            self._window_start = len(self.ids) - max(self.engine.context_length // 2, 1)
        return self.ids[self._window_start :]

    def draw(self, logits_V: np.ndarray) -> str:
        """Draw the next token; return the text that it completes."""
        token = draw(logits_V, self.settings, np.array(self.ids), self._random.random())
        self.ids.append(token)
        piece = ""
        if token in self.engine.end_ids:
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
        """The finished story."""
        assert self.finish_reason is not None
        return WrittenStory(
            index=self.index,
            prompt=self.prompt,
            text=self.text,
            finish_reason=self.finish_reason,
            num_tokens=self.num_tokens,
            seed=self.seed,
            settings=self.settings,
            engine=self.engine.name,
        )


def make_drafts(
    engine: Engine, prompts: Sequence[str], settings: SamplingSettings, seed: int, num_stories: int = 1
) -> list[Draft]:
    """`num_stories` drafts for each prompt. Draft number i has the seed `seed + i`."""
    if seed < 0:
        raise FabulaError("a seed must be 0 or more", where=f"seed {seed}")
    repeated = [prompt for prompt in prompts for _ in range(num_stories)]
    return [Draft(engine, index, each, settings, seed + index) for index, each in enumerate(repeated)]


class Batcher:
    """Writes many drafts of one engine at once. Drafts that are added together share a batch.

    A draft that needs a new window leaves its batch and starts another, together with all drafts that do so or are added
    at the same time. The others are not read again, so a story never depends on the stories beside it.
    """

    def __init__(self) -> None:
        self._unread: list[Draft] = []
        self._groups: list[tuple[Batch, list[Draft]]] = []

    def __len__(self) -> int:
        """Drafts that are being written."""
        return len(self._unread) + sum(len(members) for _, members in self._groups)

    def add(self, drafts: Sequence[Draft]) -> None:
        self._unread += drafts

    def step(self) -> Iterator[tuple[Draft, str]]:
        """Draw one token of each draft; yield the draft, and the text that its token completes."""
        if unread := [draft for draft in self._unread if draft.is_unfinished]:
            self._groups.append((unread[0].engine.read([draft.window() for draft in unread]), unread))
        self._unread = []
        groups, self._groups = self._groups, []
        for batch, members in groups:
            for draft, logits_V in zip(members, batch.logits_BV, strict=True):
                if draft.is_wanted:
                    yield draft, draft.draw(logits_V)
            leaving = [draft for draft in members if draft.is_unfinished and draft.needs_new_window()]
            self._unread += leaving
            rows = [row for row, draft in enumerate(members) if draft.is_unfinished and draft not in leaving]
            if rows:
                members = [members[row] for row in rows]
                batch.step(rows, [draft.ids[-1] for draft in members])
                self._groups.append((batch, members))

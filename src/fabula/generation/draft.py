"""Drafts, the stories that are being written, and the batches that they share."""

from collections.abc import Iterator, Sequence

import numpy as np
from tokenizers.decoders import DecodeStream

from fabula.errors import FabulaError
from fabula.generation.engine import Batch, Engine
from fabula.generation.healing import covers, take_back
from fabula.generation.sampling import draw
from fabula.generation.sentences import last_sentence_end, last_word_end
from fabula.generation.settings import SamplingSettings
from fabula.results import FinishReason, WrittenStory

CHUNK = 64
"""Tokens between two checks of whether a story will soon fill the context."""

MAX_MORE_TOKENS = 40
"""Tokens beyond `max_new_tokens` within which a sentence may end."""

HELD_TOKENS = 64
"""Tokens before `max_new_tokens` from which on only whole sentences are shown, so that what is shown need not be cut off."""


class Draft:
    """A story that is being written.

    The text of a token is not shown at once where it may still be cut off: with `whole_sentences` the last tokens before
    `max_new_tokens` are shown sentence by sentence.

    Attributes:
        index: its number among the stories of one call.
        ids: all tokens, including the prompt's.
        num_tokens: tokens drawn so far.
        text: what was written after the prompt and can no longer change.
        finish_reason: None until it is finished.
        is_wanted: set it to False to stop writing this draft.

    Raises:
        FabulaError: there is neither a prompt nor a start token, so that the model has nothing to read.
    """

    def __init__(
        self, engine: Engine, index: int, prompt: str, settings: SamplingSettings, seed: int
    ) -> None:
        self.engine = engine
        self.index, self.prompt, self.settings, self.seed = index, prompt, settings, seed
        start = [engine.start_id] * settings.start_of_story
        ids, self._to_spell = (
            take_back(engine, prompt) if settings.token_healing else (engine.encode(prompt), "")
        )
        if not (start or ids) and prompt:  # the model must read something: the prompt as it is
            ids, self._to_spell = engine.encode(prompt), ""
        self.ids: list[int] = [*start, *ids]
        if not self.ids:
            raise FabulaError(
                "an empty prompt needs the start token",
                hint="give a prompt, or leave start_of_story switched on",
            )
        self.text = ""
        self.num_tokens = 0
        self.finish_reason: FinishReason | None = None
        self.is_wanted = True
        self._written = ""
        """All text after the prompt, shown or not."""
        self._num_read = len(engine.text_tokenizer.decode(self.ids)) + len(self._to_spell)
        self._num_healed = len(self._to_spell)
        """Characters of the prompt that the first tokens spell again."""
        self._at_limit: str | None = None
        """The text when `max_new_tokens` was reached."""
        self._window_start = 0
        self._must_reread = False
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._decoder = DecodeStream(self.ids, skip_special_tokens=True)

    @property
    def is_unfinished(self) -> bool:
        """Whether it should be continued."""
        return self.is_wanted and self.finish_reason is None

    def needs_new_window(self) -> bool:
        """Whether the model must read anew: it has not read the last tokens, or has no room left for the next ones.

        The latter changes only every `CHUNK` tokens, so that stories that began together move on together.
        """
        return self._must_reread or self._is_full()

    def _is_full(self) -> bool:
        context = self.engine.context_length
        chunk = min(CHUNK, context // 4 or 1)
        return self.num_tokens % chunk == 0 and len(self.ids) - self._window_start + chunk > context + 1

    def window(self) -> list[int]:
        """The tokens that the model should read: the whole story, or the last half context of a long one."""
        if self._is_full():
            self._window_start = len(self.ids) - max(self.engine.context_length // 2, 1)
        self._must_reread = False
        return self._read_ids()

    def _read_ids(self) -> list[int]:
        """The tokens that the model has read, or should read next."""
        if self._window_start and self.engine.continued_with_start:
            return [self.engine.start_id, *self.ids[self._window_start + 1 :]]
        return self.ids[self._window_start :]

    def draw(self, logits_V: np.ndarray) -> str:
        """Draw the next token; return the text that can be shown now."""
        if self._to_spell:
            drawn = self._draw_healed(logits_V)
        else:
            drawn = (draw(logits_V, self.settings, np.array(self.ids), self._random.random()),)
        self.num_tokens += 1
        for token in drawn:
            self.ids.append(token)
            if token not in self.engine.end_ids:
                self._add(self._decoder.step(self.engine.text_tokenizer, token) or "")
        self._finish_if_due(is_ended=drawn[-1] in self.engine.end_ids)
        shown = self._written[len(self.text) : self._num_final()]
        self.text += shown
        return shown

    def _draw_healed(self, logits_V: np.ndarray) -> tuple[int, ...]:
        """Draw the tokens that spell the end of the prompt and may go beyond it."""
        found = covers(self.engine, self._read_ids(), self._to_spell, logits_V)
        self._to_spell = ""
        nothing_used = np.zeros(0, dtype=np.int64)
        sequence = found.sequence(draw(found.scores, self.settings, nothing_used, self._random.random()))
        self._must_reread = len(sequence) > 1
        return sequence

    def _add(self, text: str) -> None:
        healed = min(self._num_healed, len(text))
        self._num_healed -= healed
        self._written += text[healed:]

    def _finish_if_due(self, *, is_ended: bool) -> None:
        """Set the finish reason, and cut the text where it ends, if the story ends here."""
        over = self.num_tokens - self.settings.max_new_tokens
        if not is_ended and over < 0:
            return
        if is_ended or over == (MAX_MORE_TOKENS if self.settings.whole_sentences else 0):
            whole = self.engine.text_tokenizer.decode(self.ids)
            self._written += whole[self._num_read + len(self._written) :]  # bytes of an incomplete character
        if is_ended:
            self.finish_reason = "end"
        elif not self.settings.whole_sentences:
            self.finish_reason = "length"
        else:
            self._finish_sentence(over)

    def _finish_sentence(self, over: int) -> None:
        """End the story at the end of a sentence, if it has come or will not come.

        Args:
            over: tokens beyond `max_new_tokens`.
        """
        if self._at_limit is None:
            self._at_limit = self._written.rstrip()
        end = last_sentence_end(self._written)
        if end < len(self._at_limit) and over < MAX_MORE_TOKENS:
            return
        if end < len(self._at_limit):
            end = last_sentence_end(self._written + " ")
        if end and end >= len(self.text):
            self.finish_reason = "sentence"
        else:
            self.finish_reason = "length"
            end = max(last_word_end(self._written), len(self.text))
        self._written = self._written[:end]

    def _num_final(self) -> int:
        """The number of characters written that can no longer be cut off."""
        is_held = (
            self.settings.whole_sentences and self.num_tokens > self.settings.max_new_tokens - HELD_TOKENS
        )
        if self.finish_reason is not None or not is_held:
            return len(self._written)
        return max(last_sentence_end(self._written), len(self.text))

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

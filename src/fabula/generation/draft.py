"""Drafts: stories that are being written."""

import re
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from tokenizers.decoders import DecodeStream

from fabula.errors import FabulaError
from fabula.generation.copy_guard import CopyGuard
from fabula.generation.engine import Engine
from fabula.generation.healing import Covers, take_back
from fabula.generation.sampling import draw, loss_of, token_weights
from fabula.generation.sentences import last_line_end, last_sentence_end, last_word_end
from fabula.generation.settings import MAX_PHRASE, SamplingSettings
from fabula.generation.word_bias import WordBias
from fabula.results import FinishReason, WrittenStory
from fabula.tokens.prompts import prompt_text

CHUNK = 64
"""Tokens between two checks of whether a story will soon fill the context."""

MAX_MORE_TOKENS = 40
"""Tokens beyond `max_new_tokens` in which a sentence may still end."""

MAX_REWINDS = 200
"""How often one story may go back to avoid a banned phrase; after that it ends before the phrase."""

MEMORY_SHARE = 4
"""The memory and the author's note may together fill this fraction of the context: 1 / `MEMORY_SHARE`."""

NOTE_DEPTH = 32
"""The author's note is before the last line that begins at least so many tokens before the end, or an eighth of the context
if that is less."""

NOTE_STEP = 128
"""Tokens after which the author's note moves on with the story: each time, the model reads the window again."""

HELD_TOKENS = 64
"""For this many tokens before `max_new_tokens`, only whole sentences are shown, so that nothing shown has to be cut off
later."""


class Draft:
    """A story that is being written.

    The text of a token is not shown while it may still change: with `whole_sentences` the last tokens before
    `max_new_tokens` are shown sentence by sentence, and text that may begin a banned phrase is held back. When a banned
    phrase is complete, the story goes back to before its first token, which is then forbidden there.

    Attributes:
        index: its number among the stories of one call.
        ids: all tokens, including the prompt's.
        to_spell: the end of the prompt that the next tokens must spell, because it is not read.
        num_tokens: tokens drawn so far.
        text: the text after the prompt that can no longer change.
        finish_reason: None until it is finished.
        is_wanted: set it to False to stop writing this draft.
        is_due: set it to True to end this draft, or all its candidates, as if `max_new_tokens` were reached now.

    Args:
        candidate: its number among the drafts of which one is kept (`best_of`); number 0 is the story that is written
            without `best_of`.
        leader: the draft that becomes the best candidate.

    Raises:
        FabulaError: there is neither a prompt nor a start token, so the model has nothing to read.
    """

    def __init__(
        self,
        engine: Engine,
        index: int,
        prompt: str,
        settings: SamplingSettings,
        seed: int,
        candidate: int = 0,
        leader: "Draft | None" = None,
    ) -> None:
        self.engine = engine
        self.index, self.prompt, self.settings, self.seed = index, prompt, settings, seed
        start = [engine.start_id] * settings.start_of_story
        ids, self.to_spell = (
            take_back(engine, prompt) if settings.token_healing else (engine.encode(prompt), "")
        )
        written_to = prompt_text(settings.story_prompt)
        before = engine.encode(written_to) if written_to else []
        if not (start or before or ids) and prompt:  # the model must read something: the prompt as it is
            ids, self.to_spell = engine.encode(prompt), ""
        self.ids: list[int] = [*start, *before, *ids]
        if not self.ids:
            raise FabulaError(
                "an empty prompt needs the start token",
                hint="give a prompt, or leave start_of_story switched on",
            )
        self._num_start = len(start)
        self._memory, self._note = self._read_memory()
        self.text = ""
        self.num_tokens = 0
        self.finish_reason: FinishReason | None = None
        self.is_wanted = True
        self.is_due = False
        self.leader = leader
        self._written = ""
        """All text after the prompt, shown or not."""
        self._num_read = len(engine.text_tokenizer.decode(self.ids)) + len(self.to_spell)
        self._num_healed = len(self.to_spell)
        """Characters at the end of the prompt that the first tokens spell again."""
        self._most_tokens = settings.most_tokens
        self._at_limit: str | None = None
        """The text when `_most_tokens` were reached."""
        self._window_start = 0
        self._note_place = 0
        """The index in `ids` of the token before which the model reads the author's note."""
        self._must_reread = False
        self._random = np.random.Generator(np.random.PCG64([seed, candidate] if candidate else seed))
        self._decoder = DecodeStream(self.ids, skip_special_tokens=True)
        self._steps: list[tuple[int, int, str, int]] = []
        """Before each draw: the numbers of ids and of characters written, and the part of the prompt that was still to
        be spelled."""
        self._nats: list[float] = []
        """The loss of each draw under the model, if this is one of several candidates."""
        self._forbidden: dict[int, set[tuple[int, ...]]] = {}
        """By draw: the tokens that must not be drawn there."""
        self._num_rewinds = 0
        self._bias = WordBias(engine.vocabulary, settings.word_bias) if settings.word_bias else None
        self._guard = self._make_guard()
        self._phrases = self._phrases_to_ban()
        phrases = "|".join(re.escape(phrase) for phrase in self._phrases)
        self._banned = re.compile(rf"(?<!\w)(?:{phrases})(?!\w)", re.IGNORECASE) if phrases else None
        if settings.opening and not prompt and start and not before:
            self._begin_as_a_training_story()
        self.window()

    def _begin_as_a_training_story(self) -> None:
        """Write the first words of a training story, if the model has any; they count as written, not as prompt."""
        openings = [each for each in self.engine.openings if not (self._banned and self._banned.search(each))]
        if openings:
            self._written = openings[self._random.integers(len(openings))]
            self.ids += self.engine.encode(self._written)
            self._decoder = DecodeStream(self.ids, skip_special_tokens=True)

    def _read_memory(self) -> tuple[list[int], list[int]]:
        """The tokens of the memory and of the author's note."""
        memory, note = self.settings.memory.strip(), self.settings.note.strip()
        found = (
            self.engine.encode(memory + "\n\n") if memory else [],
            self.engine.encode(f"[{note}]\n") if note else [],
        )
        num_tokens, most = sum(map(len, found)), self.engine.context_length // MEMORY_SHARE
        if num_tokens > most:
            names = " and ".join(name for name, ids in zip(("memory", "note"), found, strict=True) if ids)
            raise FabulaError(
                f"{num_tokens:,} tokens are too many; this model allows {most:,}, a quarter of its context",
                where=names,
            )
        return found

    def _phrases_to_ban(self) -> list[str]:
        phrases = [phrase.strip() for phrase in self.settings.banned_phrases]
        if self.settings.ban_overused:
            if self.engine.overused is None:
                raise FabulaError(
                    "this model has no evaluation that lists the phrases that it overuses",
                    where=self.engine.folder,
                    hint="leave out ban_overused, or write with the model of a finished run",
                )
            phrases += self.engine.overused
        return phrases

    def _make_guard(self) -> CopyGuard | None:
        if not self.settings.copy_guard:
            return None
        self.engine.vocabulary.check_spelled("copy_guard")
        if self.engine.copies is None:
            raise FabulaError(
                "the copy guard needs the training stories",
                where=self.engine.folder,
                hint="name their corpus (--corpus), or a model in the folder of its run",
            )
        return CopyGuard(self.engine.copies, self.settings.copy_guard)

    @property
    def is_unfinished(self) -> bool:
        """Whether it is wanted and not finished."""
        wanted = self if self.leader is None else self.leader
        return wanted.is_wanted and self.finish_reason is None

    def needs_new_window(self) -> bool:
        """Whether the model must read a new window: it has not read the last tokens, or has no room left for the next
        ones.

        The latter is checked only every `CHUNK` tokens, so that stories that began together get new windows together.
        """
        is_note_due = bool(self._note) and self.num_tokens % NOTE_STEP == 0
        return (
            self._must_reread
            or self._is_full()
            or (is_note_due and self._find_note_place() != self._note_place)
        )

    def _find_note_place(self) -> int:
        token_bytes = self.engine.vocabulary.token_bytes
        depth = min(NOTE_DEPTH, self.engine.context_length // 8)
        places = range(len(self.ids) - depth, self._window_start, -1)
        starts = (place for place in places if token_bytes[self.ids[place - 1]].endswith(b"\n"))
        return next(starts, self._window_start)

    def _is_full(self) -> bool:
        context = self.engine.context_length
        chunk = min(CHUNK, context // 4 or 1)
        num_read = len(self._memory) + len(self._note) + len(self.ids) - self._window_start
        return self.num_tokens % chunk == 0 and num_read + chunk > context + 1

    def window(self) -> list[int]:
        """The tokens that the model should read: the whole story, or the last half context of a long one."""
        if self._is_full() or self._window_start >= len(self.ids):
            room = self.engine.context_length - len(self._memory) - len(self._note)
            self._window_start = max(len(self.ids) - max(room // 2, 1), 0)
        self._must_reread = False
        if self._note:
            self._note_place = self._find_note_place()
        return self._read_ids()

    @property
    def num_unread(self) -> int:
        """Number of characters at the beginning of the prompt that are before the window; approximate if the window
        begins within a character."""
        if not self._window_start:
            return 0
        read = self.engine.text_tokenizer.decode(self.ids[self._window_start :])
        return max(0, len(self.prompt) + len(self._written) - len(read))

    def _read_ids(self) -> list[int]:
        """The tokens that the model has read, or should read next."""
        story = self.ids[self._window_start :]
        if self._window_start and self.engine.continued_with_start:
            story[0] = self.engine.start_id
        num_before = int(self.engine.continued_with_start) if self._window_start else self._num_start
        note_place = max(self._note_place - self._window_start, num_before)
        before, after = story[num_before:note_place], story[note_place:]
        return [*story[:num_before], *self._memory, *before, *self._note, *after]

    def draw(self, logits_V: np.ndarray, covers: Covers | None) -> str:
        """Draw the next token; return the text that can be shown now.

        Args:
            logits_V: the model's logits after the tokens so far.
            covers: the ways to spell `to_spell` after these tokens, if there is anything to spell.
        """
        forbidden = self._forbidden.get(self.num_tokens, set())
        self._steps.append((len(self.ids), len(self._written), self.to_spell, self._num_healed))
        assert (covers is None) == (not self.to_spell)
        if covers is None:
            drawn = [self._draw_token(logits_V, forbidden)]
        else:
            drawn = self._draw_healed(covers, forbidden)
        self.num_tokens += 1
        for token in drawn:
            self.ids.append(token)
            if token not in self.engine.end_ids:
                self._add(self._decode(token))
        if self.settings.num_candidates > 1:
            self._nats.append(0.0 if len(drawn) > 1 else loss_of(logits_V, drawn[0]))
        self._finish_if_due(is_ended=drawn[-1] in self.engine.end_ids)
        if self._banned is not None:
            self._avoid_banned()
        shown = self._written[len(self.text) : self._num_final()]
        self.text += shown
        return shown

    def _draw_token(self, logits_V: np.ndarray, forbidden: set[tuple[int, ...]]) -> int:
        if forbidden or self._bias or self._guard:
            logits_V = logits_V.copy()
            logits_V[[sequence[0] for sequence in forbidden]] = -np.inf
        vocabulary = self.engine.vocabulary
        before = ""
        if self._bias or self._guard:
            before = vocabulary.spell(self.ids[-self.settings.copy_guard - MAX_PHRASE :]).decode(
                errors="ignore"
            )
        if self._bias:
            self._bias.add(logits_V, before)
        breakers = vocabulary.dry_breakers if self.settings.dry_multiplier else frozenset[int]()
        while True:
            token = self._draw_one(logits_V, np.array(self.ids), breakers)
            if not self._guard or not self._guard.forbids(
                before, vocabulary.token_bytes[token].decode(errors="ignore")
            ):
                return token
            logits_V[token] = -np.inf

    def _draw_healed(self, covers: Covers, forbidden: set[tuple[int, ...]]) -> list[int]:
        """Draw tokens that spell the end of the prompt and may continue beyond it."""
        self.to_spell = ""
        scores = covers.scores.copy()
        if forbidden:
            for index in range(len(scores)):
                if covers.sequence(index) in forbidden:
                    scores[index] = -np.inf
        sequence = covers.sequence(self._draw_one(scores, np.zeros(0, dtype=np.int64), frozenset()))
        self._must_reread = len(sequence) > 1
        return list(sequence)

    def _draw_one(self, scores: np.ndarray, used_ids: np.ndarray, breakers: frozenset[int]) -> int:
        uniform, chance = self._random.random(), self.settings.xtc_probability
        without_likeliest = chance > 0 and self._random.random() < chance
        weights = token_weights(
            scores, self.settings, used_ids, breakers=breakers, without_likeliest=without_likeliest
        )
        return draw(weights, uniform)

    def _avoid_banned(self) -> None:
        """Go back to before the first token of a banned phrase, if the written text contains one."""
        assert self._banned is not None
        before = self.prompt[-MAX_PHRASE:]
        text = before + self._written
        for match in self._banned.finditer(text):
            is_complete = match.end() < len(text) or self.finish_reason is not None or not text[-1].isalnum()
            if match.end() > len(before) and is_complete:
                self._rewind(max(match.start() - len(before), 0))
                return

    def _rewind(self, start: int) -> None:
        """Go back to before the token that wrote the character `start`, and forbid it there."""
        step = self._step_of(start)
        num_ids, num_written, to_spell, num_healed = self._steps[step]
        end = self._steps[step + 1][0] if step + 1 < len(self._steps) else len(self.ids)
        drawn = tuple(self.ids[num_ids:end])
        self._num_rewinds += 1
        self._written, self._at_limit = self._written[:num_written], None
        if self._num_rewinds > MAX_REWINDS:
            self.finish_reason = "length"
            return
        self.finish_reason = None
        self._steps, self.ids, self.num_tokens = self._steps[:step], self.ids[:num_ids], step
        self._nats = self._nats[:step]
        self.to_spell, self._num_healed = to_spell, num_healed
        self._forbidden = {place: each for place, each in self._forbidden.items() if place <= step}
        self._forbidden.setdefault(step, set()).add(drawn)
        self._decoder = DecodeStream(self.ids, skip_special_tokens=True)
        self._must_reread = True

    def _decode(self, token: int) -> str:
        """The text that can be shown once this token was drawn."""
        try:
            return self._decoder.step(self.engine.text_tokenizer, token) or ""
        except Exception:  # tokens that stand for bytes made up no character: tokenizers then reads those before in another way
            self._decoder = DecodeStream([token], skip_special_tokens=True)
            return self.engine.vocabulary.spell([token]).decode(errors="ignore")

    def _add(self, text: str) -> None:
        healed = min(self._num_healed, len(text))
        self._num_healed -= healed
        self._written += text[healed:]

    def _finish_if_due(self, *, is_ended: bool) -> None:
        """Set the finish reason, and cut the text where it ends, if the story ends here."""
        if (self.leader or self).is_due:
            self._most_tokens = min(self._most_tokens, self.num_tokens)
        over = self.num_tokens - self._most_tokens
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
        """End the story at the end of a sentence if there is one, or cut it if none has come in time.

        Args:
            over: tokens beyond `_most_tokens`.
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
            end = last_line_end(self._written)  # of verse, which may have no sentences
            if end <= max(len(self.text), len(self._written) // 2):
                end = max(last_word_end(self._written), len(self.text))
        self._written = self._written[:end]

    def _num_final(self) -> int:
        """The number of characters written that can no longer change."""
        final = len(self._written)
        if self.finish_reason is not None:
            return final
        if self.settings.whole_sentences and self.num_tokens > self._most_tokens - HELD_TOKENS:
            final = last_sentence_end(self._written)
        if self._banned is not None:
            final = min(final, self._before_banned())
        return max(final, len(self.text))

    def _before_banned(self) -> int:
        """The number of characters before the token in which a banned phrase may have begun; all characters if there is
        none."""
        text = (self.prompt[-MAX_PHRASE:] + self._written).lower()
        phrases = [phrase.lower() for phrase in self._phrases]
        begun = max(size for each in phrases for size in range(len(each) + 1) if text.endswith(each[:size]))
        if not begun or not self._steps:  # it went back to the prompt
            return len(self._written)
        return self._steps[self._step_of(max(len(self._written) - begun, 0))][1]

    def _step_of(self, character: int) -> int:
        """The draw that wrote a character."""
        return max(bisect_right(self._steps, character, key=lambda each: each[1]) - 1, 0)

    @property
    def mean_loss(self) -> float:
        """Nats per token under the model, if this is one of several candidates."""
        return sum(self._nats) / max(1, len(self._nats))

    def take(self, best: "Draft", text: str, finish_reason: FinishReason) -> str:
        """Become one of its candidates with this text, the candidate's or its beginning; return the text."""
        is_whole = text.startswith(best.text)
        self.num_tokens = best.num_tokens if is_whole else len(self.engine.encode(text))
        self.ids, self.text, self.finish_reason = best.ids, text, finish_reason
        return self.text

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

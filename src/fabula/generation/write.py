"""Writes stories: one at a time, piece by piece, or many in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.corpus.copies import CopyIndex
from fabula.defaults import SEED
from fabula.errors import FabulaError
from fabula.generation.batcher import Batcher
from fabula.generation.draft import Draft, FinishReason, WrittenStory, make_drafts
from fabula.generation.engine import Engine
from fabula.generation.engines import load_engine
from fabula.generation.settings import SamplingSettings
from fabula.progress import OnProgress, Progress, silent

BATCH_SIZE = 8
"""Stories that are written at once, unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that has just been written: whole characters, rarely more than a word.

    Attributes:
        text: "" only in the last piece of a story.
        finish_reason: why the story ended, in its last piece; None in the others.
    """

    text: str
    finish_reason: FinishReason | None = None


class Writer:
    """A loaded model that writes stories. `fabula.load` makes one.

    Settings are keyword arguments, the fields of `SamplingSettings`; the model's own settings apply to those that are
    not given. A story longer than the model's context is continued: when there is no room for another 64 tokens, the
    model reads the last half context again and forgets the text before it. The same holds for a long prompt.

    Attributes:
        engine: the model in its engine.
        settings: the model's own settings.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.settings = SamplingSettings.of_model(engine.folder)

    def write(self, prompt: str = "", *, seed: int = SEED, **settings: Any) -> WrittenStory:
        """Write one story.

        Args:
            prompt: how the story begins; "" for a story that begins with the first words of a training story, or, with a
                model that fabula did not train, after the start token.
            seed: the same model, prompt, seed and settings give the same story.
            settings: see `SamplingSettings`.

        Raises:
            FabulaError: an unknown setting, a value out of range, a negative seed.
        """
        draft = self._draft(prompt, seed, settings)
        for _ in write_drafts([draft]):
            pass
        return draft.story()

    def stream(self, prompt: str = "", *, seed: int = SEED, **settings: Any) -> Iterator[Piece]:
        """Write one story and yield it piece by piece: the joined texts are the `text` that `write` returns.

        Arguments and errors are those of `write`; errors are raised by the call, not at the first piece.
        """
        draft = self._draft(prompt, seed, settings)
        return (
            Piece(text, draft.finish_reason)
            for _, text in write_drafts([draft])
            if text or draft.finish_reason is not None
        )

    def write_many(
        self, prompts: Sequence[str], *, seed: int = SEED, batch_size: int = BATCH_SIZE, **settings: Any
    ) -> list[WrittenStory]:
        """Write one story for each prompt, in the order of the prompts.

        Args:
            seed: story number i has the seed `seed + i`, so that `write` with this seed writes it alone.
            batch_size: stories written at once; it does not change them.
        """
        drafts = make_drafts(self.engine, prompts, self.settings.with_changes(**settings), seed)
        return _stories(drafts, batch_size)

    def _draft(self, prompt: str, seed: int, settings: dict[str, Any]) -> Draft:
        [draft] = make_drafts(self.engine, [prompt], self.settings.with_changes(**settings), seed)
        return draft


def load(
    model: str | Path,
    engine: str = "auto",
    *,
    corpus: str | Path | None = None,
    on_progress: OnProgress = silent,
) -> Writer:
    """Load a model to write with many times.

    Args:
        model: folder of a model or of a run, or the name of a base model.
        engine: what runs it: "auto" for the fastest that is installed, or one of `fabula.generation.engines.ENGINES`.
        corpus: the training stories that `copy_guard` keeps from being copied; None for those in the run's folder.

    Raises:
        FabulaError: there is no such model or corpus, or the engine is unknown, not installed, or cannot run this
            model.
    """
    loaded = load_engine(model, engine, on_progress=on_progress)
    if corpus is not None:
        loaded.copies = CopyIndex.of_corpus(corpus)
    return Writer(loaded)


def write(
    model: str | Path, prompt: str = "", *, seed: int = SEED, engine: str = "auto", **settings: Any
) -> WrittenStory:
    """Write one story: `load(model, engine).write(prompt, seed=seed, **settings)`."""
    return load(model, engine).write(prompt, seed=seed, **settings)


def stream(
    model: str | Path, prompt: str = "", *, seed: int = SEED, engine: str = "auto", **settings: Any
) -> Iterator[Piece]:
    """Write one story piece by piece: `load(model, engine).stream(prompt, seed=seed, **settings)`."""
    return load(model, engine).stream(prompt, seed=seed, **settings)


def write_stories(
    engine: Engine,
    prompts: Sequence[str],
    *,
    settings: SamplingSettings,
    seeds: Sequence[int],
    story_prompts: Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
    on_progress: OnProgress = silent,
) -> list[WrittenStory]:
    """Write one story for each prompt and return them in this order.

    Args:
        story_prompts: for each prompt, the `story_prompt` in place of that of `settings`.
        settings: exactly these settings; the model's own are ignored.
        seeds: one for each prompt.
        batch_size: stories written at once; it does not change them.
    """
    own = [settings.with_changes(story_prompt=each) for each in story_prompts or ()]
    given = zip(prompts, own or [settings] * len(prompts), seeds, strict=True)
    drafts = [Draft(engine, index, prompt, each, seed) for index, (prompt, each, seed) in enumerate(given)]
    return _stories(drafts, batch_size, on_progress)


def write_drafts(
    drafts: Sequence[Draft], batch_size: int = 1, on_progress: OnProgress = silent
) -> Iterator[tuple[Draft, str]]:
    """Write drafts of one engine, `batch_size` at once; yield each draft with the text that its newest token completes, often ""."""
    if batch_size < 1:
        raise FabulaError("batch_size must be 1 or more")
    num_finished = 0
    batcher = Batcher()
    for first in range(0, len(drafts), batch_size):
        batcher.add(drafts[first : first + batch_size])
        while batcher:
            for draft, text in batcher.step():
                if draft.finish_reason is not None:
                    num_finished += 1
                    on_progress(Progress("write", done=num_finished, total=len(drafts), unit="stories"))
                yield draft, text


def _stories(
    drafts: Sequence[Draft], batch_size: int, on_progress: OnProgress = silent
) -> list[WrittenStory]:
    for _ in write_drafts(drafts, batch_size, on_progress):
        pass
    return [draft.story() for draft in drafts]

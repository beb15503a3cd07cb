"""The interface of engines: an engine computes the logits of the next token. `sampling.py` draws the tokens.

Each engine is one file that imports only this interface from the package; `engines.py` lists them. Importing this
module loads neither torch nor transformers: that takes seconds, and the fast engine needs neither.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from fabula.config import Record
from fabula.corpus.copies import CopyIndex
from fabula.defaults import MAX_WRITING_CONTEXT
from fabula.errors import FabulaError
from fabula.files import read_json
from fabula.generation.settings import GENERATION_CONFIG
from fabula.generation.vocabulary import Vocabulary
from fabula.models.openings import Openings

ALIGNMENT = 16
"""Floats in the widest vector register of today's CPUs (512 bits)."""


class TextSide(Record):
    """Everything that an engine needs to know about a model besides its weights. An engine may cache it as JSON."""

    tokenizer: str
    """`tokenizer.json`."""
    context_length: int
    """The most tokens that the model reads at once: its own context, at most `MAX_WRITING_CONTEXT`."""
    start_id: int
    """The token before a story."""
    end_id: int
    """The token that ends a story; `generation_config.json` may name others."""
    continued_with_start: bool = False
    """Whether a window that begins within a story begins with the start token, too."""

    @classmethod
    def of(cls, folder: Path, model: Any = None) -> "TextSide":
        """Read it from a model's folder with transformers.

        Args:
            model: the loaded model, if there is one, to measure how its stories begin (see `find_story_format`).

        Raises:
            FabulaError: the configuration or the tokenizer is damaged.
        """
        from transformers import AutoConfig

        from fabula.models.load import context_length_of
        from fabula.models.story_format import find_story_format
        from fabula.tokens.tokenizer import load_tokenizer

        tokenizer: Any = load_tokenizer(folder)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        story_format = find_story_format(folder, tokenizer, model)
        return cls(
            tokenizer=tokenizer.backend_tokenizer.to_str(),
            context_length=min(context_length_of(config.get_text_config()), MAX_WRITING_CONTEXT),
            **story_format.model_dump(include={"start_id", "end_id", "continued_with_start"}),
        )


class Batch(ABC):
    """Stories that a model reads together. The batch keeps the attention keys and values of what was read.

    Attributes:
        logits_BV: logits of the next token of each story. The next step may overwrite them.
    """

    logits_BV: NDArray[np.float32]

    @abstractmethod
    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        """Read one more token for some of the stories. The others leave the batch.

        Args:
            rows: rows, ascending, of the stories that continue; they become rows 0, 1, ... A row that is named several
                times gives several copies of its story.
            input_ids: the next token of each of these stories.
        """


class Engine(ABC):
    """A loaded model.

    Attributes:
        name: its name for `--engine`.
        folder: the model's folder.
        text_tokenizer: reads the name of a special token in a text as plain text.
        context_length: the most tokens that the model reads at once.
        start_id: the token before a story.
        continued_with_start: whether a window that begins within a story begins with the start token, too.
        end_ids: the tokens that end a story.
    """

    name: str

    def __init__(self, folder: Path, text: TextSide) -> None:
        self.folder = folder
        self.text_tokenizer = Tokenizer.from_str(text.tokenizer)
        self.text_tokenizer.encode_special_tokens = True
        self.text_tokenizer.no_truncation()
        self.text_tokenizer.no_padding()
        self.context_length = text.context_length
        self.start_id, self.continued_with_start = text.start_id, text.continued_with_start
        self.end_ids = end_ids_of(folder) | {text.end_id}

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The text of each token."""
        return Vocabulary(self.text_tokenizer)

    @cached_property
    def overused(self) -> tuple[str, ...] | None:
        """The phrases that the model overuses compared with the author; None if it was not evaluated."""
        from fabula.models.records import ModelRecords

        tuned = ModelRecords.of(self.folder).tuned
        return None if tuned is None else tuple(each.phrase for each in tuned.overused)

    @cached_property
    def openings(self) -> tuple[str, ...]:
        """The first words of training stories, with one of which a story without a prompt begins; () for none."""
        return Openings.of_model(self.folder).openings

    @cached_property
    def copies(self) -> CopyIndex | None:
        """An index of the training stories, so that a story can avoid copying them: of the corpus in the run's folder,
        unless it is set to another. None if there is no corpus, or if it is too large."""
        from fabula.models.records import ModelRecords

        corpus = ModelRecords.readable(self.folder)[0].corpus_folder
        return None if corpus is None else CopyIndex.of_corpus(corpus)

    def encode(self, text: str) -> list[int]:
        """The ids of a text; no token is added."""
        return self.text_tokenizer.encode(text, add_special_tokens=False).ids

    @abstractmethod
    def read(self, windows: Sequence[Sequence[int]]) -> Batch:
        """Read these windows, of 1 to `context_length` tokens each, as one batch. Batches are independent of each
        other."""


def end_ids_of(folder: Path) -> frozenset[int]:
    """The tokens that end a text according to the model's `generation_config.json`; none if it does not say."""
    path = folder / GENERATION_CONFIG
    settings = read_json(path) if path.is_file() else {}
    stated = settings.get("eos_token_id") if isinstance(settings, dict) else None
    ids = stated if isinstance(stated, list) else [stated] if stated is not None else []
    if not isinstance(settings, dict) or not all(isinstance(each, int) for each in ids):
        raise FabulaError("eos_token_id must be a token id or a list of token ids", where=path)
    return frozenset(ids)


def left_padded(
    windows: Sequence[Sequence[int]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Windows of unequal length as one batch, aligned at their ends: input_ids_BT, attention_mask_BT, position_ids_BT.

    T is a multiple of `ALIGNMENT`, so that the position of a token in the processor's vectors depends only on its own
    story. Sums are then rounded the same way in every batch, and the logits of a story are bit-identical in a batch and
    alone.
    """
    longest = max(len(window) for window in windows)
    longest += -longest % ALIGNMENT
    input_ids_BT = np.zeros((len(windows), longest), dtype=np.int64)
    mask_BT = np.zeros_like(input_ids_BT)
    for row, window in enumerate(windows):
        input_ids_BT[row, longest - len(window) :] = window
        mask_BT[row, longest - len(window) :] = 1
    return input_ids_BT, mask_BT, np.maximum(mask_BT.cumsum(axis=1) - 1, 0)

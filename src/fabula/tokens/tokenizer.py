"""Tokenizers: loads one safely, trains one on stories, encodes text to ids."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer, GPT2Tokenizer, PreTrainedTokenizerBase

from fabula.errors import FabulaError, first_line
from fabula.files import read_json

END_OF_TEXT = "<|endoftext|>"

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")
"""A folder without any of these has no tokenizer that can be loaded without running code."""


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a model folder.

    Raises:
        FabulaError: there is no tokenizer, it is damaged, it needs code from the folder, or it has no end-of-text
            token.
    """
    folder = Path(folder)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise FabulaError(
            "this folder has no tokenizer (tokenizer.json, or vocab.json with merges.txt)",
            where=folder,
            hint="copy that of its base model there",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the libraries below raise bare Exceptions on damaged files
        raise FabulaError(f"the tokenizer cannot be loaded ({first_line(error)})", where=folder) from None
    if not tokenizer.is_fast:
        raise FabulaError(
            "the tokenizer has no tokenizer.json, and none can be made from its files", where=folder
        )
    if (
        tokenizer.eos_token is None and tokenizer.sep_token is not None
    ):  # BERT's sep_token, which some GPT-2 models use
        tokenizer.bos_token, tokenizer.eos_token = tokenizer.cls_token, tokenizer.sep_token
    if not tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False):
        raise FabulaError(
            "the tokenizer has no vocabulary",
            where=folder,
            hint='for a BERT vocab.txt, write {"tokenizer_class": "BertTokenizer"} to tokenizer_config.json',
        )
    if tokenizer.eos_token is None and (end := _end_of_config(folder)) is not None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    if tokenizer.eos_token_id is None:
        raise FabulaError("the tokenizer has no end-of-text token (eos_token)", where=folder)
    _check_ids(tokenizer, folder)
    return tokenizer


def _end_of_config(folder: Path) -> int | None:
    """The end-of-text token that a model's configuration names; its tokenizer may not know it."""
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    end = config.get("eos_token_id") if isinstance(config, dict) else None
    return end if isinstance(end, int) else None


def _check_ids(tokenizer: Any, folder: Path) -> None:
    """Check that the model has an embedding for every token that a text can contain."""
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    num_rows = config.get("vocab_size") if isinstance(config, dict) else None
    ids = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False).values()
    highest = max([tokenizer.bos_token_id or 0, end_of_text_id(tokenizer), *ids])
    if isinstance(num_rows, int) and highest >= num_rows:
        raise FabulaError(
            f"the tokenizer does not fit the model: it has a token {highest:,}, and the model has {num_rows:,}",
            where=folder,
        )


def train_tokenizer(texts: Iterable[str], vocab_size: int, *, context_length: int) -> PreTrainedTokenizerBase:
    """A byte-level BPE of at most `vocab_size` tokens, in GPT-2's form, with one special token, `<|endoftext|>`.

    Every text can be encoded, and its ids decode to the same text. The same texts give the same tokenizer.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    model = json.loads(backend.to_str())["model"]
    merges: Any = [tuple(pair) for pair in model["merges"]]
    return GPT2Tokenizer(vocab=model["vocab"], merges=merges, model_max_length=context_length)


def end_of_text_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the token that ends a story."""
    assert isinstance(tokenizer.eos_token_id, int)
    return tokenizer.eos_token_id


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[np.ndarray]:
    """The ids (int32) of each text. No token is added; a special token's name in a text is plain text."""
    with _plain(tokenizer) as backend:  # encode_batch_fast does not compute the spans
        encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
    return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]


def encode_with_spans(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each text its ids (int32 [num_tokens]) as `encode` gives them, and the characters that each one covers
    (int64 [num_tokens, 2], start and end)."""
    with _plain(tokenizer) as backend:
        encodings = backend.encode_batch(list(texts), add_special_tokens=False)
    return [
        (np.array(encoding.ids, dtype=np.int32), np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2))
        for encoding in encodings
    ]


class LostCharacters:
    """Counts the characters in texts for which a tokenizer has no tokens, or only its unknown token.

    Attributes:
        counts: how often each of them occurred in the texts so far.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.counts: Counter[str] = Counter()
        self._tokenizer = tokenizer
        self._seen: set[str] = {" "}  # if words are tokens, the spaces between them have none
        self._lost: set[str] = set()

    def count(self, texts: Iterable[str]) -> None:
        """Count the lost characters of these texts."""
        for text in texts:
            characters = set(text)
            if new := sorted(characters - self._seen):
                self._seen.update(new)
                self._lost.update(
                    c for c, ids in zip(new, encode(self._tokenizer, new), strict=True) if self._loses(c, ids)
                )
            for character in characters & self._lost:
                self.counts[character] += text.count(character)

    def _loses(self, character: str, ids: np.ndarray) -> bool:
        if len(ids) == 0 or self._tokenizer.unk_token_id in ids:
            return True
        # Some of the bytes of a character decode to U+FFFD.
        return character != "\ufffd" and "\ufffd" in str(self._tokenizer.decode(ids.tolist()))


@contextmanager
def _plain(tokenizer: PreTrainedTokenizerBase) -> Iterator[Any]:
    """The tokenizer's backend, without truncation and padding, reading the names of special tokens as text."""
    backend: Any = tokenizer.backend_tokenizer
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True
    backend.no_truncation()
    backend.no_padding()
    try:
        yield backend
    finally:
        backend.encode_special_tokens = before

"""Encodes large amounts of text: with fastokens if it is installed and its ids equal those of Hugging Face's tokenizers, else
with the latter."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from fabula.tokens.tokenizer import encode

PROBE = [
    "Once upon a time, there was a miller's wife. They'll say we've 1,234 DON'T you're  I'd\n\n\tend \r\n ",
    "“Nein”, sagte\u00a0der Fuchs … naïve café — cafe\u0301 狐狸🦊👩‍👩‍👧 ½ ٣ 한글 कि\u200b \u3000 \x00\x1c\x85",
    *(
        "".join(f"{c} {c}a{c}1" for c in map(chr, range(first, first + 256)) if not "\ud800" <= c <= "\udfff")
        for first in (*range(0, 0x3100, 256), *range(0x3100, 0x20000, 0x1100))
    ),
]
"""Texts on which both must agree before the faster one is used: common text, and characters of all kinds next to
letters, digits and spaces, which reveal differences in rules or Unicode tables."""

LONG_PROBE = 100_000
"""Characters of one more probe, since fastokens splits a long text between threads (crusoecloud/fastokens#67)."""


class Encoder:
    """Encodes texts as `encode` does. Construction takes half a second with GPT-2's vocabulary: it is meant for
    corpora.

    fastokens supports only BPE, and raises on a byte that the vocabulary lacks. The tokenizer itself encodes for other
    kinds, and once fastokens raises or disagrees with it (on the probes, on the `sample` of the corpus, or on the story
    of median length in a later batch).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, sample: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._fast: Any = _load_fast(tokenizer)
        prose = " ".join([*sample, PROBE[0]])
        checked = [*PROBE, *sample, prose * (LONG_PROBE // len(prose) + 1)]
        if self.is_fast:
            ids = self._encode_fast(checked)
            if ids is None or not _equal(ids, encode(tokenizer, checked)):
                self._fast = None

    @property
    def is_fast(self) -> bool:
        """Whether fastokens is in use."""
        return self._fast is not None

    def __call__(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text. No token is added; a special token's name in a text is plain text."""
        if self.is_fast and texts:
            ids = self._encode_fast(texts)
            checked = sorted(range(len(texts)), key=lambda index: len(texts[index]))[len(texts) // 2]
            if ids is not None and _equal([ids[checked]], encode(self._tokenizer, [texts[checked]])):
                return ids
            self._fast = None
        return encode(self._tokenizer, texts)

    def _encode_fast(self, texts: Sequence[str]) -> list[np.ndarray] | None:
        """The ids that fastokens gives, or None if it fails in any way."""
        try:
            flat, borders = self._fast.encode_batch_flat(list(texts), split_special_tokens=True)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic in Rust is no Exception
            return None
        ids = np.frombuffer(flat, np.uint32)
        return [ids[begin:end] for begin, end in pairwise(np.frombuffer(borders, np.uint64).tolist())]


def _load_fast(tokenizer: PreTrainedTokenizerBase) -> Any:
    """fastokens' form of a tokenizer; None for a kind that it does not support, and where it is not installed."""
    try:
        from fastokens import Tokenizer
    except ImportError:
        return None
    backend: Any = tokenizer.backend_tokenizer
    try:
        fast = Tokenizer.from_json_str(backend.to_str())
        fast.no_truncation()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a panic in Rust is no Exception
        return None
    return fast


def _equal(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return len(some) == len(others) and all(map(np.array_equal, some, others))

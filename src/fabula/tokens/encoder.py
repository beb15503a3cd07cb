"""Text to ids at the speed of a corpus: by fastokens where it gives the ids of Hugging Face's tokenizers, else by those."""

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
"""What both must agree on before the faster one is trusted: the usual, and characters of every kind beside letters,
digits and spaces, where the two would differ if their rules or their Unicode tables did."""


class Encoder:
    """Encodes texts as `encode` does. Making one takes half a second with GPT-2's vocabulary: it is meant for corpora.

    fastokens knows BPE alone. For other kinds, and where it disagrees with the tokenizer itself on `PROBE` or on the
    `sample` of the corpus, the tokenizer itself encodes.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, sample: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._fast = _load_fast(tokenizer)
        checked = [*PROBE, *sample]
        if self.is_fast and not _equal(self(checked), encode(tokenizer, checked)):
            self._fast = None

    @property
    def is_fast(self) -> bool:
        """Whether fastokens does the work."""
        return self._fast is not None

    def __call__(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text. No token is added; a special token's name in a text is plain text."""
        if self._fast is None:
            return encode(self._tokenizer, texts)
        flat, borders = self._fast.encode_batch_flat(list(texts), split_special_tokens=True)
        ids = np.frombuffer(flat, np.uint32)
        return [ids[begin:end] for begin, end in pairwise(np.frombuffer(borders, np.uint64).tolist())]


def _load_fast(tokenizer: PreTrainedTokenizerBase) -> Any:
    """fastokens' form of a tokenizer, or None for a kind that it does not know."""
    from fastokens import Tokenizer

    backend: Any = tokenizer.backend_tokenizer
    try:
        fast = Tokenizer.from_json_str(backend.to_str())
    except ValueError:
        return None
    fast.no_truncation()
    return fast


def _equal(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))

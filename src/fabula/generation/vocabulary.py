"""The text of each token, as bytes."""

import json
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from fabula.errors import FabulaError

DRY_BREAKERS = (b"\n", b":", b'"', b"*", "\u201c".encode(), "\u201d".encode())


class Vocabulary:
    """The bytes of each token of a vocabulary, and the tokens that begin with given bytes.

    Attributes:
        token_bytes: by id; b"" for special tokens, and for all tokens of a tokenizer of an unknown kind.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        added = tokenizer.get_added_tokens_decoder()
        spell = _speller(json.loads(tokenizer.to_str())["decoder"])
        size = max([*tokenizer.get_vocab().values(), -1]) + 1
        self.token_bytes = [b""] * size
        for token, index in tokenizer.get_vocab(with_added_tokens=False).items():
            if index not in added or not added[index].special:
                self.token_bytes[index] = spell(token)

    def check_spelled(self, wanted: str) -> None:
        """Check that the text of the tokens is known.

        Raises:
            FabulaError: the text is not known, and `wanted` needs it.
        """
        if not any(self.token_bytes):
            raise FabulaError(
                f"{wanted} needs a byte-level or SentencePiece tokenizer, and this model has another"
            )

    def spell(self, ids: Iterable[int]) -> bytes:
        """The text of some tokens."""
        return b"".join(self.token_bytes[index] for index in ids)

    def beginning_with(self, start: bytes) -> NDArray[np.int64]:
        """The ids of the tokens whose text begins with `start`, which is not empty."""
        ids, spelled = self._sorted
        first = bisect_left(spelled, start)
        last = bisect_left(spelled, start + b"\xff" * 64)
        return ids[first:last]

    def proper_prefixes(self, text: bytes) -> list[int]:
        """The ids of the tokens whose text is the beginning of `text` and shorter."""
        return self.prefixes(text[:-1])

    def prefixes(self, text: bytes) -> list[int]:
        """The ids of the tokens whose text is the beginning of `text`, or all of it."""
        _, spelled = self._sorted
        found = []
        for length in range(1, len(text) + 1):
            place = bisect_left(spelled, text[:length])
            while place < len(spelled) and spelled[place] == text[:length]:
                found.append(int(self._sorted[0][place]))
                place += 1
        return found

    @cached_property
    def ends_word_V(self) -> NDArray[np.bool_]:
        """For each token whether it ends a word that it follows: whether it begins with something else than a letter, a digit
        or an apostrophe. A token that begins within a character does not."""
        return np.array([not _continues_word(text) for text in self.token_bytes])

    @cached_property
    def begins_with_letter(self) -> NDArray[np.int64]:
        """The ids of the tokens that begin with a letter or a digit, and so make a word longer."""
        starts = (text[:1].decode(errors="replace") for text in self.token_bytes)
        return np.flatnonzero([start.isalnum() for start in starts])

    @cached_property
    def dry_breakers(self) -> frozenset[int]:
        """The tokens that end a sequence for DRY."""
        texts = enumerate(self.token_bytes)
        return frozenset(index for index, text in texts if any(each in text for each in DRY_BREAKERS))

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], list[bytes]]:
        order = sorted(range(len(self.token_bytes)), key=self.token_bytes.__getitem__)
        return np.array(order, dtype=np.int64), [self.token_bytes[index] for index in order]


def is_letter(character: str) -> bool:
    """Whether a character is a letter, a digit or a mark on one."""
    return unicodedata.category(character)[0] in "LNM"


def _continues_word(text: bytes) -> bool:
    first = text[:4].decode(errors="ignore")[:1]
    if not first or not text.startswith(first.encode()):
        return bool(text)
    return first in "'’" or is_letter(first)


def _speller(decoder: Any) -> Any:
    """The function from a token's name to its bytes, chosen by the tokenizer's decoder."""
    steps = [decoder, *(decoder or {}).get("decoders", [])]
    kinds = {step["type"] for step in steps if step}
    if "ByteLevel" in kinds:
        table = _byte_level()
        return lambda token: (
            bytes(table[char] for char in token) if table.keys() >= set(token) else token.encode()
        )
    if kinds & {"Metaspace", "ByteFallback"}:
        return _spell_piece
    return lambda _: b""


def _byte_level() -> dict[str, int]:
    """GPT-2's names of the bytes: printable Latin-1 characters represent themselves; the other bytes are numbered from
    U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


def _spell_piece(token: str) -> bytes:
    """The bytes of a SentencePiece token: ▁ is a space, <0x0A> a byte."""
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode()

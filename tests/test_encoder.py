"""The fast encoder gives the very ids of Hugging Face's tokenizers."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_STORIES
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from fabula.corpus.read import open_stories
from fabula.tokens import encoder
from fabula.tokens.encoder import Encoder
from fabula.tokens.tokenizer import encode, train_tokenizer

SHARED = Path(__file__).parents[2] / "shared" / "data"

QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def trained(backend: Tokenizer, trainer: Any) -> PreTrainedTokenizerFast:
    backend.train_from_iterator(TINY_STORIES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")


@cache
def tokenizer_like(kind: str) -> Any:
    """A tokenizer of the same kind as that of a well-known model, trained on the tiny stories."""
    special = ["<|endoftext|>", "<unk>"]
    bpe = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=special[:1],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    if kind == "gpt2":
        return train_tokenizer(TINY_STORIES, 500, context_length=64)
    if kind == "qwen2":
        backend = Tokenizer(models.BPE())
        backend.normalizer = normalizers.NFC()
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(QWEN_PATTERN), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        return trained(backend, bpe)
    backend = Tokenizer(models.WordLevel(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return trained(backend, trainers.WordLevelTrainer(special_tokens=special, show_progress=False))


@cache
def encoder_like(kind: str) -> Encoder:
    return Encoder(tokenizer_like(kind))


def assert_equal(kind: str, texts: list[str]) -> None:
    for text, ids, wanted in zip(
        texts, encoder_like(kind)(texts), encode(tokenizer_like(kind), texts), strict=True
    ):
        assert ids.tolist() == wanted.tolist(), text[:80]


HOSTILE = st.text(alphabet=" \n\t\u00a0\u3000'sSdtlveramLD1½٣aé\u0301ñ“…狐🦊<|endoftext|>")


@pytest.fixture(scope="module", params=["gpt2", "qwen2"])
def kind(request: pytest.FixtureRequest) -> str:
    """A kind that fastokens knows; its encoder is made before any example is timed."""
    assert encoder_like(request.param).is_fast
    return request.param


@given(texts=st.lists(st.text() | HOSTILE, max_size=5))
def test_any_text_has_the_ids_of_the_tokenizer_itself(kind: str, texts: list[str]):
    assert_equal(kind, texts)


def test_every_seventh_character_has_the_ids_of_the_tokenizer_itself(kind: str):
    characters = [chr(code) for code in range(0, 0x110000, 7) if not 0xD800 <= code <= 0xDFFF]
    assert_equal(kind, ["".join(f"{c} {c}a{c}1" for c in characters[i::40]) for i in range(40)])


@pytest.mark.parametrize("name", ["bench/ohenry.txt", "wp-gold/dev.txt", "stories/childrens.jsonl"])
def test_whole_files_have_the_ids_of_the_tokenizer_itself(name: str):
    if not (SHARED / name).is_file():
        pytest.skip("needs the shared stories")
    stories = [story.text for story in open_stories(SHARED / name)]
    assert len(stories) > 40
    tokenizer = train_tokenizer(stories[::3], 8192, context_length=64)
    fast = Encoder(tokenizer)
    assert fast.is_fast
    assert all(np.array_equal(*pair) for pair in zip(fast(stories), encode(tokenizer, stories), strict=True))


def test_another_kind_of_tokenizer_encodes_by_itself():
    assert not encoder_like("words").is_fast
    assert_equal("words", ["Once upon a time there was a <|endoftext|>", ""])


class OffByOne:
    """A fast tokenizer that is wrong about one word."""

    def __init__(self, right: Any) -> None:
        self.right = right

    def encode_batch_flat(self, texts: list[str], split_special_tokens: bool) -> tuple[bytes, bytes]:
        texts = [text.replace("miller", "mlller") for text in texts]
        return self.right.encode_batch_flat(texts, split_special_tokens=split_special_tokens)


@pytest.mark.parametrize("sample", [(), ("The miller sleeps.",)])
def test_a_fast_tokenizer_that_is_not_exact_is_not_used(
    sample: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    load = encoder._load_fast
    monkeypatch.setattr(encoder, "_load_fast", lambda tokenizer: OffByOne(load(tokenizer)))
    if sample:
        monkeypatch.setattr(encoder, "PROBE", ["Nothing of that kind."])
    assert not Encoder(tokenizer_like("gpt2"), sample).is_fast

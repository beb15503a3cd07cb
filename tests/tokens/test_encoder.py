"""The fast encoder gives exactly the ids of Hugging Face's tokenizers."""

import random
import string
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_STORIES
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import gappy_tokenizer
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from fabula.corpus.read import open_stories
from fabula.tokens import encoder
from fabula.tokens.encoder import Encoder
from fabula.tokens.tokenizer import encode, train_tokenizer

SHARED = Path(__file__).parents[3] / "shared" / "data"

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
    """A kind that fastokens supports; its encoder is made before any example is timed."""
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


def test_without_fastokens_the_tokenizer_encodes_by_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "fastokens", None)
    assert not Encoder(tokenizer_like("gpt2")).is_fast


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


def test_a_vocabulary_that_lacks_bytes_encodes_by_itself():
    tokenizer: Any = gappy_tokenizer()
    gappy = Encoder(tokenizer)
    assert not gappy.is_fast
    texts = ["a\x04b ľ", "plain"]
    assert [ids.tolist() for ids in gappy(texts)] == [ids.tolist() for ids in encode(tokenizer, texts)]


class Panic(BaseException):
    """Like a panic in Rust: it is not an Exception."""


class Fails:
    """A fast tokenizer that is right until a word comes on which it fails or is wrong."""

    def __init__(self, right: Any, error: type[BaseException] | None) -> None:
        self.right, self.error = right, error

    def encode_batch_flat(self, texts: list[str], split_special_tokens: bool) -> tuple[bytes, bytes]:
        if any("kraken" in text for text in texts):
            if self.error:
                raise self.error("no such byte")
            texts = [text.replace("kraken", "whale") for text in texts]
        return self.right.encode_batch_flat(texts, split_special_tokens=split_special_tokens)


@pytest.mark.parametrize("error", [ValueError, Panic, None])
def test_whatever_goes_wrong_later_means_the_slower_one(
    error: type[BaseException] | None, monkeypatch: pytest.MonkeyPatch
):
    load = encoder._load_fast
    monkeypatch.setattr(encoder, "_load_fast", lambda tokenizer: Fails(load(tokenizer), error))
    fast = Encoder(tokenizer_like("gpt2"))
    assert fast.is_fast
    texts = ["The kraken sleeps."]
    assert fast(texts)[0].tolist() == encode(tokenizer_like("gpt2"), texts)[0].tolist()
    assert not fast.is_fast
    assert fast([]) == []


def test_threads_and_many_batches_change_no_id(kind: str):
    """crusoecloud/fastokens#67: a long text is split between threads, and was once split within a word."""
    draw = random.Random(0)
    alphabet = string.ascii_letters + "     \n\n'’“”.,;!?—123 éñ狐🦊\u00a0"
    batches = [
        ["".join(draw.choices(alphabet, k=draw.choice([10, 1000, 30_000]))) for _ in range(6)]
        for _ in range(12)
    ]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(encoder_like(kind), batches * 2))
    for batch, found in zip(batches * 2, results, strict=True):
        wanted = encode(tokenizer_like(kind), batch)
        assert all(map(np.array_equal, found, wanted))
    assert encoder_like(kind).is_fast

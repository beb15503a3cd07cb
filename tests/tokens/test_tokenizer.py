"""Tokenizers: loaded, trained, and what they cannot write."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import chat_tokenizer, gappy_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from fabula.errors import FabulaError
from fabula.tokens.tokenizer import (
    LostCharacters,
    encode,
    encode_with_spans,
    end_of_text_id,
    load_tokenizer,
    train_tokenizer,
)

TEXTS = ["Once upon a time\nthere was a miller.", "“Nein”, sagte der Fuchs. 狐狸 🦊"]


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer_dir: Path):
    return load_tokenizer(tiny_tokenizer_dir)


@given(st.text())
def test_a_byte_level_vocabulary_gives_every_text_back(tokenizer, text: str):
    (ids,) = encode(tokenizer, [text])
    assert tokenizer.decode(ids.tolist(), clean_up_tokenization_spaces=False) == text


def test_training_twice_gives_the_same_tokenizer():
    backends: list[Any] = [
        train_tokenizer(TEXTS * 5, 300, context_length=32).backend_tokenizer for _ in range(2)
    ]
    assert backends[0].to_str() == backends[1].to_str()


def test_the_vocabulary_has_one_special_token_at_most_as_many_as_asked_for():
    trained = train_tokenizer(TEXTS * 5, 280, context_length=32)
    assert len(trained) <= 280
    assert trained.all_special_tokens == ["<|endoftext|>"]


def test_encoding_equals_transformers_own(tokenizer):
    for text, ids in zip(TEXTS, encode(tokenizer, TEXTS), strict=True):
        assert ids.tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_name_of_the_end_token_in_a_story_is_plain_text(tokenizer):
    (ids,) = encode(tokenizer, ["a <|endoftext|> b"])
    assert end_of_text_id(tokenizer) not in ids
    assert tokenizer.decode(ids.tolist()) == "a <|endoftext|> b"
    assert tokenizer("<|endoftext|>")["input_ids"] == [
        end_of_text_id(tokenizer)
    ]  # and nothing was changed for others


def test_spans_cover_the_text(tokenizer):
    for text, (ids, spans) in zip(TEXTS, encode_with_spans(tokenizer, TEXTS), strict=True):
        assert len(ids) == len(spans)
        assert spans[0, 0] == 0
        assert spans[-1, 1] == len(text)
        assert (spans[1:, 0] <= spans[:-1, 1]).all()


def test_a_folder_without_tokenizer_is_one_clear_line(tmp_path: Path):
    with pytest.raises(FabulaError, match="no tokenizer"):
        load_tokenizer(tmp_path)


def test_a_damaged_tokenizer_is_one_clear_line(tmp_path: Path, tiny_tokenizer_dir: Path):
    (tmp_path / "tokenizer.json").write_text((tiny_tokenizer_dir / "tokenizer.json").read_text()[:500])
    with pytest.raises(FabulaError, match="cannot be loaded") as error:
        load_tokenizer(tmp_path)
    assert "\n" not in str(error.value)


def test_a_tokenizer_without_end_token_is_refused(tmp_path: Path, tiny_tokenizer_dir: Path):
    (tmp_path / "tokenizer.json").write_bytes((tiny_tokenizer_dir / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
    )
    with pytest.raises(FabulaError, match="end-of-text"):
        load_tokenizer(tmp_path)
    # The model's configuration may name it instead.
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "vocab_size": 5000, "eos_token_id": 0}')
    assert load_tokenizer(tmp_path).eos_token_id == 0


def test_a_vocabulary_that_is_not_read_is_refused(tmp_path: Path):
    """transformers takes GPT-2's tokenizer for a GPT-2, and finds nothing in BERT's vocab.txt."""
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "vocab_size": 7}')
    with pytest.raises(FabulaError, match=r"no vocabulary; .*BertTokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    assert load_tokenizer(tmp_path).eos_token == "[SEP]"


@pytest.mark.parametrize("make", [gappy_tokenizer, chat_tokenizer])
def test_characters_without_tokens_are_counted(make: Any):
    lost = LostCharacters(make())
    lost.count(["a plain story\n“with quotes”", "ľ\x04, \ufffd and ľ", "<|im_start|> and <|endoftext|>"])
    assert lost.counts == {"ľ": 2, "\x04": 1}


def test_a_vocabulary_of_words_loses_line_breaks_and_unknown_words():
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    lost = LostCharacters(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>"))
    lost.count(["a a\nb"])
    assert lost.counts == {"\n": 1, "b": 1}

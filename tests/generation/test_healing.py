"""Token healing: the distribution after a prompt is that of its text, wherever the prompt ends."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from fabula.generation.engine import Batch, Engine, TextSide
from fabula.generation.healing import covers, take_back
from fabula.generation.vocabulary import Vocabulary
from fabula.generation.write import Writer
from fabula.tokens.tokenizer import train_tokenizer

WORDS = ["a", "b", " ", "ab", " a", " b", "ba", " ab", "bab", "."]


class Markov(Engine):
    """A model over ten tokens in which the next token depends on the last one only."""

    name = "markov"

    def __init__(self, folder: Path) -> None:
        vocabulary = {word.replace(" ", "Ġ"): index for index, word in enumerate(WORDS)} | {
            "<end>": len(WORDS)
        }
        tokenizer = Tokenizer(models.BPE(vocabulary, [("a", "b"), ("Ġ", "a"), ("Ġ", "b")]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(["<end>"])
        super().__init__(
            folder, TextSide(tokenizer=tokenizer.to_str(), context_length=64, start_id=10, end_id=10)
        )
        self.logits_VV = np.random.default_rng(5).normal(scale=1.5, size=(11, 11)).astype(np.float32)

    def read(self, windows: Sequence[Sequence[int]]) -> Batch:
        return MarkovBatch(self.logits_VV, [window[-1] for window in windows])


class MarkovBatch(Batch):
    def __init__(self, logits_VV: np.ndarray, last: Sequence[int]) -> None:
        self._logits_VV, self.logits_BV = logits_VV, logits_VV[list(last)]

    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        assert len(rows) == len(input_ids)
        self.logits_BV = self._logits_VV[list(input_ids)]


@pytest.fixture(scope="module")
def markov(tmp_path_factory: pytest.TempPathFactory) -> Markov:
    return Markov(tmp_path_factory.mktemp("markov"))


def log_probability(engine: Markov, ids: Sequence[int]) -> float:
    """Of these tokens after the start token."""
    logits_VV = engine.logits_VV.astype(np.float64)
    log_VV = logits_VV - np.log(np.exp(logits_VV).sum(axis=1, keepdims=True))
    return sum(log_VV[before, after] for before, after in zip([engine.start_id, *ids], ids, strict=False))


@pytest.mark.parametrize("prompt", [" ", "a", "ab", "ba", " ab", "bab", "abab"])
def test_covers_are_all_sequences_that_spell_the_prompt_and_go_beyond_it(markov: Markov, prompt: str):
    """Counted out: every sequence of tokens whose last one reaches the prompt's end."""
    expected = {}
    for length in range(1, len(prompt) + 1):
        for ids in product(range(len(WORDS)), repeat=length):
            if "".join(WORDS[i] for i in ids).startswith(prompt) and len(
                "".join(WORDS[i] for i in ids[:-1])
            ) < len(prompt):
                expected[ids] = log_probability(markov, ids)
    batch = markov.read([[markov.start_id]])
    found = covers(markov, [markov.start_id], prompt, batch.logits_BV[0])
    scores = {found.sequence(index): float(score) for index, score in enumerate(found.scores)}
    total = np.logaddexp.reduce(list(expected.values()))
    for ids, score in expected.items():
        assert scores.get(ids, score) == pytest.approx(score, abs=1e-4)
        assert ids in scores or score < total - 8
    assert np.logaddexp.reduce(list(scores.values())) == pytest.approx(total, abs=2e-3)


def test_what_is_written_spells_the_prompt_and_follows_the_distribution(markov: Markov):
    """The first character after the prompt " a", in 4,000 stories, against the sum over all sequences of tokens."""
    probability = {"b": 0.0, "other": 0.0}
    for length in (1, 2, 3, 4):
        for ids in product(range(len(WORDS)), repeat=length):
            text = "".join(WORDS[i] for i in ids)
            if text.startswith(" a") and len(text) > 2 and len("".join(WORDS[i] for i in ids[:-1])) <= 2:
                probability["b" if text[2] == "b" else "other"] += np.exp(log_probability(markov, ids))
    ended = sum(
        np.exp(log_probability(markov, [*ids, markov.start_id])) for ids in ([4], [2, 0])
    )  # " a" and then the end
    expected = probability["b"] / (sum(probability.values()) + ended)
    settings = {"max_new_tokens": 2, "top_p": 1.0, "whole_sentences": False}
    texts = [Writer(markov).write(" a", seed=seed, **settings).text for seed in range(4000)]
    assert np.mean([text.startswith("b") for text in texts]) == pytest.approx(expected, abs=0.03)


@pytest.fixture(scope="module")
def vocabulary() -> tuple[Tokenizer, Vocabulary]:
    tokenizer = train_tokenizer(
        ["Once upon a time there was a fox, “naïve” and 狐."] * 4, 320, context_length=32
    )
    backend: Any = tokenizer.backend_tokenizer  # pyright: ignore[reportAttributeAccessIssue]
    return backend, Vocabulary(backend)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_is_what_its_tokens_spell(vocabulary: tuple[Tokenizer, Vocabulary], text: str):
    backend, known = vocabulary
    assert known.spell(backend.encode(text).ids) == text.encode()


@given(st.text('Once upon. ,\n"é狐', max_size=12).filter(bool))
def test_tokens_that_begin_with_a_text_or_are_its_beginning(
    vocabulary: tuple[Tokenizer, Vocabulary], text: str
):
    _, known = vocabulary
    data = text.encode()
    spelled = known.token_bytes
    assert {*known.beginning_with(data)} == {i for i, each in enumerate(spelled) if each.startswith(data)}
    shorter = {i for i, each in enumerate(spelled) if each and data.startswith(each) and each != data}
    assert {*known.proper_prefixes(data)} == shorter


def test_sentencepiece_and_unknown_tokenizers():
    pieces = {"\u2581on": 0, "ce": 1, "<0x0A>": 2, "\u2581": 3}
    tokenizer = Tokenizer(models.BPE(pieces, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback()])
    assert Vocabulary(tokenizer).token_bytes == [b" on", b"ce", b"\n", b" "]
    tokenizer.decoder = decoders.WordPiece()
    assert set(Vocabulary(tokenizer).token_bytes) == {b""}


def test_how_much_of_a_prompt_is_taken_back(markov: Markov):
    for prompt, end in ((" a b", " b"), (" ab", " ab"), ("a ", " "), ("", ""), ("ab.", ".")):
        ids, taken = take_back(markov, prompt)
        assert taken == end
        assert markov.vocabulary.spell(ids).decode() + taken == prompt

"""Drawing tokens and writing stories: against transformers' own code on known logits, and with tiny random models."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, pipeline
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from fabula.errors import FabulaError
from fabula.generation.draft import MAX_MORE_TOKENS, make_drafts
from fabula.generation.engine import Batch, Engine
from fabula.generation.sampling import draw, token_weights
from fabula.generation.settings import SamplingSettings
from fabula.generation.transformers_engine import TransformersEngine
from fabula.generation.write import Writer, load, stream, write, write_drafts, write_stories
from fabula.tokens.tokenizer import end_of_text_id, train_tokenizer

NUM_TOKENS = 300
GREEDY = SamplingSettings(temperature=0, max_new_tokens=30, whole_sentences=False)
BARE = GREEDY.with_changes(token_healing=False)
"""What other programs do: they continue the prompt's own tokens."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 with a context of 32, whose vocabulary is nearly all single bytes."""
    folder = tmp_path_factory.mktemp("random")
    tokenizer = train_tokenizer(["Once upon a time there was a fox."] * 4, NUM_TOKENS, context_length=32)
    torch.manual_seed(1)
    end = end_of_text_id(tokenizer)
    shape = {"n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.3}
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **shape)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def engine(model: Path) -> TransformersEngine:
    return TransformersEngine(model)


def by_transformers(logits: np.ndarray, chosen: SamplingSettings, used: list[int]) -> np.ndarray:
    """The distribution that transformers draws from under these settings."""
    processors = LogitsProcessorList()
    if chosen.repetition_penalty != 1:
        processors.append(RepetitionPenaltyLogitsProcessor(chosen.repetition_penalty))
    if chosen.temperature != 1:
        processors.append(TemperatureLogitsWarper(chosen.temperature))
    if chosen.top_k:
        processors.append(TopKLogitsWarper(chosen.top_k))
    if chosen.top_p < 1:
        processors.append(TopPLogitsWarper(chosen.top_p))
    if chosen.min_p:
        processors.append(MinPLogitsWarper(chosen.min_p))
    scores = processors(torch.tensor([used]), torch.from_numpy(logits)[None])  # pyright: ignore[reportArgumentType]
    return scores[0].double().softmax(-1).numpy()


@given(
    seed=st.integers(0, 2**32 - 1),
    spread=st.floats(0.1, 8),
    temperature=st.sampled_from([0.3, 0.7, 1.0, 1.5]),
    top_k=st.sampled_from([0, 1, 5, 50, 1000]),
    top_p=st.sampled_from([0.01, 0.5, 0.9, 0.95, 1.0]),
    min_p=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
    repetition_penalty=st.sampled_from([0.8, 1.0, 1.2]),
)
@settings(max_examples=200, deadline=None)
def test_the_distribution_is_that_of_transformers(seed, spread, **values):
    random = np.random.default_rng(seed)
    logits = random.normal(scale=spread, size=500).astype(np.float32)
    used = random.integers(500, size=40).tolist()
    chosen = SamplingSettings(**values)
    expected = by_transformers(logits.copy(), chosen, used)
    weights = token_weights(logits, chosen, np.array(used)).astype(np.float64)
    assert not weights[expected == 0].any()
    assert weights[expected > 1e-37].all()  # what is rarer than a float32 can hold may be left out
    np.testing.assert_allclose(weights / weights.sum(), expected, rtol=2e-5, atol=1e-30)


def test_draws_follow_the_distribution():
    logits = np.log(np.array([0.5, 0.25, 0.125, 0.125], dtype=np.float32))
    even = (np.arange(1000) + 0.5) / 1000
    drawn = [
        draw(token_weights(logits, SamplingSettings(top_p=1), np.array([0])), uniform) for uniform in even
    ]
    assert np.bincount(drawn).tolist() == [500, 250, 125, 125]
    assert {
        draw(token_weights(logits, SamplingSettings(top_p=0.7), np.array([0])), uniform) for uniform in even
    } == {0, 1}
    assert draw(token_weights(logits, SamplingSettings(temperature=0), np.array([0])), 0.999) == 0
    assert draw(token_weights(logits, SamplingSettings(temperature=1e-94), np.array([0])), 0.999) == 0
    tiny = SamplingSettings(repetition_penalty=1e-94, temperature=1e-94)
    assert np.isfinite(token_weights(np.array([2, 1, -1], dtype=np.float32), tiny, np.array([0, 1, 2]))).all()
    assert (
        draw(token_weights(logits, SamplingSettings(temperature=0, repetition_penalty=9), np.array([0])), 0.0)
        == 1
    )


def test_draws_find_their_place_in_a_large_vocabulary():
    random = np.random.default_rng(3)
    logits = random.normal(scale=3, size=5000).astype(np.float32)
    for chosen in (SamplingSettings(top_p=1), SamplingSettings(top_p=0.9), SamplingSettings(top_k=3)):
        weights = token_weights(logits, chosen, np.array([0])).astype(np.float64)
        cumulated = np.cumsum(weights) / weights.sum()
        for uniform in (0.0, *random.random(300), 1 - 1e-16):
            token = draw(token_weights(logits, chosen, np.array([0])), uniform)
            assert weights[token] > 0
            assert cumulated[token] > uniform - 1e-9
            assert token == 0 or cumulated[token - 1] <= uniform + 1e-9


def test_no_setting_leaves_nothing_to_draw_from():
    flat = np.zeros(50, dtype=np.float32)
    for chosen in (SamplingSettings(top_p=1e-9), SamplingSettings(min_p=1.0), SamplingSettings(top_k=1)):
        assert (token_weights(flat, chosen, np.array([], dtype=np.int64)) == 1).all()


def test_greedy_text_is_that_of_the_pipeline(model: Path, engine: Engine):
    expected = pipeline("text-generation", model=str(model))(
        "Once upon a time", do_sample=False, max_new_tokens=20, return_full_text=False
    )[0]["generated_text"]  # pyright: ignore
    [story] = write_stories(
        engine,
        ["Once upon a time"],
        seeds=[0],
        settings=BARE.with_changes(start_of_story=False, max_new_tokens=20),
    )
    assert story.text == expected


def test_pieces_are_whole_characters_and_make_the_story(engine: Engine):
    chosen = {"max_new_tokens": 60, "top_p": 1.0, "temperature": 2.0}
    writer = Writer(engine)
    for seed in range(20):
        story = writer.write("Once", seed=seed, **chosen)
        *pieces, last = writer.stream("Once", seed=seed, **chosen)
        assert all(piece.text and piece.finish_reason is None for piece in pieces)
        assert last.finish_reason == story.finish_reason
        assert "".join(piece.text for piece in [*pieces, last]) == story.text
        assert str(story) == "Once" + story.text
        assert story.num_tokens <= 60 + MAX_MORE_TOKENS


def test_multibyte_characters_come_whole(model: Path):
    """An engine that spells out known text byte by byte: no piece ends within a character."""
    text = "Zoë 🦊 “naïf” 狐狸"
    engine = Scripted(model, text)
    writer = Writer(engine)
    *pieces, last = writer.stream(temperature=0, max_new_tokens=200)
    assert [piece.text for piece in pieces] == list(text)
    assert (last.text, last.finish_reason) == ("", "end")
    cut = writer.write(temperature=0, max_new_tokens=6, whole_sentences=False)
    assert (cut.text, cut.finish_reason, cut.num_tokens) == ("Zoë \N{REPLACEMENT CHARACTER}", "length", 6)


@pytest.mark.parametrize(
    ("text", "max_new_tokens", "written", "finish_reason"),
    [
        # The sentence that max_new_tokens falls into is finished.
        ("He left. She stayed at home. It rained.", 15, "He left. She stayed at home.", "sentence"),
        # max_new_tokens is reached at the end of a sentence, which only the next token shows.
        ("He left. She stayed at home.", 8, "He left.", "sentence"),
        ("“Go.” She stayed.", 4, "“Go.”", "sentence"),
        # The next sentence does not end in time: back to the last one.
        ("He left. " + "on and " * 20, 15, "He left.", "sentence"),
        # Nothing ends in time: back to the last whole word.
        ("on and " * 20, 10, ("on and " * 20)[:48], "length"),
        # The model ends the story before a sentence ends.
        ("He left. She", 10, "He left. She", "end"),
    ],
)
def test_a_story_ends_with_a_whole_sentence(
    model: Path, text: str, max_new_tokens: int, written: str, finish_reason: str
):
    """Each token is a byte here; streamed or not, nothing is shown that is then cut off."""
    writer = Writer(Scripted(model, text))
    settings: dict[str, Any] = {"temperature": 0, "max_new_tokens": max_new_tokens}
    story = writer.write(**settings)
    assert (story.text, story.finish_reason) == (written, finish_reason)
    assert "".join(piece.text for piece in writer.stream(**settings)) == written
    exact = writer.write(whole_sentences=False, **settings)
    assert (exact.num_tokens, exact.finish_reason) == (max_new_tokens, "length")
    # A sentence that began long before the limit has been shown already: it is cut after a whole word.
    long = Writer(Scripted(model, "He left. " + "on and " * 60))
    assert long.write(temperature=0, max_new_tokens=200).text.endswith(" on and")


class Scripted(TransformersEngine):
    """Gives all probability to the next token of a text, byte by byte, and then to the end token."""

    def __init__(self, folder: Path, text: str) -> None:
        super().__init__(folder)
        self.context_length = 1000  # it is read only once
        names = bytes_to_unicode()
        spelled = [self.text_tokenizer.token_to_id(names[byte]) for byte in text.encode()]
        self.script = [*spelled, min(self.end_ids)]

    def read(self, windows: Sequence[Sequence[int]]) -> Batch:
        return ScriptedBatch(self.script)


class ScriptedBatch(Batch):
    def __init__(self, script: list[int]) -> None:
        self.left = list(script)
        self.step([0], [0])

    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        self.logits_BV = np.zeros((1, NUM_TOKENS), dtype=np.float32)
        self.logits_BV[0, self.left.pop(0)] = 9


def test_a_story_does_not_depend_on_its_batch(engine: Engine):
    prompts = ["Once", "", "Once upon a time there was", "A fox", "upon"]
    chosen = SamplingSettings(max_new_tokens=80, top_p=0.9)
    writer = Writer(engine)
    alone = [
        writer.write(prompt, seed=7 + index, max_new_tokens=80, top_p=0.9)
        for index, prompt in enumerate(prompts)
    ]
    for batch_size in (1, 2, 5):
        batched = write_stories(engine, prompts, settings=chosen, seeds=range(7, 12), batch_size=batch_size)
        assert [story.text for story in batched] == [story.text for story in alone]
        assert [story.index for story in batched] == [0, 1, 2, 3, 4]
    assert len({story.text for story in alone}) == 5
    several = make_drafts(engine, ["Once"], chosen, 7, num_stories=2)
    assert [draft.seed for draft in several] == [7, 8]
    assert len([*write_drafts(several)]) == sum(draft.num_tokens for draft in several)
    assert several[0].text == alone[0].text


def test_a_story_goes_on_beyond_the_context(engine: TransformersEngine):
    """After the window has moved, the text is what the model writes after only the newer half."""
    chosen = BARE.with_changes(max_new_tokens=60)
    [story] = write_stories(engine, ["Once upon a time"], settings=chosen, seeds=[0])
    assert story.num_tokens == 60
    assert engine.context_length == 32
    prompt_ids = engine.encode("Once upon a time")
    ids = [engine.start_id, *prompt_ids]
    start = 0
    for num in range(60):
        if num % 8 == 0 and len(ids) - start + 8 > 33:
            start = len(ids) - 16
        with torch.no_grad():
            logits = engine.model(torch.tensor([ids[start:]])).logits[0, -1]
        ids.append(int(logits.argmax()))
    assert story.text == engine.text_tokenizer.decode(ids[1 + len(prompt_ids) :])
    [long] = write_stories(engine, ["fox " * 100], settings=GREEDY, seeds=[0])
    assert long.num_tokens == 30


def test_settings_come_from_the_model(model: Path, tmp_path: Path):
    assert SamplingSettings.of_model(model) == SamplingSettings()
    stated = SamplingSettings(temperature=0.8, top_p=0.9, min_p=0.05, max_new_tokens=99)
    (tmp_path / "generation_config.json").write_text(
        json.dumps({"eos_token_id": 0, "transformers_version": "5", **stated.generation_config()})
    )
    assert SamplingSettings.of_model(tmp_path) == stated
    (tmp_path / "generation_config.json").write_text('{"top_p": 7}')
    with pytest.raises(FabulaError, match=r"generation_config\.json: field 'top_p' = 7"):
        SamplingSettings.of_model(tmp_path)
    with pytest.raises(FabulaError, match="did you mean temperature"):
        SamplingSettings().with_changes(temprature=1)


def test_what_cannot_be_written_is_refused(model: Path, tmp_path: Path):
    with pytest.raises(FabulaError, match="unknown engine 'tranformers'; did you mean transformers"):
        write(model, engine="tranformers")
    with pytest.raises(FabulaError, match="start token"):
        write(model, start_of_story=False, engine="transformers")
    with pytest.raises(FabulaError, match="no config"):
        stream(tmp_path)
    writer = load(model, "transformers")
    with pytest.raises(FabulaError, match="did you mean temperature"):
        writer.stream(temprature=1)
    with pytest.raises(FabulaError, match="a seed must be 0 or more"):
        writer.write(seed=-1)
    with pytest.raises(FabulaError, match="batch_size must be 1 or more"):
        writer.write_many(["Once"], batch_size=0)

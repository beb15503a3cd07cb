"""Architectures that the fast engine does not cover: scored, trained and written as the model itself predicts."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import tiny_story
from tiny_models import GROUPED, SHAPE, gappy_tokenizer, save_random
from transformers import AutoConfig

from fabula.generation.engines import load_engine
from fabula.generation.transformers_engine import CachedBatch, RereadBatch, TransformersEngine
from fabula.models.find import find_model
from fabula.models.load import load_model
from fabula.models.scoring import default_context_length, score_tokens
from fabula.models.story_format import StoryFormat
from fabula.tokens.cache import TokenisedStories
from fabula.tokens.tokenizer import encode, load_tokenizer
from fabula.tokens.windows import Windows
from fabula.training.loss import StoryLoss, as_tensors
from fabula.training.recipe import WITHOUT_ADAPTERS, Recipe
from fabula.training.weights import choose_trained, trained_weights

GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4}
EXPERTS = {**GROUPED, "num_experts_per_tok": 2}
OPT = {**SHAPE, "ffn_dim": 64, "word_embed_proj_dim": 32}

SHAPES: dict[str, dict[str, Any]] = {
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "falcon": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "alibi": True},
    "gemma2": {**GROUPED, "head_dim": 8, "sliding_window": 16},
    "gptj": {**GPT, "n_positions": 64, "rotary_dim": 4},
    "lfm2": {**GROUPED, "layer_types": ["conv", "full_attention", "conv"]},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "mixtral": {**EXPERTS, "num_local_experts": 4},
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 64},
    "openai-gpt": {**GPT, "n_positions": 64},
    "opt": OPT,
    "phi": SHAPE,
    "qwen2_moe": {**EXPERTS, "num_experts": 4, "moe_intermediate_size": 32},
    "rwkv": {"hidden_size": 32, "attention_hidden_size": 32, "num_hidden_layers": 2, "context_length": 64},
    "stablelm": GROUPED,
}

READ_AGAIN = {"mamba", "openai-gpt", "rwkv"}
"""They take no cache of the form that the others take."""


@pytest.fixture(scope="module", params=SHAPES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Its name, and the folder of a model with random weights."""
    folder, tokenizer = tmp_path_factory.mktemp(request.param), gappy_tokenizer()
    shape = {**SHAPES[request.param], "vocab_size": len(tokenizer), "pad_token_id": None}
    config = AutoConfig.for_model(request.param, bos_token_id=0, eos_token_id=0, **shape)
    save_random(config, tokenizer, folder)
    return request.param, folder


def own_logits(model: Any, ids: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.from_numpy(ids.astype(np.int64))[None], use_cache=False).logits[0].float()


def own_losses(model: Any, ids: np.ndarray) -> np.ndarray:
    targets = torch.from_numpy(ids[1:].astype(np.int64))
    nats = torch.nn.functional.cross_entropy(own_logits(model, ids[:-1]), targets, reduction="none")
    return nats.double().numpy()


def test_scoring_and_training_give_the_models_own_losses(base: tuple[str, Path]):
    _, folder = base
    model, tokenizer = load_model(find_model(folder)), load_tokenizer(folder)
    story_format = StoryFormat(start_id=0, end_id=0, continued_with_start=False)
    texts = [tiny_story(number, sentences) for number, sentences in enumerate((1, 0, 2))]
    stories = [story_format.frame(ids)[:60] for ids in encode(tokenizer, texts)]
    expected = [own_losses(model, ids) for ids in stories]
    for losses, own in zip(score_tokens(model, stories, story_format), expected, strict=True):
        assert losses == pytest.approx(own, abs=1e-4)
    assert default_context_length(model) >= 64
    offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in stories])])
    tokenised = TokenisedStories(np.concatenate(stories).astype(np.uint16), offsets)
    loss = StoryLoss(model)
    windows = Windows(tokenised, 64, left_context=8, packed=loss.packs)
    with torch.no_grad():
        batches = (windows.batch([number], 0) for number in range(len(windows)))
        found = sum(float(loss(*as_tensors(batch, torch.device("cpu")))) for batch in batches)
    assert found == pytest.approx(sum(own.sum() for own in expected), rel=1e-4)


def test_adapters_are_trained_and_merged(base: tuple[str, Path]):
    name, folder = base
    recipe = Recipe(lora_rank=2)
    if name in WITHOUT_ADAPTERS:
        with pytest.raises(ValueError, match="incompatible"):
            choose_trained(load_model(folder), recipe)
        return
    with warnings.catch_warnings(action="error"):
        model = choose_trained(load_model(folder), recipe)
    model.eval()  # without dropout
    adapters = trained_weights(model)
    assert all("lora_" in key for key in adapters)
    ids = np.arange(20)
    before = own_logits(model, ids)
    generator = torch.Generator().manual_seed(0)
    for weight in adapters.values():
        weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    adapted = own_logits(model, ids)
    assert (adapted - before).abs().max() > 0.01
    assert own_logits(model.merge_and_unload(), ids) == pytest.approx(adapted, abs=2e-3)


def test_writing_sees_the_models_own_logits(base: tuple[str, Path]):
    """In a batch of two stories of unequal length, of which one goes on twice and the other leaves."""
    name, folder = base
    engine = load_engine(folder)
    assert isinstance(engine, TransformersEngine)
    model = engine.model
    (ids,) = encode(load_tokenizer(folder), [tiny_story(0, 20)])
    batch = engine.read([ids[:30].tolist(), ids[:17].tolist()])
    assert isinstance(batch, RereadBatch if name in READ_AGAIN else CachedBatch)
    for rows, lengths in (([0, 1], (31, 18)), ([1], (19,)), ([0, 0], (20, 20))):
        batch.step(rows, [int(ids[length - 1]) for length in lengths])
        for logits, length in zip(batch.logits_BV, lengths, strict=True):
            assert logits == pytest.approx(own_logits(model, ids[:length])[-1].numpy(), abs=2e-3)

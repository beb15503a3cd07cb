"""The loss of packed windows equals that of each story alone, whatever the architecture."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fabula.tokens.cache import TokenisedStories
from fabula.tokens.windows import Windows
from fabula.training.loss import LinearCrossEntropy, StoryLoss, as_tensors

VOCABULARY = 64
CPU = torch.device("cpu")


def tiny_model(kind: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    settings: dict[str, dict[str, Any]] = {
        "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64},
        "bloom": {"hidden_size": 16, "n_layer": 2, "n_head": 2},
        "gemma2": {"head_dim": 8, "num_key_value_heads": 1, "final_logit_softcapping": 3.0},
    }
    common = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
    }
    chosen = settings.get(kind, {}) if kind in ("gpt2", "bloom") else common | settings.get(kind, {})
    if kind in ("llama", "qwen2", "qwen3"):
        chosen["num_key_value_heads"] = 1
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    config = AutoConfig.for_model(kind, vocab_size=VOCABULARY, **chosen, **ends)
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(config).eval()


def stories(sizes: list[int]) -> TokenisedStories:
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, sum(sizes)).astype(np.uint16)
    return TokenisedStories(tokens, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def loss_alone(model: Any, tokens: np.ndarray) -> float:
    """The sum of -ln p over a story's tokens but the first, from the model's own logits."""
    ids = torch.from_numpy(tokens.astype(np.int64))[None]
    logits = model(ids).logits[0, :-1].double()
    return float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2", "qwen3", "gpt_neox"])
def test_packed_stories_have_the_loss_of_each_alone(kind: str):
    model = tiny_model(kind)
    data = stories([9, 14, 5, 20, 3, 11])
    loss = StoryLoss(model)
    assert loss.packs
    assert loss.fused
    windows = Windows(data, 32, left_context=4)
    assert len(windows) < 4
    batch = windows.batch(range(len(windows)), pad_id=0)
    with torch.no_grad():
        packed = float(loss(*as_tensors(batch, CPU)))
        alone = sum(
            loss_alone(model, data.tokens[a:b])
            for a, b in zip(data.offsets[:-1], data.offsets[1:], strict=True)
        )
    assert packed == pytest.approx(alone, rel=1e-5)


def test_packed_gradients_are_those_of_each_alone():
    model = tiny_model("gpt2")
    data = stories([9, 14, 5])
    loss = StoryLoss(model)
    windows = Windows(data, 32, left_context=4)
    loss(*as_tensors(windows.batch(range(len(windows)), pad_id=0), CPU)).backward()
    packed = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    for a, b in zip(data.offsets[:-1], data.offsets[1:], strict=True):
        ids = torch.from_numpy(data.tokens[a:b].astype(np.int64))[None]
        logits = model(ids).logits[0, :-1]
        torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(packed[name], parameter.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["bloom", "gemma2"])
def test_other_architectures_take_the_slower_path_with_the_same_loss(kind: str):
    """Bloom has no positions that could restart; Gemma 2 caps its logits."""
    model = tiny_model(kind)
    loss = StoryLoss(model)
    assert not (loss.packs and loss.fused)
    data = stories([9, 14])
    windows = Windows(data, 32, left_context=4, packed=loss.packs)
    with torch.no_grad():
        ours = float(loss(*as_tensors(windows.batch(range(len(windows)), pad_id=0), CPU)))
        alone = loss_alone(model, data.tokens[:9]) + loss_alone(model, data.tokens[9:])
    assert ours == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_the_loss_in_chunks_is_the_loss_of_all_logits_at_once(biased: bool, frozen: bool):
    torch.manual_seed(0)
    hidden, weight = torch.randn(1100, 8), torch.randn(50, 8)  # 512 + 512 + 76 positions
    bias, targets = (torch.randn(50) if biased else None), torch.randint(50, (1100,))

    def gradients(loss_of: Callable[..., torch.Tensor]) -> list[torch.Tensor | None]:
        leaves = [
            None if tensor is None else tensor.clone().requires_grad_(tensor is hidden or not frozen)
            for tensor in (hidden, weight, bias)
        ]
        loss = loss_of(*leaves)
        (loss / 3).backward()
        return [loss.detach(), *(None if leaf is None else leaf.grad for leaf in leaves)]

    ours = gradients(lambda h, w, b: LinearCrossEntropy.apply(h, w, b, targets))
    plain = gradients(
        lambda h, w, b: torch.nn.functional.cross_entropy(
            torch.nn.functional.linear(h, w, b), targets, reduction="sum"
        )
    )
    for mine, theirs in zip(ours, plain, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_the_loss_of_products_in_bfloat16_is_not_rounded_to_bfloat16():
    torch.manual_seed(0)
    hidden, weight = torch.randn(1000, 8), torch.randn(50, 8)
    targets = torch.randint(50, (1000,))
    exact = torch.nn.functional.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    ours = LinearCrossEntropy.apply(hidden.bfloat16(), weight, None, targets)
    assert ours.dtype == torch.float32
    assert float(ours) == pytest.approx(float(exact), rel=5e-4)  # bfloat16 itself is coarser: 2e-3


def test_eager_attention_gets_a_mask_that_it_can_add():
    model = tiny_model("gpt2")
    data = stories([9, 14, 5])
    windows = Windows(data, 32, left_context=4)
    tensors = as_tensors(windows.batch(range(len(windows)), pad_id=0), CPU)
    with torch.no_grad():
        fast = float(StoryLoss(model)(*tensors))
        model.set_attn_implementation("eager")
        assert float(StoryLoss(model)(*tensors)) == pytest.approx(fast, rel=1e-5)


def test_fused_activations_change_nothing():
    from fabula.models.load import fuse_activations

    model = tiny_model("gpt2")
    ids = torch.arange(40)[None] % VOCABULARY
    with torch.no_grad():
        before = model(ids).logits
        fuse_activations(model)
        torch.testing.assert_close(model(ids).logits, before, rtol=1e-5, atol=1e-6)
    assert not any(type(module).__name__ == "NewGELUActivation" for module in model.modules())

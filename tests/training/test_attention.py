"""Attention by segments, without a mask: the same losses and gradients as with the mask."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import varlen
from transformers import AutoConfig, AutoModelForCausalLM

from fabula.models.scoring import score_tokens
from fabula.models.story_format import StoryFormat
from fabula.tokens.cache import TokenisedStories
from fabula.tokens.windows import Windows
from fabula.training import attention
from fabula.training.loss import StoryLoss, as_tensors
from fabula.training.recipe import Recipe
from fabula.training.setup import attention_problem

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
GROUPED = {**SHAPE, "num_key_value_heads": 2}
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "llama": GROUPED,
    "qwen2": GROUPED,
    "qwen3": {**GROUPED, "head_dim": 16},
    "gpt_neox": SHAPE,
    "mistral": {**GROUPED, "sliding_window": 5},
    "gemma3_text": {
        **GROUPED,
        "head_dim": 8,
        "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"],
    },
}


def tiny_loss(kind: str) -> StoryLoss:
    """A model whose weights are so large that everything that a position attends to matters."""
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, vocab_size=64, **(SHAPES.get(kind, SHAPE)), **ends)
    )
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            torch.nn.init.normal_(parameter, std=0.2)
    return StoryLoss(model.eval())


def batch() -> list[torch.Tensor]:
    """Three windows of stories of different lengths, the longest of them in parts, with padding."""
    sizes = [9, 14, 70, 5, 20, 3, 11]
    tokens = np.random.default_rng(0).integers(0, 64, sum(sizes)).astype(np.uint16)
    stories = TokenisedStories(tokens, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
    windows = Windows(stories, 48, left_context=4)
    assert windows.padding > 0
    return as_tensors(windows.batch(range(len(windows)), pad_id=0), CPU)


def results(loss: StoryLoss, run: Callable[..., torch.Tensor] | None = None) -> dict[str, torch.Tensor]:
    """The loss of `batch`, and the gradients of all weights."""
    loss.zero_grad()
    value = (loss if run is None else run)(*batch())
    value.backward()
    gradients = {name: each.grad.clone() for name, each in loss.named_parameters() if each.grad is not None}
    return {"loss": value.detach(), **gradients}


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], share: float) -> None:
    """Each tensor differs by at most this share of its largest value."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert float((found[name] - value).abs().max() / value.abs().max()) <= share, name


@pytest.mark.parametrize("kind", SHAPES)
def test_losses_and_gradients_are_those_with_the_mask(kind: str):
    loss = tiny_loss(kind)
    with_mask = results(loss)
    assert loss.attend_by_segment()
    assert loss.attends_by_segment
    assert_equal(results(loss), with_mask, 1e-5)


def attention_weights(
    query_NHD: torch.Tensor, key_NHD: torch.Tensor, offsets: torch.Tensor, scale: float, left: int
) -> torch.Tensor:
    """[H, N, N]: softmax over the positions of the same segment that are at most `left` before each; -1 for all."""
    place = torch.arange(len(query_NHD))
    segment = torch.bucketize(place, offsets[1:], right=True)
    back = place[:, None] - place[None, :]
    seen_NN = (segment[:, None] == segment[None, :]) & (back >= 0) & ((back <= left) | (left < 0))
    scores_HNN = torch.einsum("nhd,mhd->hnm", query_NHD, key_NHD) * scale
    return scores_HNN.masked_fill(~seen_NN, -torch.inf).softmax(-1)


CALLS: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]] = []
"""Query, key and offsets of each call of torch's operator, and the length of the longest segment that it was told."""


@varlen._varlen_attn.register_kernel("cpu")
def _(query: Any, key: Any, value: Any, offsets: Any, _: Any, longest: int, *rest: Any) -> Any:
    """torch's operator on the CPU, where it has no kernel."""
    scale, (left, right) = rest[2], rest[3]
    assert right == 0
    CALLS.append((query, key, offsets, longest))
    group = query.shape[1] // key.shape[1]
    key, value = (each.float().repeat_interleave(group, 1) for each in (key, value))
    weights = attention_weights(query.float(), key, offsets, scale or query.shape[2] ** -0.5, left)
    out = torch.empty_like(query).copy_(torch.einsum("hnm,mhd->nhd", weights, value))
    return out, torch.empty(out.shape[1], out.shape[0]), torch.zeros(2, dtype=torch.uint64)


@varlen._varlen_attn_backward.register_kernel("cpu")
def _(grad: Any, query: Any, key: Any, value: Any, _: Any, __: Any, offsets: Any, *rest: Any) -> Any:
    scale, (left, _) = rest[-2] or query.shape[2] ** -0.5, rest[-1]
    group = query.shape[1] // key.shape[1]
    keys, values = (each.float().repeat_interleave(group, 1) for each in (key, value))
    weights = attention_weights(query.float(), keys, offsets, scale, left)
    of_weights = torch.einsum("nhd,mhd->hnm", grad.float(), values)
    of_scores = scale * weights * (of_weights - (of_weights * weights).sum(-1, keepdim=True))
    of_query = torch.einsum("hnm,mhd->nhd", of_scores, keys)
    of_key = torch.einsum("hnm,nhd->mhd", of_scores, query.float()).unflatten(1, (-1, group)).sum(2)
    of_value = torch.einsum("hnm,nhd->mhd", weights, grad.float()).unflatten(1, (-1, group)).sum(2)
    gradients = zip((query, key, value), (of_query, of_key, of_value), strict=True)
    return tuple(torch.empty_like(each).copy_(gradient) for each, gradient in gradients)


@pytest.fixture
def with_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention calls torch's operator, as on a GPU."""
    monkeypatch.setattr(attention, "_attend_in_turn", attention._attend_with_kernel)
    CALLS.clear()


@pytest.mark.usefixtures("with_kernel")
@pytest.mark.parametrize("kind", SHAPES)
def test_they_are_also_with_torchs_operator_and_its_gradient(kind: str):
    loss = tiny_loss(kind)
    with_mask = results(loss)
    assert loss.attend_by_segment()
    assert_equal(results(loss), with_mask, 1e-5)
    assert CALLS


@pytest.mark.usefixtures("with_kernel")
@pytest.mark.parametrize("kind", SHAPES)
def test_the_operator_gets_what_its_kernel_for_gpus_takes(kind: str):
    """16-bit formats, heads that share keys, offsets in int32. The operator itself checks the rest on the meta device."""
    loss = tiny_loss(kind)
    assert loss.attend_by_segment()
    CALLS.clear()
    with torch.autocast("cpu", torch.bfloat16):
        tensors = batch()
        loss(*tensors).backward()
    num_rows = tensors[0].numel()
    config = loss.inner.config
    assert len(CALLS) == config.num_hidden_layers
    for query, key, offsets, longest in CALLS:
        assert query.dtype == key.dtype == torch.bfloat16
        assert query.shape[:2] == (num_rows, config.num_attention_heads)
        assert key.shape[:2] == (num_rows, getattr(config, "num_key_value_heads", config.num_attention_heads))
        assert query.stride(-1) == key.stride(-1) == 1
        assert offsets.dtype == torch.int32
        assert int(offsets.diff().max()) <= longest
        q, k, v = (each.detach().to("meta").requires_grad_() for each in (query, key, key))
        out = attention._attend_with_kernel(q, k, v, attention.Segments(offsets.to("meta"), longest, 0.1, 8))
        gradients = torch.autograd.grad(out.sum(), (q, k, v))
        assert [each.shape for each in gradients] == [query.shape, key.shape, key.shape]


@pytest.mark.usefixtures("with_kernel")
def test_activations_computed_twice_are_the_same():
    loss = tiny_loss("llama")
    expected = results(loss)
    assert loss.attend_by_segment()
    loss.inner.activation_checkpointing_enable()
    loss.train()
    assert_equal(results(loss), expected, 1e-5)


@pytest.mark.skipif("FABULA_COMPILE" not in os.environ, reason="takes a minute; FABULA_COMPILE=1 runs it")
@pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None, reason="inductor needs a C++ compiler"
)
@pytest.mark.usefixtures("with_kernel")
@pytest.mark.parametrize("kind", ["gpt2", "gemma3_text"])
def test_compiled_they_are_the_same(kind: str):
    loss = tiny_loss(kind)
    expected = results(loss)
    assert loss.attend_by_segment()
    CALLS.clear()
    assert_equal(results(loss, torch.compile(loss)), expected, 1e-5)
    assert CALLS


def test_scoring_and_writing_are_as_before(tmp_path: Path):
    loss = tiny_loss("gemma3_text")
    model = loss.inner
    story_format = StoryFormat(start_id=0, end_id=0, continued_with_start=False)
    ids = [np.arange(40) % 64, np.arange(9)]

    def found() -> tuple[list[np.ndarray], list[int]]:
        start = torch.tensor([[0, 5, 9, 13, 2, 40, 33]])
        written = model.generate(start, max_new_tokens=12, do_sample=False)
        return score_tokens(model, ids, story_format, context_length=32), written[0].tolist()

    losses, written = found()
    assert loss.attend_by_segment()
    again = found()
    for before, after in zip(losses, again[0], strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5)
    assert again[1] == written
    model.save_pretrained(tmp_path)
    assert "segment" not in (tmp_path / "config.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["bloom", "gemma2"])
def test_architectures_that_cannot_keep_the_mask(kind: str):
    """BLOOM has no positions that could restart; Gemma 2 caps its scores."""
    loss = tiny_loss(kind)
    before = loss.inner.config._attn_implementation
    assert not loss.attend_by_segment()
    assert loss.inner.config._attn_implementation == before


@given(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4), min_size=1, max_size=4))
def test_offsets_are_where_segments_begin(windows: list[list[int]]):
    width = max(map(sum, windows)) + 1
    segment_ids = np.zeros((len(windows), width), dtype=np.int64)
    expected = []
    for row, lengths in enumerate(windows):
        ends = np.cumsum(lengths)
        segment_ids[row, : ends[-1]] = np.repeat(np.arange(1, len(lengths) + 1), lengths)
        expected += [row * width, *(row * width + ends)]  # the last segment is the padding
    offsets = attention.segment_offsets(segment_ids)
    assert offsets.tolist() == [*expected, segment_ids.size]
    assert offsets.dtype == np.int32


# The choice


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of the Ampere generation, whose tensors are on the CPU."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    difference = attention._kernel_difference
    monkeypatch.setattr(
        attention, "_kernel_difference", lambda config, dtype, device: difference(config, dtype, CPU)
    )


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma3_text"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_on_a_gpu_no_mask_is_needed(kind: str, dtype: torch.dtype):
    loss = tiny_loss(kind)
    assert attention_problem(loss, Recipe(), dtype, CUDA) is None
    assert loss.attends_by_segment


def wrong(query: Any, key: Any, value: Any, segments: attention.Segments) -> torch.Tensor:
    """A kernel that ignores the borders of the segments."""
    whole = replace(segments, offsets=segments.offsets[[0, -1]])
    return attention._attend_in_turn(query, key, value, whole)


def off_by_one(query: Any, key: Any, value: Any, segments: attention.Segments) -> torch.Tensor:
    """A kernel whose sliding window is a position too wide."""
    window = segments.sliding_window
    return attention._attend_in_turn(
        query, key, value, replace(segments, sliding_window=window and window + 1)
    )


def failing(*_: Any) -> torch.Tensor:
    raise RuntimeError("no kernel image is available\nand more")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("patches", "change", "dtype", "says"),
    [
        ({}, {"dropout": 0.1}, torch.bfloat16, "torch's varlen kernel has no dropout"),
        ({}, {}, torch.float32, "torch's varlen kernel does not compute in float32"),
        ({"varlen_attn": None}, {}, torch.bfloat16, "torch's varlen kernel needs torch 2.12"),
        ({"MIN_CAPABILITY": (9, 0)}, {}, torch.bfloat16, "torch's varlen kernel needs compute capability 9.0, and this GPU has 8.6"),
        ({"_attend_with_kernel": failing}, {}, torch.bfloat16, "torch's varlen kernel fails here (no kernel image is available)"),
        ({"_attend_with_kernel": wrong}, {}, torch.bfloat16, "torch's varlen kernel is wrong here, by"),
        ({"_attend_with_kernel": off_by_one}, {}, torch.bfloat16, "torch's varlen kernel is wrong here, by"),
    ],
)  # fmt: skip
def test_otherwise_it_says_why_and_keeps_the_mask(
    patches: dict[str, Any], change: dict[str, Any], dtype: torch.dtype, says: str, monkeypatch: pytest.MonkeyPatch
):  # fmt: skip
    loss = tiny_loss("llama")
    for name, value in patches.items():
        monkeypatch.setattr(attention, name, value)
    problem = attention_problem(loss, Recipe(**change), dtype, CUDA)
    assert problem is not None
    assert problem.startswith(says)
    assert not loss.attends_by_segment


def test_a_processor_needs_no_explanation():
    loss = tiny_loss("llama")
    assert attention_problem(loss, Recipe(), torch.bfloat16, CPU) is None
    assert not loss.attends_by_segment

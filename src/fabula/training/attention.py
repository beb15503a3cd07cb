"""Attention within the segments of packed windows, without a mask: torch's varlen kernel computes each segment on its own.

Legend: B windows, T positions, N = B T positions in a row, S segments, H heads (query; key and value may have fewer), D
width of a head.
"""

import inspect
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # before torch 2.10
    varlen_attn = None

BY_SEGMENT = "fabula_by_segment"
"""Name of `attend_by_segment` among the attention implementations of transformers."""

MIN_CAPABILITY = (8, 0)
"""Oldest GPU that torch's flash-attention kernels run on: Ampere."""

CHECKED_LENGTHS = (100, 3, 1, 200)
"""Segments that the kernel is tried on."""

KERNEL_TOLERANCE = 0.05
"""Largest difference, as a share of the largest value, that rounding to 16 bits explains."""


@dataclass(frozen=True)
class Segments:
    """The segments that attention is computed in.

    Attributes:
        offsets: int32 [S + 1], as `segment_offsets` gives them.
        longest: no segment has more positions.
        scaling: factor of the products of queries and keys; None for D ** -0.5.
        sliding_window: number of positions that each position sees, itself included; None for all earlier ones.
    """

    offsets: torch.Tensor
    longest: int
    scaling: float | None = None
    sliding_window: int | None = None


def segment_offsets(segment_ids_BT: np.ndarray) -> np.ndarray:
    """int32 [S + 1]: where each segment begins when all windows stand in one row, and the end. The padding of a window is a
    segment, too."""
    begins_BT = np.ones(segment_ids_BT.shape, dtype=bool)
    begins_BT[:, 1:] = segment_ids_BT[:, 1:] != segment_ids_BT[:, :-1]
    return np.append(np.flatnonzero(begins_BT), segment_ids_BT.size).astype(np.int32)


def attend_by_segment(
    module: Any,
    query_BHTD: torch.Tensor,
    key_BHTD: torch.Tensor,
    value_BHTD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention in the form that transformers calls it. The result is [B, T, H, D].

    Models hand a mask of four dimensions on to their attention as it is. So the segments of packed windows come as
    `attention_mask`: their offsets, int32 [1, 1, 1, S + 1]. Any other mask, as in scoring and writing, goes to torch's
    usual attention.

    Raises:
        ValueError: dropout, or something in `others` that torch's kernel cannot compute, such as capped scores.
    """
    if attention_mask is None or attention_mask.dtype != torch.int32:
        return sdpa_attention_forward(
            module, query_BHTD, key_BHTD, value_BHTD, attention_mask, dropout, scaling, **others
        )
    unknown = [name for name in ("softcap", "s_aux", "position_bias") if others.get(name) is not None]
    if dropout or unknown:
        raise ValueError(f"attention by segment has no {', '.join(unknown) or 'dropout'}")
    B, _, T, _ = query_BHTD.shape
    device = query_BHTD.device.type
    # Autocast covers torch's own attention, but neither this function nor the kernel.
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else value_BHTD.dtype
    query_NHD, key_NHD, value_NHD = (
        each.transpose(1, 2).flatten(0, 1).to(dtype) for each in (query_BHTD, key_BHTD, value_BHTD)
    )
    attend = _attend_in_turn if dtype == torch.float32 or device == "cpu" else _attend_with_kernel
    segments = Segments(attention_mask.flatten(), T, scaling, sliding_window)
    out_NHD = attend(query_NHD, key_NHD, value_NHD, segments)
    return out_NHD.unflatten(0, (B, T)), None


def _attend_with_kernel(
    query_NHD: torch.Tensor, key_NHD: torch.Tensor, value_NHD: torch.Tensor, segments: Segments
) -> torch.Tensor:
    """[N, H, D]: torch's kernel, which takes 16-bit formats on a GPU."""
    assert varlen_attn is not None
    sliding_window = segments.sliding_window
    out_NHD = varlen_attn(
        query_NHD,
        key_NHD,
        value_NHD,
        segments.offsets,
        segments.offsets,
        segments.longest,
        segments.longest,
        scale=segments.scaling,
        # The number of earlier positions and of later ones that a position sees; -1 for all.
        window_size=(sliding_window - 1 if sliding_window else -1, 0),
        enable_gqa=query_NHD.shape[1] != key_NHD.shape[1],
    )
    assert isinstance(out_NHD, torch.Tensor)
    return out_NHD


def _attend_in_turn(
    query_NHD: torch.Tensor, key_NHD: torch.Tensor, value_NHD: torch.Tensor, segments: Segments
) -> torch.Tensor:
    """[N, H, D]: what `_attend_with_kernel` computes, one segment after another, in any format on any device."""
    parts, sliding_window = [], segments.sliding_window
    for begin, end in pairwise(segments.offsets.tolist()):
        query, key, value = (
            each[begin:end].transpose(0, 1)[None] for each in (query_NHD, key_NHD, value_NHD)
        )
        near = None
        if sliding_window is not None and sliding_window < end - begin:
            near = torch.ones(end - begin, end - begin, dtype=torch.bool, device=query.device)
            near = near.tril().triu(1 - sliding_window)
        out = scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=near,
            is_causal=near is None,
            scale=segments.scaling,
            enable_gqa=query_NHD.shape[1] != key_NHD.shape[1],
        )
        parts.append(out[0].transpose(0, 1))
    return torch.cat(parts)


AttentionInterface.register(BY_SEGMENT, attend_by_segment)
AttentionMaskInterface.register(BY_SEGMENT, sdpa_mask)


def kernel_problem(config: Any, dtype: torch.dtype, device: torch.device) -> str | None:
    """Why torch's kernel cannot be used for a model of this configuration on this GPU; None if it gives the attention and the
    gradients of each segment alone."""
    if dtype == torch.float32:
        return f"torch's varlen kernel does not compute in {str(dtype).removeprefix('torch.')}"
    if varlen_attn is None or "enable_gqa" not in inspect.signature(varlen_attn).parameters:
        return f"torch's varlen kernel needs torch 2.12, and this is {torch.__version__}"
    capability = torch.cuda.get_device_capability(device)
    if capability < MIN_CAPABILITY:
        return "torch's varlen kernel needs compute capability {}.{}, and this GPU has {}.{}".format(
            *MIN_CAPABILITY, *capability
        )
    try:
        difference = _kernel_difference(config, dtype, device)
    except (RuntimeError, ValueError) as error:
        return f"torch's varlen kernel fails here ({str(error).strip().splitlines()[0]})"
    if not difference <= KERNEL_TOLERANCE:
        return f"torch's varlen kernel is wrong here, by {difference:.2g} of the largest value"
    return None


def _kernel_difference(config: Any, dtype: torch.dtype, device: torch.device) -> float:
    """Largest difference between attention or a gradient from torch's kernel and from `_attend_in_turn`, as a share of the
    largest value. Tried with a sliding window, too."""
    config = config.get_text_config()
    num_heads = config.num_attention_heads
    num_key_heads = getattr(config, "num_key_value_heads", None) or num_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // num_heads
    offsets = torch.tensor([0, *np.cumsum(CHECKED_LENGTHS)], dtype=torch.int32, device=device)
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(sum(CHECKED_LENGTHS), heads, head_dim, generator=generator).to(device, dtype)
        for heads in (num_heads, num_key_heads, num_key_heads)
    ]
    differences = []
    for sliding_window in (None, 17):
        segments = Segments(offsets, max(CHECKED_LENGTHS), sliding_window=sliding_window)
        results = []
        for attend, format_ in ((_attend_with_kernel, dtype), (_attend_in_turn, torch.float32)):
            leaves = [each.to(format_, copy=True).requires_grad_() for each in inputs]
            query, key, value = leaves
            out = attend(query, key, value, segments)
            results.append([out.detach(), *torch.autograd.grad(out.float().square().sum(), leaves)])
        for found, expected in zip(*results, strict=True):
            scale = expected.abs().max()
            differences.append(float((found.float() - expected).abs().max() / scale))
    return max(differences)

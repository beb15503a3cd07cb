"""The two of llama.cpp's K-quants that its mix `Q4_K_M` consists of; the `gguf` package can read them but not write
them.

A row is cut into blocks of 256 numbers. Q4_K: eight parts of 32, each x ~ scale * q - minimum with q from 0 to 15; Q6_K:
16 parts of 16, each x ~ scale * q with q from -32 to 31. Scales and minima are themselves integers, times one number
per block. The scale of each part is the best of several candidate roundings by weighted least squares, as in llama.cpp
(`make_qkx2_quants` and `make_qx_quants` of ggml-quants.c).

Shapes: N blocks, P parts of a block, W numbers of a part.
"""

from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

BLOCK = 256
CHUNK = 4096
"""Number of blocks computed at once, to limit memory."""


def quantize(matrix: Array, kind: gguf.GGMLQuantizationType) -> NDArray[np.uint8]:
    """A matrix (rows, columns; the columns a multiple of 256) as bytes (rows, bytes of a row).

    Args:
        kind: Q4_K or Q6_K.
    """
    pack = _q4_k if kind == gguf.GGMLQuantizationType.Q4_K else _q6_k
    blocks = matrix.astype(np.float32, copy=False).reshape(-1, BLOCK)
    packed = [pack(blocks[first : first + CHUNK]) for first in range(0, len(blocks), CHUNK)]
    return np.concatenate(packed).reshape(len(matrix), -1)


def _divided(numerator: NDArray[Any], denominator: NDArray[Any]) -> Array:
    """The quotient; 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def _half(values: NDArray[Any]) -> tuple[NDArray[np.uint8], Array]:
    """As bytes of float16 numbers, and the values of those."""
    halves = values.astype(np.float16)
    return halves.view(np.uint8), halves.astype(np.float32)


def _q4_k(blocks: Array) -> NDArray[Any]:
    parts_NPW = blocks.reshape(-1, 8, 32)
    scales_NP, minima_NP = _scales_and_minima(parts_NPW)
    d_bytes, d = _half(scales_NP.max(axis=1, keepdims=True) / 63)
    m_bytes, m = _half(minima_NP.max(axis=1, keepdims=True) / 63)
    s = np.rint(_divided(scales_NP, np.broadcast_to(d, scales_NP.shape))).clip(0, 63).astype(np.uint8)
    o = np.rint(_divided(minima_NP, np.broadcast_to(m, minima_NP.shape))).clip(0, 63).astype(np.uint8)
    scale, minimum = (d * s)[..., None], (m * o)[..., None]
    q = _divided(parts_NPW + minimum, np.broadcast_to(scale, parts_NPW.shape))
    q = np.rint(q).clip(0, 15).astype(np.uint8).reshape(-1, 4, 2, 32)
    nibbles = q[:, :, 0] | (q[:, :, 1] << 4)
    low_high = (s[:, 4:] & 15) | ((o[:, 4:] & 15) << 4)
    packed = [s[:, :4] | (s[:, 4:] >> 4 << 6), o[:, :4] | (o[:, 4:] >> 4 << 6), low_high]
    return np.concatenate([d_bytes, m_bytes, *packed, nibbles.reshape(-1, 128)], axis=1)


def _scales_and_minima(x: Array) -> tuple[Array, Array]:
    """Scale and minimum (N, P), both at least 0, for x ~ scale * q - minimum."""
    weight = np.sqrt((x * x).mean(axis=-1, keepdims=True)) + np.abs(x)
    low, high = np.minimum(x.min(axis=-1), 0), x.max(axis=-1)
    sum_w, sum_x = weight.sum(axis=-1), (weight * x).sum(axis=-1)
    best_scale, best_low = (high - low) / 15, low
    q = np.rint(_divided(x - low[..., None], np.broadcast_to(best_scale[..., None], x.shape)))
    best = (weight * np.square(best_scale[..., None] * q + low[..., None] - x)).sum(axis=-1)
    for step in range(21):
        factor = _divided(np.full_like(low, 14 + 0.1 * step), high - low)
        q = np.rint(factor[..., None] * (x - low[..., None])).clip(0, 15)
        wq = weight * q
        sum_q, sum_qq, sum_xq = wq.sum(axis=-1), (wq * q).sum(axis=-1), (wq * x).sum(axis=-1)
        determinant = sum_w * sum_qq - sum_q * sum_q
        scale = _divided(sum_w * sum_xq - sum_x * sum_q, determinant)
        offset = _divided(sum_qq * sum_x - sum_q * sum_xq, determinant)
        above = offset > 0
        scale = np.where(above, _divided(sum_xq, sum_qq), scale)
        offset = np.where(above, 0, offset)
        error = (weight * np.square(scale[..., None] * q + offset[..., None] - x)).sum(axis=-1)
        better = (error < best) & (determinant > 0)
        best = np.where(better, error, best)
        best_scale, best_low = np.where(better, scale, best_scale), np.where(better, offset, best_low)
    return best_scale, -best_low


def _q6_k(blocks: Array) -> NDArray[Any]:
    parts_NPW = blocks.reshape(-1, 16, 16)
    scales_NP = _symmetric_scales(parts_NPW)
    largest = np.take_along_axis(scales_NP, np.abs(scales_NP).argmax(axis=1)[:, None], axis=1)
    d_bytes, d = _half(largest / -128)
    s = np.rint(_divided(scales_NP, np.broadcast_to(d, scales_NP.shape))).clip(-128, 127).astype(np.int8)
    scale = (d * s)[..., None]
    q = np.rint(_divided(parts_NPW, np.broadcast_to(scale, parts_NPW.shape))).clip(-32, 31)
    q = (q + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low, high = q & 15, q >> 4
    low_bytes = np.concatenate(
        [low[:, :, 0] | (low[:, :, 2] << 4), low[:, :, 1] | (low[:, :, 3] << 4)], axis=-1
    )
    high_bytes = high[:, :, 0] | (high[:, :, 1] << 2) | (high[:, :, 2] << 4) | (high[:, :, 3] << 6)
    return np.concatenate(
        [low_bytes.reshape(-1, 128), high_bytes.reshape(-1, 64), s.view(np.uint8), d_bytes], axis=1
    )


def _symmetric_scales(x: Array) -> Array:
    """Scale (N, P) for x ~ scale * q, of either sign."""
    weight = x * x
    furthest = np.take_along_axis(x, np.abs(x).argmax(axis=-1)[..., None], axis=-1)[..., 0]
    best, best_scale = np.zeros_like(furthest), np.zeros_like(furthest)
    for step in range(-9, 10):
        factor = _divided(np.full_like(furthest, -(32 + 0.1 * step)), furthest)
        q = np.rint(factor[..., None] * x).clip(-32, 31)
        sum_xq, sum_qq = (weight * x * q).sum(axis=-1), (weight * q * q).sum(axis=-1)
        gain = _divided(sum_xq * sum_xq, sum_qq)  # how much this part reduces the squared error
        better = gain > best
        best, best_scale = (
            np.where(better, gain, best),
            np.where(better, _divided(sum_xq, sum_qq), best_scale),
        )
    return best_scale

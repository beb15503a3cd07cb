"""Any `Decoder` as an OpenVINO graph, built operation by operation.

OpenVINO's converter is not used: it reports its use over the network, and the graph's form matters for speed. The
patterns of operations below are those that OpenVINO's CPU plugin fuses: attention with its cache, rotation, RMSNorm.
Matrices that read the same input are joined into one.

Shapes as in `decoder.py`, and: B rows, T new tokens, S tokens in all (old and new).
"""

import sys
from typing import Any

import numpy as np

from fabula.models.decoder import Array, Decoder, Layer, Linear, Norm, Rotary

# Without this, importing openvino reports to a statistics server. The library has its own substitute for the missing
# package.
sys.modules["openvino_telemetry"] = None  # pyright: ignore[reportArgumentType]
import openvino as ov  # noqa: E402
from openvino import opset15 as op  # noqa: E402
from openvino.op.util import Variable, VariableInfo  # noqa: E402

INPUTS_PER_SCALE = 128
"""Numbers of a layer's input that are rounded to 8 bits with one scale; fewer if a layer has fewer inputs.
docs/benchmarks.md has the reason for 128 instead of OpenVINO's own 32. A layer with fewer inputs than the group size
would not be rounded, and unrounded sums depend on the size of the batch."""

VERSION = 5
"""Increase this when the graph changes, so that cached graphs are made again."""

_ACTIVATIONS = {
    "gelu": lambda x: op.gelu(x, "erf"),
    "gelu_fast": lambda x: op.gelu(x, "tanh"),
    "gelu_new": lambda x: op.gelu(x, "tanh"),
    "gelu_pytorch_tanh": lambda x: op.gelu(x, "tanh"),
    "relu": op.relu,
    "silu": op.swish,
}


def decoder_graph(decoder: Decoder, bits: int) -> ov.Model:
    """The decoder with its cache inside.

    Inputs: input_ids (B, T), attention_mask (B, S; 0 hides a token), position_ids (B, T), and rows (B): which rows of
        the previous step, as the cache has them, continue. Output: logits (B, 1, V) of the token after the last.

    Args:
        bits: bits per weight of the matrices, 8 or 32.
    """
    return _Builder(decoder, bits).model()


def _integers(*values: int) -> ov.Node:
    return op.constant(np.array(values, dtype=np.int64))


def _scalar(value: int) -> ov.Node:
    return op.constant(np.array(value, dtype=np.int64))


def _size(node: ov.Node, axis: int) -> ov.Node:
    return op.gather(op.shape_of(node), _integers(axis), _scalar(0))


def _parameter(name: str, *shape: int, kind: type = np.int64) -> ov.Node:
    node = op.parameter(shape, kind, name)
    node.output(0).tensor.set_names({name})
    return node


def _norm(x: ov.Node, norm: Norm) -> ov.Node:
    """Normalise over the last axis."""
    if norm.subtracts_mean:
        centred = op.mvn(x, _integers(-1), True, norm.epsilon, "INSIDE_SQRT")
    else:
        mean = op.reduce_mean(op.power(x, op.constant(np.float32(2))), _integers(-1), True)
        root = op.sqrt(op.add(mean, op.constant(np.float32(norm.epsilon))))
        centred = op.multiply(x, op.divide(op.constant(np.float32(1)), root))
    scaled = op.multiply(centred, op.constant(norm.weight))
    return scaled if norm.bias is None else op.add(scaled, op.constant(norm.bias))


class _Builder:
    def __init__(self, decoder: Decoder, bits: int) -> None:
        self._decoder, self._bits = decoder, bits
        self._assignments: list[ov.Node] = []
        self._ids_BT = _parameter("input_ids", -1, -1)
        self._mask_BS = _parameter("attention_mask", -1, -1)
        self._positions_BT = _parameter("position_ids", -1, -1)
        self._rows_B = _parameter("rows", -1, kind=np.int32)
        self._fewest_inputs = decoder.embedding_VE.shape[1]
        self._masks: dict[int | None, ov.Node] = {}
        self._rotations: dict[tuple[bytes, float, bytes], tuple[ov.Node, ov.Node]] = {}

    def model(self) -> ov.Model:
        decoder = self._decoder
        table_VE, scale_V1 = self._rows_of(decoder.embedding_VE)
        token_scale = None if scale_V1 is None else op.gather(scale_V1, self._ids_BT, _scalar(0))
        x_BTE = _scaled(op.gather(table_VE, self._ids_BT, _scalar(0)), token_scale)
        if decoder.embedding_scale != 1:
            x_BTE = op.multiply(x_BTE, op.constant(np.float32(decoder.embedding_scale)))
        if decoder.positions_PE is not None:
            positions = op.gather(op.constant(decoder.positions_PE), self._positions_BT, _scalar(0))
            x_BTE = op.add(x_BTE, positions)
        for number, layer in enumerate(decoder.layers):
            x_BTE = self._layer(x_BTE, layer, number)
        last_B1E = op.gather(_norm(x_BTE, decoder.final_norm), _integers(-1), _scalar(1))
        if decoder.head is None:
            logits_B1V = op.matmul(last_B1E, _scaled(table_VE, scale_V1), False, True)
        else:
            logits_B1V = self._linear(last_B1E, decoder.head)
        logits_B1V.output(0).tensor.set_names({"logits"})
        inputs = [self._ids_BT, self._mask_BS, self._positions_BT, self._rows_B]
        model = ov.Model([op.result(logits_B1V)], self._assignments, inputs, "decoder")  # pyright: ignore
        options = {"KV_CACHE_PRECISION": "f32"}
        if self._bits == 8:
            narrowest = 1 << (
                self._fewest_inputs.bit_length() - 1
            )  # the largest power of two that is not above it
            options = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": str(min(INPUTS_PER_SCALE, narrowest))}
        for name, value in options.items():
            model.set_rt_info(value, ["runtime_options", name])
        return model

    def _layer(self, x_BTE: ov.Node, layer: Layer, number: int) -> ov.Node:
        attended = self._attention(_norm(x_BTE, layer.attention_norm), layer, number)
        if layer.attention_post_norm:
            attended = _norm(attended, layer.attention_post_norm)
        between = op.add(x_BTE, attended)
        read = _norm(x_BTE if self._decoder.is_parallel else between, layer.mlp_norm)
        inner = self._linear(read, layer.mlp_in)
        activation = _ACTIVATIONS[self._decoder.activation]
        if self._decoder.is_gated:
            F = len(layer.mlp_in.weight_OI) // 2
            parts = op.variadic_split(inner, _scalar(-1), _integers(F, F))
            inner = op.multiply(activation(parts.output(0)), parts.output(1))
        else:
            inner = activation(inner)
        written = self._linear(inner, layer.mlp_out)
        if layer.mlp_post_norm:
            written = _norm(written, layer.mlp_post_norm)
        return op.add(between, written)

    def _attention(self, x_BTE: ov.Node, layer: Layer, number: int) -> ov.Node:
        H, D = self._decoder.num_heads, self._decoder.head_dim
        query, key, value = self._heads(self._linear(x_BTE, layer.query_key_value), layer)
        keys, values = self._remembered("key", number, key), self._remembered("value", number, value)
        scale = self._decoder.attention_scale
        given = [] if scale == D**-0.5 else [op.constant(np.float32(scale))]
        mixed = op.scaled_dot_product_attention(query, keys, values, self._mask(layer.window), *given)
        mixed = op.reshape(op.transpose(mixed, _integers(0, 2, 1, 3)), _integers(0, 0, H * D), True)
        return self._linear(mixed, layer.attention_out)

    def _heads(self, read_BTO: Any, layer: Layer) -> tuple[Any, Any, Any]:
        """Queries (B, H, T, D), keys and values (B, G, T, D), rotated. If there is nothing else to compute, one
        operation rotates all heads, those of the values by angle 0: the overhead of an operation costs more than its
        arithmetic."""
        H, G, D = self._decoder.num_heads, self._decoder.num_key_value_heads, self._decoder.head_dim
        order = _integers(0, 2, 1, 3)
        if layer.rotary and not layer.query_norm:
            heads = op.transpose(op.reshape(read_BTO, _integers(0, 0, H + 2 * G, D), True), order)
            turns = np.repeat(np.array([1, 0], np.float32), [H + G, G])
            parts = op.variadic_split(
                self._rotated(heads, layer.rotary, turns), _scalar(1), _integers(H, G, G)
            )
            return parts.output(0), parts.output(1), parts.output(2)
        parts = op.variadic_split(read_BTO, _scalar(-1), _integers(H * D, G * D, G * D))
        query, key, value = (
            op.reshape(parts.output(part), _integers(0, 0, heads, D), True)
            for part, heads in enumerate((H, G, G))
        )
        if layer.query_norm:
            query = _norm(query, layer.query_norm)
        if layer.key_norm:
            key = _norm(key, layer.key_norm)
        query, key, value = (op.transpose(each, order) for each in (query, key, value))
        if layer.rotary:
            one = np.ones(1, dtype=np.float32)
            query, key = (self._rotated(each, layer.rotary, one) for each in (query, key))
        return query, key, value

    def _remembered(self, kind: str, number: int, new_BGTD: ov.Node) -> ov.Node:
        """The keys or values of all tokens so far, each head repeated for all query heads that read it: (B, H, S,
        D)."""
        H, G, D = self._decoder.num_heads, self._decoder.num_key_value_heads, self._decoder.head_dim
        info = VariableInfo()
        info.data_shape, info.data_type = ov.PartialShape([-1, G, -1, D]), ov.Type.f32
        info.variable_id = f"{kind}.{number}"
        variable = Variable(info)
        empty = op.broadcast(
            op.constant(np.float32(0)), op.concat([_size(self._ids_BT, 0), _integers(G, 0, D)], 0)
        )
        past = op.gather(op.read_value(empty, variable), self._rows_B, _scalar(0))
        whole_BGSD = op.concat([past, new_BGTD], 2)
        self._assignments.append(op.assign(whole_BGSD, variable))
        if G == H:
            return whole_BGSD
        repeated = op.broadcast(
            op.unsqueeze(whole_BGSD, _integers(2)),
            _integers(1, 1, H // G, 1, 1),
            broadcast_spec="BIDIRECTIONAL",
        )
        return op.reshape(repeated, _integers(0, H, -1, D), True)

    def _rotated(self, x: ov.Node, rotary: Rotary, turns: Array) -> ov.Node:
        """Heads (B, N, T, D), rotated by `turns` (N or 1) times the angles of their positions."""
        D, R = self._decoder.head_dim, 2 * len(rotary.frequencies)
        cosine, sine = self._rotation(rotary, turns)
        turned, kept = x, None
        if R < D:
            parts = op.variadic_split(x, _scalar(3), _integers(R, D - R))
            turned, kept = parts.output(0), parts.output(1)
        halves = op.variadic_split(turned, _scalar(3), _integers(R // 2, R // 2))
        negative = op.multiply(halves.output(1), op.constant(np.float32(-1)))
        other = op.concat([negative, halves.output(0)], -1)
        turned = op.add(op.multiply(turned, cosine), op.multiply(other, sine))
        return turned if kept is None else op.concat([turned, kept], -1)

    def _rotation(self, rotary: Rotary, turns_N: Array) -> tuple[ov.Node, ov.Node]:
        """Cosine and sine of each position's angles (B, N, T, R), computed once for all layers that share them."""
        key = (rotary.frequencies.tobytes(), rotary.scale, turns_N.tobytes())
        if key not in self._rotations:
            places = op.unsqueeze(op.convert(self._positions_BT, "f32"), _integers(1, 3))
            angles = op.multiply(places, op.constant(np.tile(rotary.frequencies, 2)))
            angles = op.multiply(angles, op.constant(turns_N[:, None, None]))
            pair = op.cos(angles), op.sin(angles)
            if rotary.scale != 1:
                scales = op.constant(np.where(turns_N, rotary.scale, 1).astype(np.float32)[:, None, None])
                cosine, sine = (op.multiply(each, scales) for each in pair)
                pair = cosine, sine
            self._rotations[key] = pair
        return self._rotations[key]

    def _mask(self, window: int | None) -> ov.Node:
        """The mask that is added to the products of queries and keys (B, 1, T, S): a token attends to itself and to
        earlier tokens that are not hidden, and that are in the window if there is one."""
        if window not in self._masks:
            num_new, num_all = _size(self._ids_BT, 1), _size(self._mask_BS, 1)
            places_S = op.range(_scalar(0), op.squeeze(num_all), _scalar(1), "i64")
            own_T = op.range(
                op.squeeze(op.subtract(num_all, num_new)), op.squeeze(num_all), _scalar(1), "i64"
            )
            places_1S, own_T1 = op.unsqueeze(places_S, _scalar(0)), op.unsqueeze(own_T, _scalar(1))
            seen_TS = op.less_equal(places_1S, own_T1)
            if window is not None:
                oldest_T1 = op.subtract(own_T1, _scalar(window))
                seen_TS = op.logical_and(seen_TS, op.greater(places_1S, oldest_T1))
            shown_B11S = op.equal(op.unsqueeze(self._mask_BS, _integers(1, 2)), _scalar(1))
            self._masks[window] = op.select(
                op.logical_and(shown_B11S, op.unsqueeze(seen_TS, _integers(0, 1))),
                op.constant(np.float32(0)),
                op.constant(np.finfo(np.float32).min),
            )
        return self._masks[window]

    def _linear(self, x_BTI: ov.Node, linear: Linear) -> ov.Node:
        self._fewest_inputs = min(self._fewest_inputs, linear.weight_OI.shape[1])
        product = op.matmul(x_BTI, _scaled(*self._rows_of(linear.weight_OI)), False, True)
        return product if linear.bias_O is None else op.add(product, op.constant(linear.bias_O))

    def _rows_of(self, matrix_OI: Array) -> tuple[ov.Node, ov.Node | None]:
        """A matrix as a constant, and the scale of each row if it has 8 bits."""
        if self._bits == 32:
            return op.constant(matrix_OI), None
        scale_O1 = np.abs(matrix_OI).max(axis=1, keepdims=True) / np.float32(127)
        scale_O1[scale_O1 == 0] = 1
        return op.constant(np.rint(matrix_OI / scale_O1).astype(np.int8)), op.constant(scale_O1)


def _scaled(values: ov.Node, scale: ov.Node | None) -> ov.Node:
    return values if scale is None else op.multiply(op.convert(values, "f32"), scale)

"""The fast engine on a CPU: GPT-2 as an OpenVINO graph of our own, with weights of 8 bits.

Writing one story reads every weight once for each token, so its speed is bounded by how fast memory is read; 8-bit
weights are a quarter of the bytes. Each row of a weight matrix is held as integers from -127 to 127 and one scale
(largest magnitude / 127), the embedding among them. Biases, norms and positions stay in full precision.

The graph is built here, operation by operation, and OpenVINO's converter is not used: it reports its use over the
network.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from fabula.errors import FabulaError
from fabula.files import (
    atomic_folder,
    cache_place,
    fingerprint,
    hash_file,
    library_versions,
    read_json,
    write_json,
)
from fabula.generation.engine import Batch, Engine, TextSide, left_padded
from fabula.models.load import weight_files
from fabula.progress import OnProgress, Progress, silent

# Without this, importing openvino reports to a statistics server. The library has its own stand-in for the missing
# package.
sys.modules["openvino_telemetry"] = None  # pyright: ignore[reportArgumentType]
import openvino as ov  # noqa: E402
from openvino import opset15 as op  # noqa: E402
from openvino.op.util import Variable, VariableInfo  # noqa: E402

INPUTS_PER_SCALE = 128
"""Numbers of a layer's input that are rounded to 8 bits together, with one scale. With OpenVINO's own 32 a step of one
story takes a sixth longer; more than this gains little and lets an outlier spoil more (docs/benchmarks.md)."""

GRAPH = "gpt2.xml"
TEXT_SIDE = "text.json"
GRAPH_VERSION = 3
"""Goes up when `gpt2_graph` changes, so that graphs in the cache are made anew."""

NUM_CACHED = 8
"""Converted models that are kept; the one that was not used for the longest time goes first."""

READ = (
    "config.json",
    "tokenizer*",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""The files beside the weights that decide what is in the cache."""

ACTIVATIONS = {
    "gelu_new": lambda x: op.gelu(x, "tanh"),
    "gelu_pytorch_tanh": lambda x: op.gelu(x, "tanh"),
    "gelu": lambda x: op.gelu(x, "erf"),
    "relu": op.relu,
}


class OpenVINOEngine(Engine):
    """GPT-2 models on the CPU.

    Args:
        folder: the model's.
        bits: 8, or 32 for full precision.

    Raises:
        FabulaError: the model is no GPT-2, or a variant of it that the graph does not cover.
    """

    def __init__(self, folder: Path, bits: int = 8, *, on_progress: OnProgress = silent) -> None:
        self.name = "openvino" if bits == 8 else "openvino-fp32"
        if reason := unsupported(read_json(folder / "config.json")):
            raise FabulaError(
                f"the {self.name} engine cannot run this model: {reason}",
                where=folder,
                hint="--engine transformers can",
            )
        graph, text = _converted(folder, bits, on_progress)
        super().__init__(folder, text)
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if bits == 32:
            options["KV_CACHE_PRECISION"] = "f32"
        else:
            options["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = str(INPUTS_PER_SCALE)
        self._compiled = ov.Core().compile_model(graph, "CPU", options)

    def read(self, windows: Sequence[Sequence[int]]) -> Batch:
        return OpenVINOBatch(self._compiled.create_infer_request(), *left_padded(windows))


class OpenVINOBatch(Batch):
    def __init__(
        self,
        request: ov.InferRequest,
        input_ids_BT: NDArray[np.int64],
        mask_BT: NDArray[np.int64],
        positions_BT: NDArray[np.int64],
    ) -> None:
        self._request, self._mask_BT = request, mask_BT
        self._infer(input_ids_BT, positions_BT, np.arange(len(mask_BT)))

    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        kept = np.array(rows)
        mask_BT = self._mask_BT[kept]
        self._mask_BT = np.pad(mask_BT, ((0, 0), (0, 1)), constant_values=1)
        self._infer(np.array(input_ids)[:, None], mask_BT.sum(axis=1, keepdims=True), kept)

    def _infer(
        self, input_ids_BT: NDArray[np.int64], positions_BT: NDArray[np.int64], rows_B: NDArray[np.int64]
    ) -> None:
        inputs = {
            "input_ids": input_ids_BT,
            "attention_mask": self._mask_BT,
            "position_ids": positions_BT,
            "rows": rows_B.astype(np.int32),
        }
        self.logits_BV = self._request.infer(inputs)["logits"][:, 0]


def unsupported(config: Mapping[str, Any]) -> str | None:
    """Why the graph cannot stand for a model with this `config.json`, or None."""
    if config.get("model_type") != "gpt2":
        return f"its architecture is {config.get('model_type')}, not gpt2"
    if (activation := config.get("activation_function", "gelu_new")) not in ACTIVATIONS:
        return f"its activation is {activation}"
    if config.get("scale_attn_by_inverse_layer_idx") or not config.get("scale_attn_weights", True):
        return "it scales attention in its own way"
    return None


def _converted(folder: Path, bits: int, on_progress: OnProgress) -> tuple[Path, TextSide]:
    """The model's graph, and its `TextSide`: from the cache, or made and put there.

    What is in the cache was checked when it was made, so that a model that was used before loads without torch and
    transformers.
    """
    read = [file for pattern in READ for file in sorted(folder.glob(pattern))]
    key = fingerprint(
        [
            [[file.name, hash_file(file)] for file in (*read, *weight_files(folder))],
            [GRAPH_VERSION, bits, library_versions("openvino", "tokenizers")],
        ]
    )
    cache = cache_place("engines")
    entry = cache / key
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / ".lock"):
        if not entry.is_dir():
            on_progress(
                Progress("write", message=f"converting the model to weights of {bits} bits, this once")
            )
            from fabula.models.load import load_model

            model = load_model(folder)
            weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
            with atomic_folder(entry) as partial:
                write_json(partial / TEXT_SIDE, TextSide.of(folder).model_dump())
                ov.save_model(
                    gpt2_graph(weights, model.config, bits), partial / GRAPH, compress_to_fp16=False
                )
        entry.touch()
        by_last_use = sorted(
            (each for each in cache.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime
        )
        for old in by_last_use[:-NUM_CACHED]:
            shutil.rmtree(old, ignore_errors=True)
        return entry / GRAPH, TextSide.parse(read_json(entry / TEXT_SIDE))


def gpt2_graph(weights: Mapping[str, NDArray[np.float32]], config: Any, bits: int) -> ov.Model:
    """GPT-2 with its cache inside, as an OpenVINO model.

    Shapes: B rows, T new tokens, S tokens in all (old and new), E width, H heads, D = E / H, V vocabulary.

    Inputs: input_ids (B, T), attention_mask (B, S; 0 hides a token), position_ids (B, T), and rows (B): which rows of the
    batch before go on, as the cache has them. Output: logits (B, 1, V) of the token after the last.

    Args:
        weights: the state of transformers' `GPT2LMHeadModel`.
        config: its configuration.
        bits: 8 or 32, of the weight matrices.
    """
    E, H, epsilon = config.n_embd, config.n_head, config.layer_norm_epsilon
    D = E // H
    activation = ACTIVATIONS[config.activation_function]

    def integers(*values: int) -> ov.Node:
        return op.constant(np.array(values, dtype=np.int64))

    def scalar(value: int) -> ov.Node:
        return op.constant(np.array(value, dtype=np.int64))

    def rows_of(matrix_OI: NDArray[np.float32]) -> tuple[ov.Node, ov.Node | None]:
        """A matrix as a constant, and the scale of each row where it is held in 8 bits."""
        if bits == 32:
            return op.constant(matrix_OI), None
        scale_O1 = np.abs(matrix_OI).max(axis=1, keepdims=True) / np.float32(127)
        scale_O1[scale_O1 == 0] = 1
        return op.constant(np.rint(matrix_OI / scale_O1).astype(np.int8)), op.constant(scale_O1)

    def scaled(values: ov.Node, scale: ov.Node | None) -> ov.Node:
        return values if scale is None else op.multiply(op.convert(values, "f32"), scale)

    def linear(x_BTI: ov.Node, name: str) -> ov.Node:
        weight_OI = scaled(*rows_of(np.ascontiguousarray(weights[f"{name}.weight"].T)))
        return op.add(op.matmul(x_BTI, weight_OI, False, True), op.constant(weights[f"{name}.bias"]))

    def norm(x_BTE: ov.Node, name: str) -> ov.Node:
        centred = op.mvn(x_BTE, integers(-1), True, epsilon, "INSIDE_SQRT")
        return op.add(
            op.multiply(centred, op.constant(weights[f"{name}.weight"])), op.constant(weights[f"{name}.bias"])
        )

    def split_heads(x_BTE: ov.Output) -> ov.Node:
        return op.transpose(op.reshape(x_BTE, integers(0, 0, H, D), True), integers(0, 2, 1, 3))

    def parameter(name: str, *shape: int, kind: type = np.int64) -> ov.Node:
        node = op.parameter(shape, kind, name)
        node.output(0).tensor.set_names({name})
        return node

    def size(node: ov.Node, axis: int) -> ov.Node:
        return op.gather(op.shape_of(node), integers(axis), scalar(0))

    ids_BT, mask_BS = parameter("input_ids", -1, -1), parameter("attention_mask", -1, -1)
    positions_BT, rows_B = parameter("position_ids", -1, -1), parameter("rows", -1, kind=np.int32)

    # A token sees itself, and what stands before it and is not hidden.
    num_new, num_all = size(ids_BT, 1), size(mask_BS, 1)
    places_S = op.range(scalar(0), op.squeeze(num_all), scalar(1), "i64")
    own_places_T = op.range(op.squeeze(op.subtract(num_all, num_new)), op.squeeze(num_all), scalar(1), "i64")
    before_TS = op.less_equal(op.unsqueeze(places_S, scalar(0)), op.unsqueeze(own_places_T, scalar(1)))
    shown_B11S = op.equal(op.unsqueeze(mask_BS, integers(1, 2)), scalar(1))
    bias_B1TS = op.select(
        op.logical_and(shown_B11S, op.unsqueeze(before_TS, integers(0, 1))),
        op.constant(np.float32(0)),
        op.constant(np.finfo(np.float32).min),
    )

    table_VE, table_scale_V1 = rows_of(weights["transformer.wte.weight"])
    token_scale = None if table_scale_V1 is None else op.gather(table_scale_V1, ids_BT, scalar(0))
    x_BTE = op.add(
        scaled(op.gather(table_VE, ids_BT, scalar(0)), token_scale),
        op.gather(op.constant(weights["transformer.wpe.weight"]), positions_BT, scalar(0)),
    )
    empty_BH0D = op.broadcast(op.constant(np.float32(0)), op.concat([size(ids_BT, 0), integers(H, 0, D)], 0))
    assignments = []
    for layer in range(config.n_layer):
        block = f"transformer.h.{layer}"
        qkv = op.variadic_split(
            linear(norm(x_BTE, f"{block}.ln_1"), f"{block}.attn.c_attn"), scalar(2), integers(E, E, E)
        )
        query_BHTD, *new_BHTD = (split_heads(qkv.output(part)) for part in range(3))
        past_and_new_BHSD = []
        for name, new in zip(("key", "value"), new_BHTD, strict=True):
            info = VariableInfo()
            info.data_shape, info.data_type = ov.PartialShape([-1, H, -1, D]), ov.Type.f32
            info.variable_id = f"{name}.{layer}"
            variable = Variable(info)
            past = op.gather(op.read_value(empty_BH0D, variable), rows_B, scalar(0))
            whole = op.concat([past, new], 2)
            assignments.append(op.assign(whole, variable))
            past_and_new_BHSD.append(whole)
        mixed_BHTD = op.scaled_dot_product_attention(query_BHTD, *past_and_new_BHSD, bias_B1TS)
        mixed_BTE = op.reshape(op.transpose(mixed_BHTD, integers(0, 2, 1, 3)), integers(0, 0, E), True)
        x_BTE = op.add(x_BTE, linear(mixed_BTE, f"{block}.attn.c_proj"))
        inner = activation(linear(norm(x_BTE, f"{block}.ln_2"), f"{block}.mlp.c_fc"))
        x_BTE = op.add(x_BTE, linear(inner, f"{block}.mlp.c_proj"))
    last_B1E = op.gather(norm(x_BTE, "transformer.ln_f"), integers(-1), scalar(1))
    if config.tie_word_embeddings:
        head_VE = scaled(table_VE, table_scale_V1)
    else:
        head_VE = scaled(*rows_of(weights["lm_head.weight"]))
    logits_B1V = op.matmul(last_B1E, head_VE, False, True)
    logits_B1V.output(0).tensor.set_names({"logits"})
    inputs = [ids_BT, mask_BS, positions_BT, rows_B]
    return ov.Model([op.result(logits_B1V)], assignments, inputs, "gpt2")  # pyright: ignore[reportGeneralTypeIssues]

"""The ONNX format with a cache of keys and values, in the layout and with the names that transformers.js expects."""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
)
from transformers import DynamicCache
from transformers.exporters.configs import OnnxConfig
from transformers.exporters.exporter_onnx import OnnxExporter

from fabula.exporting.fidelity import longest_contexts
from fabula.exporting.text_files import write_text_files
from fabula.models.load import cache_argument, load_model

FILES = {"none": "model.onnx", "int8": "model_quantized.onnx"}
"""Quantisations, and the names under which transformers.js looks for them (`dtype` "fp32" and "q8")."""

QUANTIZATIONS = tuple(FILES)

WEIGHTS_PER_SCALE = 32
"""Numbers in a row of a matrix that share a scale. With one scale per column, and inputs rounded with one scale,
SmolLM2-135M loses 3.8 % in bits per byte; with these blocks it loses less than half a per cent."""

ZERO = 128
"""The integer that stands for 0 in 8 bits without a zero point of their own."""

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""


def write(folder: Path, out: Path, quantize: str) -> None:
    """Write `onnx/model.onnx`, if quantised also `onnx/model_quantized.onnx`, the configurations and the tokenizer."""
    model = load_model(folder)
    cache = DynamicCache(config=model.config)
    with torch.no_grad():  # different sizes, so that the exporter does not confuse two dimensions
        model(input_ids=torch.zeros(2, 3, dtype=torch.long), use_cache=True, **{cache_argument(model): cache})
    sample = {
        "input_ids": torch.zeros(2, 4, dtype=torch.long),
        "attention_mask": torch.ones(2, 7, dtype=torch.long),
        "position_ids": torch.arange(3, 7).repeat(2, 1),
        cache_argument(model): cache,
        "use_cache": True,
    }
    with _quiet():
        exported: Any = OnnxExporter().export(model, sample, config=OnnxConfig(dynamic=True))
    # transformers 5.21 returns torch's ONNXProgram, later releases a record of their own
    program: Any = exported.program if hasattr(exported, "program") else exported.model
    for value in [*program.graph.inputs, *program.graph.outputs]:
        value.name = _name(value.name)
    for value in program.graph.inputs:  # transformers.js makes an empty cache by the names of its dimensions
        if value.name.startswith("past_key_values."):
            heads, width = (int(str(value.shape[axis])) for axis in (1, 3))
            value.shape = onnx_ir.Shape(["batch_size", heads, "past_sequence_length", width])
    for node in program.graph:
        node.metadata_props.clear()  # source lines, with the paths of this machine
    (out / "onnx").mkdir()
    onnx_ir.save(program, out / "onnx" / FILES["none"])
    if quantize == "int8":
        quantized = onnx.load(out / "onnx" / FILES["none"])
        V, E = model.get_input_embeddings().weight.shape
        _quantize(quantized, (V, E))
        onnx.save(quantized, out / "onnx" / FILES["int8"])
    write_text_files(folder, out, ("config.json", "generation_config.json"))


def _quantize(model: onnx.ModelProto, shape: tuple[int, int]) -> None:
    """Store the matrices of the layers, and the embeddings, of this shape, in 8 bits."""
    config = DefaultWeightOnlyQuantConfig(
        block_size=WEIGHTS_PER_SCALE, is_symmetric=True, accuracy_level=4, bits=8
    )
    with _quiet():
        MatMulNBitsQuantizer(model, algo_config=config).process()
    _quantize_embeddings(model.graph, shape)


def _quantize_embeddings(graph: onnx.GraphProto, shape: tuple[int, int]) -> None:
    """Store the embeddings in 8 bits. Output weights that share them read the same numbers. Rows whose length is not a
    multiple of a block stay as they are."""
    V, E = shape
    if E % WEIGHTS_PER_SCALE:
        return
    tables = {each.name: each for each in graph.initializer if tuple(each.dims) == shape}
    gather = next(node for node in graph.node if node.op_type == "Gather" and node.input[0] in tables)
    table = tables[gather.input[0]]
    blocks_VNB = onnx.numpy_helper.to_array(table).reshape(V, -1, WEIGHTS_PER_SCALE)
    scale_VN1 = np.abs(blocks_VNB).max(axis=2, keepdims=True) / np.float32(127)
    scale_VN1[scale_VN1 == 0] = 1
    integers_VNB = (np.rint(blocks_VNB / scale_VN1) + ZERO).astype(np.uint8)
    graph.initializer.remove(table)
    arrays = {
        "embeddings": integers_VNB,
        "embedding_scales": scale_VN1[:, :, 0],
        "embedding_shape": np.array([V, E]),
    }
    graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    shared: Any = {"bits": 8, "block_size": WEIGHTS_PER_SCALE}
    rows = onnx.helper.make_node("Reshape", ["embeddings", "embedding_shape"], ["embedding_rows"])
    read = ["embedding_rows", gather.input[1], "embedding_scales"]
    found = onnx.helper.make_node(
        "GatherBlockQuantized",
        read,
        gather.output,
        domain=MICROSOFT,
        gather_axis=0,
        quantize_axis=1,
        **shared,
    )
    replaced = {gather.output[0]: [rows, found]}
    for turned in [
        node for node in graph.node if node.op_type == "Transpose" and node.input[0] == table.name
    ]:
        [head] = [node for node in graph.node if turned.output[0] in node.input]
        read = [head.input[0], "embeddings", "embedding_scales"]
        product = onnx.helper.make_node(
            "MatMulNBits", read, head.output, domain=MICROSOFT, K=E, N=V, accuracy_level=4, **shared
        )
        replaced |= {turned.output[0]: [], head.output[0]: [product]}
    nodes = [each for node in graph.node for each in replaced.get(node.output[0], [node])]
    del graph.node[:]
    graph.node.extend(nodes)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters print messages; a library function must not."""
    logging.disable(logging.WARNING)
    try:
        with (
            redirect_stdout(StringIO()),
            redirect_stderr(StringIO()),
            warnings.catch_warnings(action="ignore"),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _name(name: str) -> str:
    """`input.past_key_values.layers.0.keys` as `past_key_values.0.key`, and the output as `present.0.key`."""
    if found := re.fullmatch(r"(input|output)\.(?:past_key_values|cache)\.layers\.(\d+)\.(key|value)s", name):
        side, layer, kind = found.groups()
        return f"{'past_key_values' if side == 'input' else 'present'}.{layer}.{kind}"
    return name


def predict(out: Path, contexts: Sequence[Sequence[int]], vocab_size: int) -> NDArray[np.float32]:
    """Logits (N, V) of the token after each of N contexts, the last token of which is read with the cache of the
    others."""
    file = next(file for file in map((out / "onnx").joinpath, reversed(FILES.values())) if file.exists())
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    empty = {
        each.name: np.zeros((1, int(each.shape[1]), 0, int(each.shape[3])), dtype=np.float32)
        for each in session.get_inputs()
        if each.name.startswith("past_key_values.")
    }
    outputs = [each.name for each in session.get_outputs()]
    rows = []
    for longest, lengths in longest_contexts(contexts):
        past, place = empty, 0
        for end in sorted({end for length in lengths for end in (length - 1, length)} - {0}):
            inputs = {
                "input_ids": np.array([longest[place:end]], dtype=np.int64),
                "attention_mask": np.ones((1, end), dtype=np.int64),
                "position_ids": np.arange(place, end)[None],
                **past,
            }
            found = dict(zip(outputs, session.run(None, inputs), strict=True))
            past = {name: found[name.replace("past_key_values", "present")] for name in empty}
            place = end
            if end in lengths:
                rows.append(np.asarray(found["logits"])[0, -1, :vocab_size])
    return np.stack(rows)

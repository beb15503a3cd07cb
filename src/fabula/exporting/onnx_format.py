"""The ONNX format with a cache of keys and values, in the layout and with the names that transformers.js expects."""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

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

from fabula.exporting.text_files import write_text_files
from fabula.models.load import load_model

FILES = {"none": "model.onnx", "int8": "model_quantized.onnx"}
"""Quantisations, and the names under which transformers.js looks for them (`dtype` "fp32" and "q8")."""

QUANTIZATIONS = tuple(FILES)

WEIGHTS_PER_SCALE = 32
"""Numbers in a row of a matrix that share a scale. With one scale per column, and inputs rounded with one scale,
SmolLM2-135M loses 3.8 % in bits per byte; with these blocks it loses less than half a per cent."""


def write(folder: Path, out: Path, quantize: str) -> None:
    """Write `onnx/model.onnx`, if quantised also `onnx/model_quantized.onnx`, the configurations and the tokenizer."""
    model = load_model(folder)
    cache = DynamicCache(config=model.config)
    with torch.no_grad():  # different sizes, so that the exporter does not confuse two dimensions
        model(input_ids=torch.zeros(2, 3, dtype=torch.long), past_key_values=cache, use_cache=True)
    sample = {
        "input_ids": torch.zeros(2, 4, dtype=torch.long),
        "attention_mask": torch.ones(2, 7, dtype=torch.long),
        "position_ids": torch.arange(3, 7).repeat(2, 1),
        "past_key_values": cache,
        "use_cache": True,
    }
    with _quiet():
        program = OnnxExporter().export(model, sample, config=OnnxConfig(dynamic=True)).program
    for value in [*program.graph.inputs, *program.graph.outputs]:
        value.name = _name(value.name)
    (out / "onnx").mkdir()
    onnx_ir.save(program, out / "onnx" / FILES["none"])
    if quantize == "int8":
        config = DefaultWeightOnlyQuantConfig(
            block_size=WEIGHTS_PER_SCALE, is_symmetric=True, accuracy_level=4, bits=8
        )
        with _quiet():
            quantizer = MatMulNBitsQuantizer(onnx.load(out / "onnx" / FILES["none"]), algo_config=config)
            quantizer.process()
            quantizer.model.save_model_to_file(str(out / "onnx" / FILES["int8"]), False)  # pyright: ignore[reportAttributeAccessIssue]
    write_text_files(folder, out, ("config.json", "generation_config.json"))


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
    if found := re.fullmatch(r"(input|output)\.past_key_values\.layers\.(\d+)\.(key|value)s", name):
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
    for context in contexts:
        past, place = empty, 0
        for part in (context[:-1], context[-1:]):
            if not len(part):
                continue
            inputs = {
                "input_ids": np.array([part], dtype=np.int64),
                "attention_mask": np.ones((1, place + len(part)), dtype=np.int64),
                "position_ids": np.arange(place, place + len(part))[None],
                **past,
            }
            found = dict(zip(outputs, session.run(None, inputs), strict=True))
            past = {name: found[name.replace("past_key_values", "present")] for name in empty}
            place += len(part)
        rows.append(np.asarray(found["logits"])[0, -1, :vocab_size])
    return np.stack(rows)

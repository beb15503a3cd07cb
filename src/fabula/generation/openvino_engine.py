"""The fast engine for CPUs: runs decoders of many architectures as our own OpenVINO graph, with 8-bit weights.

Writing one story reads every weight once for each token, so its speed is bounded by how fast memory is read; 8-bit
weights are a quarter of the bytes. Each row of a weight matrix, embeddings included, is stored as integers from -127 to
127 and one scale (largest magnitude / 127). Biases, norms and learned positions stay in full precision.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

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
from fabula.generation.openvino_graph import VERSION, decoder_graph, ov
from fabula.models.check import weight_files
from fabula.models.decoder import decoder_of, unsupported
from fabula.progress import OnProgress, Progress, silent

GRAPH = "decoder.xml"
TEXT_SIDE = "text.json"
TEXT_SIDE_VERSION = 2
"""Increase this when `TextSide` changes."""

NUM_CACHED = 8
"""Number of converted models that are kept; the least recently used one is removed first."""

READ = (
    "config.json",
    "story_format.json",
    "tokenizer*",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""The files besides the weights on which a cached model depends."""


class OpenVINOEngine(Engine):
    """Runs models of the architectures in `decoder.py` on the CPU.

    Args:
        folder: the model's.
        bits: 8, or 32 for full precision.

    Raises:
        FabulaError: the model's architecture, or its variant of one, is not covered.
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
        for name, values in inputs.items():  # passing a dictionary to `infer` takes longer
            self._request.set_tensor(name, ov.Tensor(values, shared_memory=True))
        self._request.start_async()
        self._request.wait()
        self.logits_BV = self._request.get_output_tensor().data[:, 0]


def _converted(folder: Path, bits: int, on_progress: OnProgress) -> tuple[Path, TextSide]:
    """The model's graph and its `TextSide`, from the cache if they are there, else converted and cached.

    Cached models were checked when they were converted, so a model that was used before loads without torch and
    transformers.
    """
    read = [file for pattern in READ for file in sorted(folder.glob(pattern))]
    key = fingerprint(
        [
            [[file.name, hash_file(file)] for file in (*read, *weight_files(folder))],
            [VERSION, TEXT_SIDE_VERSION, bits, library_versions("openvino", "tokenizers")],
        ]
    )
    cache = cache_place("engines")
    entry = cache / key
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / ".lock"):
        if not entry.is_dir():
            on_progress(
                Progress("write", message=f"converting the model to {bits}-bit weights, only this first time")
            )
            from fabula.models.load import load_model

            model = load_model(folder)
            text = TextSide.of(folder, model)
            graph = decoder_graph(decoder_of(model), bits)
            with atomic_folder(entry) as partial:
                write_json(partial / TEXT_SIDE, text.model_dump())
                ov.save_model(graph, partial / GRAPH, compress_to_fp16=False)
        entry.touch()
        by_last_use = sorted(
            (each for each in cache.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime
        )
        for old in by_last_use[:-NUM_CACHED]:
            shutil.rmtree(old, ignore_errors=True)
        return entry / GRAPH, TextSide.parse(read_json(entry / TEXT_SIDE))

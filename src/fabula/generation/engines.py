"""Engines: what turns tokens into the logits of the next one. All drawing is done outside, by `sampling.py`.

Importing this module loads neither torch nor transformers: that takes seconds, and the fast engine wants neither.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from fabula.errors import FabulaError, did_you_mean
from fabula.files import read_json
from fabula.generation.settings import GENERATION_CONFIG
from fabula.models.load import locate_model
from fabula.progress import OnProgress, silent

ENGINES = ("openvino", "openvino-fp32", "transformers")

ALIGNMENT = 16
"""Floats in the widest vector of today's CPUs (512 bits)."""

GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "C:/Windows/System32/nvcuda.dll")
"""Without any of these there is no GPU for torch: of NVIDIA or AMD on Linux, of a Windows host, on Windows itself."""


class Batch(ABC):
    """Stories that a model is reading side by side. What was read is kept (the keys and values of attention).

    Attributes:
        logits_BV: of the next token of each story.
    """

    logits_BV: NDArray[np.float32]

    @abstractmethod
    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        """Go on with some stories by one token each. The others leave the batch.

        Args:
            rows: the places in the batch, ascending, of those that go on; they take the places 0, 1, ... from here on.
            input_ids: the next token of each of these.
        """


class Engine(ABC):
    """A loaded model. It turns tokens into logits; all drawing is done outside.

    Attributes:
        name: as in `--engine`.
        folder: the model's.
        text_tokenizer: a special token's name in a text is plain text to it.
        context_length: the most tokens that the model sees at once.
        start_id: the token that stands before a story.
        end_ids: the tokens that end one.
    """

    name: str

    def __init__(
        self, folder: Path, text_tokenizer: Tokenizer, *, context_length: int, start_id: int, end_id: int
    ) -> None:
        self.folder = folder
        self.text_tokenizer = text_tokenizer
        self.text_tokenizer.encode_special_tokens = True
        self.text_tokenizer.no_truncation()
        self.text_tokenizer.no_padding()
        self.context_length = context_length
        self.start_id = start_id
        self.end_ids = end_ids_of(folder) or frozenset([end_id])

    def encode(self, text: str) -> list[int]:
        """The ids of a text; no token is added."""
        return self.text_tokenizer.encode(text, add_special_tokens=False).ids

    @abstractmethod
    def read(self, windows: Sequence[Sequence[int]]) -> Batch:
        """Read these windows of 1 to `context_length` tokens each, as a batch. Batches do not disturb each other."""


def text_side(folder: Path) -> dict[str, Any]:
    """What an engine needs to know of a model besides its weights, by way of transformers: the arguments of `Engine`
    after the folder, with the tokenizer as JSON."""
    from transformers import AutoConfig

    from fabula.models.load import check_model_folder, context_length_of
    from fabula.tokens.tokenizer import end_of_text_id, load_tokenizer, start_id

    check_model_folder(folder)
    tokenizer: Any = load_tokenizer(folder)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return {
        "text_tokenizer": tokenizer.backend_tokenizer.to_str(),
        "context_length": context_length_of(config),
        "start_id": start_id(tokenizer),
        "end_id": end_of_text_id(tokenizer),
    }


def load_engine(model: str | Path, engine: str = "auto", *, on_progress: OnProgress = silent) -> Engine:
    """Load a model into an engine.

    Args:
        model: as for `locate_model`.
        engine: one of `ENGINES`, or "auto": the fastest that is installed and can run this model.

    Raises:
        FabulaError: no such model, or an engine that is unknown, not installed, or cannot run this model.
    """
    if engine not in ("auto", *ENGINES):
        raise FabulaError(f"unknown engine {engine!r}", hint=did_you_mean(engine, ("auto", *ENGINES)))
    folder = locate_model(model)
    if engine == "auto":
        engine = _fastest(folder)
    if engine == "transformers":
        from fabula.generation.transformers_engine import TransformersEngine

        return TransformersEngine(folder)
    if find_spec("openvino") is None:
        raise FabulaError(f"the {engine} engine is not installed", hint="pip install 'fabula[fast]'")
    from fabula.generation.openvino_engine import OpenVINOEngine

    return OpenVINOEngine(folder, bits=32 if engine == "openvino-fp32" else 8, on_progress=on_progress)


def _fastest(folder: Path) -> str:
    """The engine that "auto" stands for, with this model on this machine."""
    if _has_gpu() or find_spec("openvino") is None:
        return "transformers"
    from fabula.generation.openvino_engine import unsupported

    return "openvino" if unsupported(read_json(folder / "config.json")) is None else "transformers"


def _has_gpu() -> bool:
    """Whether torch can use a GPU. torch itself, which takes long to load, is asked only where there is a driver."""
    if not any(Path(driver).exists() for driver in GPU_DRIVERS):
        return False
    import torch

    return torch.cuda.is_available()


def end_ids_of(folder: Path) -> frozenset[int]:
    """The tokens that end a text, as the model's `generation_config.json` states them; none where it does not."""
    path = folder / GENERATION_CONFIG
    settings = read_json(path) if path.is_file() else {}
    stated = settings.get("eos_token_id") if isinstance(settings, dict) else None
    ids = stated if isinstance(stated, list) else [stated] if stated is not None else []
    if not isinstance(settings, dict) or not all(isinstance(each, int) for each in ids):
        raise FabulaError("eos_token_id is no token, and no list of tokens", where=path)
    return frozenset(ids)


def left_padded(
    windows: Sequence[Sequence[int]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Windows of unequal length as one batch that ends flush: input_ids_BT, attention_mask_BT, position_ids_BT.

    T is a multiple of `ALIGNMENT`, so that a token's place in the processor's vectors depends on its own story alone.
    Sums are then rounded alike whatever the batch, and a story is the same to the bit in a batch and alone.
    """
    longest = max(len(window) for window in windows)
    longest += -longest % ALIGNMENT
    input_ids_BT = np.zeros((len(windows), longest), dtype=np.int64)
    mask_BT = np.zeros_like(input_ids_BT)
    for row, window in enumerate(windows):
        input_ids_BT[row, longest - len(window) :] = window
        mask_BT[row, longest - len(window) :] = 1
    return input_ids_BT, mask_BT, np.maximum(mask_BT.cumsum(axis=1) - 1, 0)

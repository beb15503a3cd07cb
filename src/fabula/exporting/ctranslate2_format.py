"""CTranslate2, by its own converter."""

from collections.abc import Sequence
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.converters import TransformersConverter
from numpy.typing import NDArray

from fabula.errors import FabulaError
from fabula.models.quiet import quiet

QUANTIZATIONS = ("float32", "float16", "int8", "int8_float32")


def write(folder: Path, out: Path, quantize: str) -> None:
    """Write `model.bin`, `config.json`, `vocabulary.json` and the tokenizer's files."""
    try:
        names = [file.name for file in folder.glob("tokenizer*")]
        with quiet():
            TransformersConverter(str(folder), copy_files=names).convert(
                str(out / "model"), quantization=quantize
            )
    except ValueError as error:  # an architecture that it does not know
        raise FabulaError(
            f"CTranslate2 cannot convert this model ({str(error).splitlines()[0]})", where=folder
        ) from None


def predict(out: Path, contexts: Sequence[Sequence[int]], vocab_size: int) -> NDArray[np.float32]:
    """Logits (N, V) of the token after each of N contexts."""
    generator = ctranslate2.Generator(str(out / "model"), device="cpu")
    rows = []
    for context in contexts:
        ids = ctranslate2.StorageView.from_array(np.array([context], dtype=np.int32))
        lengths = ctranslate2.StorageView.from_array(np.array([len(context)], dtype=np.int32))
        rows.append(np.array(generator.forward_batch(ids, lengths))[0, -1, :vocab_size])
    return np.stack(rows)

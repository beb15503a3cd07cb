"""The CTranslate2 format, written by its own converter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from ctranslate2.converters import TransformersConverter
from numpy.typing import NDArray

from fabula.errors import FabulaError
from fabula.exporting.fidelity import longest_contexts
from fabula.exporting.text_files import write_text_files
from fabula.files import read_json, write_json
from fabula.models.quiet import quiet

CONFIG = "config.json"

QUANTIZATIONS = ("float32", "float16", "int8", "int8_float32")


def write(folder: Path, out: Path, quantize: str) -> None:
    """Write `model.bin`, `config.json`, `vocabulary.json` and the tokenizer's files."""
    try:
        with quiet():
            _Converter(str(folder)).convert(str(out / "model"), quantization=quantize)
    except (
        ValueError,
        AttributeError,
    ) as error:  # CTranslate2 does not support the architecture or its configuration
        raise FabulaError(
            f"CTranslate2 cannot convert this model ({str(error).splitlines()[0]})", where=folder
        ) from None
    story_format = write_text_files(folder, out / "model")
    vocabulary, stated = read_json(out / "model" / "vocabulary.json"), read_json(out / "model" / CONFIG)
    stated["bos_token"], stated["eos_token"] = (
        vocabulary[token] for token in (story_format.start_id, story_format.end_id)
    )
    stated["unk_token"] = stated["unk_token"] or stated["eos_token"]  # it cannot load a model without one
    write_json(out / "model" / CONFIG, stated)


class _Converter(TransformersConverter):
    def load_model(self, model_class: Any, model_name_or_path: str, **kwargs: Any) -> Any:
        """The model to convert. The converter expects a GPT-NeoX as earlier releases of transformers had it."""
        model: Any = super().load_model(model_class, model_name_or_path, **kwargs)
        if model.config.model_type == "gpt_neox":
            model.config.rotary_pct = model.config.rope_parameters["partial_rotary_factor"]
            model.embed_out = model.lm_head
        return model


def predict(out: Path, contexts: Sequence[Sequence[int]], vocab_size: int) -> NDArray[np.float32]:
    """Logits (N, V) of the token after each of N contexts."""
    generator = ctranslate2.Generator(str(out / "model"), device="cpu")
    rows = []
    for longest, lengths in longest_contexts(contexts):
        ids = ctranslate2.StorageView.from_array(np.array([longest], dtype=np.int32))
        length = ctranslate2.StorageView.from_array(np.array([len(longest)], dtype=np.int32))
        rows.append(np.array(generator.forward_batch(ids, length))[0, np.array(lengths) - 1, :vocab_size])
    return np.concatenate(rows)

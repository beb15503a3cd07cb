"""Converts bases that are not folders of a text model: GGUF files, adapters with their base, and models that also read
images or sound. Each is converted once, to a folder in the cache."""

import json
import re
import shutil
import warnings
from collections import Counter
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from fabula.errors import FabulaError, first_line
from fabula.files import atomic_folder, cache_place, fingerprint, hash_file, hash_path, read_json
from fabula.models.check import ADAPTER, ADAPTER_WEIGHTS, MODEL_FILES, check_model_folder, weight_files
from fabula.models.load import load_model
from fabula.models.quiet import quiet
from fabula.progress import OnProgress, Progress, silent

NOT_OF_THE_MODEL = ("quantization_config", "_name_or_path", "_model_name_or_path")
"""Fields of a configuration that only say which file it was read from."""

TEXT_TENSOR = re.compile(r"(?:model\.)?(?:language_model|text_model)\.(?:model\.)?(?!lm_head)(?P<inner>.+)")
OUTPUT_TENSOR = re.compile(r"(?:.+\.)?(?P<name>lm_head\.\w+)")
"""Names of the text model's tensors in a model that also reads images: its layers and embeddings, and its output layer."""


def base_of_gguf(file: Path, on_progress: OnProgress = silent) -> Path:
    """The model folder of a GGUF file: its weights in float32, and its tokenizer.

    Raises:
        FabulaError: the file is damaged, or transformers cannot read its architecture from GGUF.
    """
    folder = cache_place("bases") / f"gguf-{hash_file(file)}"
    if not (folder / "config.json").is_file():
        on_progress(Progress("base", message=f"reading {file.name}: {_quantisation(file)}"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            # transformers draws a progress bar of its own, and nothing else turns it off.
            with atomic_folder(folder) as partial, quiet(), redirect_stderr(StringIO()):
                _write_gguf(file, partial)
        except (FabulaError, OSError):
            raise
        except Exception as error:  # transformers and gguf raise many kinds
            raise FabulaError(
                f"this GGUF file cannot be read as a base ({first_line(error)})", where=file
            ) from None
    check_model_folder(folder)
    return folder


def _quantisation(file: Path) -> str:
    """The quantisation of a GGUF file, and what it means for training."""
    from gguf import GGML_QUANT_SIZES, GGUFReader

    try:
        counts = Counter[Any]()
        for tensor in GGUFReader(file).tensors:
            counts[tensor.tensor_type] += int(tensor.n_elements)
    except Exception as error:
        raise FabulaError(f"this GGUF file is damaged ({str(error).splitlines()[0]})", where=file) from None
    kind = counts.most_common(1)[0][0]
    block, size = GGML_QUANT_SIZES[kind]
    bits = 8 * size / block
    lost = (
        ""
        if bits >= 16
        else "; the precision that quantisation lost cannot be restored, so the original is the better base"
    )
    return f"most weights in {kind.name} ({bits:.3g} bits each){lost}"


def _write_gguf(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read: Any = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32, local_files_only=True
    )
    fields = {name: value for name, value in read.config.to_dict().items() if name not in NOT_OF_THE_MODEL}
    # transformers marks the model as quantised and refuses to save it, but saves the same weights in a plain model.
    model: Any = AutoModelForCausalLM.from_config(type(read.config)(**fields), dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True).save_pretrained(
        folder
    )


def adapter_base_name(folder: Path) -> str:
    """Name or folder of the base that an adapter was trained on.

    Raises:
        FabulaError: its configuration does not name one.
    """
    config = read_json(folder / ADAPTER)
    name = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if not isinstance(name, str) or not name or Path(name).resolve() == folder.resolve():
        raise FabulaError("this adapter does not name its base", where=folder / ADAPTER)
    return name


def merge_adapter(folder: Path, base: Path, on_progress: OnProgress = silent) -> Path:
    """The model folder of a peft adapter merged with its base.

    Raises:
        FabulaError: the adapter is pickled, or it does not fit the base.
    """
    from fabula.tokens.tokenizer import TOKENIZER_FILES, load_tokenizer  # loads transformers

    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise FabulaError(
            f"this adapter has no {ADAPTER_WEIGHTS}, and pickled weights are never loaded", where=folder
        )
    from peft import PeftModel  # loads for a second

    merged = cache_place("bases") / f"adapter-{fingerprint([hash_path(folder), hash_path(base)])}"
    if not (merged / "config.json").is_file():
        on_progress(
            Progress("base", message=f"merging the adapter in {folder.name} with its base {base.name}")
        )
        model = load_model(base)
        own_tokenizer = any((folder / name).is_file() for name in TOKENIZER_FILES)
        tokenizer = load_tokenizer(folder if own_tokenizer else base)
        try:
            with quiet(), warnings.catch_warnings(action="ignore", category=FutureWarning):
                # Tokens that were added, with embeddings in the adapter's weights.
                if len(tokenizer) > model.config.vocab_size:
                    model.resize_token_embeddings(len(tokenizer))
                model = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
        except Exception as error:  # peft raises many kinds
            raise FabulaError(
                f"the adapter does not fit its base ({first_line(error)[:200]})", where=folder
            ) from None
        merged.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(merged) as partial, quiet():
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
    check_model_folder(merged)
    return merged


def has_text_part(folder: Path) -> bool:
    """Whether a folder holds a model that also reads images or sound, and whose text part is a causal language model."""
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        return False
    config = read_json(folder / "config.json")
    text = config.get("text_config") if isinstance(config, dict) else None
    if not isinstance(text, dict):
        return False
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # loads for a second

    return text.get("model_type") in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES


def take_text_part(folder: Path, on_progress: OnProgress = silent) -> Path:
    """The model folder of the text part of a model for which `has_text_part` is True.

    Raises:
        FabulaError: the weights of the text part are not found, or do not fit its configuration.
    """
    taken = cache_place("bases") / f"text-{hash_path(folder)}"
    if not (taken / "config.json").is_file():
        on_progress(
            Progress(
                "base", message=f"taking the text model out of {folder.name}, which reads more than text"
            )
        )
        taken.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(taken) as partial:
            _write_text_part(folder, partial)
    check_model_folder(taken)
    return taken


def _write_text_part(folder: Path, out: Path) -> None:
    from safetensors.torch import load_file, save_file

    whole = read_json(folder / "config.json")
    shared = {name: whole[name] for name in ("tie_word_embeddings", "dtype", "torch_dtype") if name in whole}
    (out / "config.json").write_text(json.dumps(shared | whole["text_config"], indent=2), encoding="utf-8")
    places: dict[str, str] = {}
    for file in weight_files(folder):
        named = [(text_tensor(name), tensor) for name, tensor in load_file(file).items()]
        own = {name: tensor.contiguous() for name, tensor in named if name is not None}
        if own:
            save_file(own, out / file.name, metadata={"format": "pt"})
        places |= dict.fromkeys(own, file.name)
    if len(set(places.values())) > 1:
        index = {"metadata": {}, "weight_map": places}
        (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")
    for pattern in MODEL_FILES:
        for file in [] if "safetensors" in pattern or pattern == "config.json" else folder.glob(pattern):
            shutil.copyfile(file, out / file.name)


def text_tensor(name: str) -> str | None:
    """The name that a tensor of a model which reads more than text has in the text model; None if it is of another part."""
    if output := OUTPUT_TENSOR.fullmatch(name):
        return output["name"]
    inner = TEXT_TENSOR.fullmatch(name)
    return None if inner is None else f"model.{inner['inner']}"

"""Converts bases that are not model folders: GGUF files, and adapters with their base. Each is converted once, to a
folder in the cache."""

import warnings
from collections import Counter
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from fabula.errors import FabulaError
from fabula.files import atomic_folder, cache_place, fingerprint, hash_file, hash_path, read_json
from fabula.models.check import ADAPTER, ADAPTER_WEIGHTS, check_model_folder
from fabula.models.load import load_model
from fabula.models.quiet import quiet
from fabula.progress import OnProgress, Progress, silent

NOT_OF_THE_MODEL = ("quantization_config", "_name_or_path", "_model_name_or_path")
"""Fields of a configuration that only say which file it was read from."""


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
            message = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise FabulaError(f"this GGUF file cannot be read as a base ({message})", where=file) from None
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
            message = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise FabulaError(f"the adapter does not fit its base ({message})", where=folder) from None
        merged.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(merged) as partial, quiet():
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
    check_model_folder(merged)
    return merged

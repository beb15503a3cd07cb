"""Base models: find one by name or folder, check it, load it. Weights come from safetensors only; no code of a
model's folder is ever run."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabula.errors import FabulaError
from fabula.files import read_json

TINY = "tiny"
BUNDLED_TINY = Path(__file__).parent.parent / "data" / "tiny"
"""The small base model that comes with fabula."""

ATTRIBUTION = "ATTRIBUTION.md"
"""Whose stories a model learned from; its licence, CC-BY-4.0, asks that they be named with whatever is made from it."""

SHORT_NAMES = {
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "distilgpt2": "distilbert/distilgpt2",
}

MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "story_format.json",
)
"""The files of a model, its tokenizer among them. Folders beside them hold other formats of the same weights."""

ADAPTER = "adapter_config.json"

OWN_ATTENTION = (None, "eager", "sdpa", "flex_attention")
"""Attention that comes with torch and transformers."""

DTYPES = ("F32", "BF16", "F16", "F64")

MANY_PARTS = 256
SLACK = 1_000_000
"""Layers, and numbers, that a configuration may ask for beyond what the files hold before that is looked at: neither costs
anything worth mentioning."""

PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.ckpt", "pytorch_model.pt")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and printing advice of its own while the block runs."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def locate_base(name: str | Path) -> Path:
    """The folder of a base model: "tiny", a folder, or a name on the Hugging Face hub ("gpt2" is GPT-2).

    A hub name is taken from the local cache where the hub is not reachable (or HF_HUB_OFFLINE is set).

    Raises:
        FabulaError: no such folder or repository, or offline and not in the cache.
    """
    text = str(name)
    if text == TINY:
        return BUNDLED_TINY
    path = Path(text).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise FabulaError("a base model is a folder, not a file", where=path)
    if text.startswith((".", "/", "~")) or (os.sep != "/" and os.sep in text) or text.count("/") > 1:
        raise FabulaError("no such folder", where=path)
    return _fetch(SHORT_NAMES.get(text, text), text)


def locate_model(model: str | Path) -> Path:
    """The folder of a model: itself, the `model` folder of a run, or a base model by its name (see `locate_base`).

    Raises:
        FabulaError: there is no such model.
    """
    folder = Path(model).expanduser()
    if (folder / "model" / "config.json").is_file() and not (folder / "config.json").exists():
        folder = folder / "model"
    found = folder if folder.is_dir() else locate_base(model)
    if not (found / "config.json").is_file():
        raise FabulaError("this folder is no model: it has no config.json", where=found)
    return found


def find_model(model: str | Path) -> Path:
    """`locate_model`, checked to be one that fabula can load (see `check_model_folder`)."""
    folder = locate_model(model)
    check_model_folder(folder)
    return folder


def cached_names() -> list[str]:
    """Names of the hub models in the local cache whose weights are safetensors."""
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    return sorted(
        repo.repo_id
        for repo in repos
        if repo.repo_type == "model"
        and any(
            file.file_name.endswith(".safetensors") for revision in repo.revisions for file in revision.files
        )
    )


def _fetch(repository: str, asked: str) -> Path:
    """The local snapshot of a hub repository, downloaded where needed and possible."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    works_offline = f"these work offline: {', '.join([TINY, *cached_names()])}, or a folder"
    try:
        return Path(
            snapshot_download(
                repository,
                allow_patterns=list(MODEL_FILES),
                ignore_patterns=["*/*"],
                local_files_only=constants.HF_HUB_OFFLINE,
            )
        )
    except HFValidationError:
        raise FabulaError(
            f"{asked!r} is neither a folder nor a name on the hub", hint=works_offline
        ) from None
    except GatedRepoError:
        raise FabulaError(
            f"the hub wants you to accept the terms of {repository!r} first",
            hint="do so on its page, then `hf auth login`",
        ) from None
    except RepositoryNotFoundError:
        raise FabulaError(
            f"there is no folder and no public model on the hub named {asked!r}", hint=works_offline
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError):
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        raise FabulaError(f"unknown base {asked!r}: no such folder, and {why}", hint=works_offline) from None


def check_model_folder(folder: Path) -> None:
    """Look at a model's files before any memory is taken.

    Raises:
        FabulaError: no config.json, pickled weights only, a damaged weight file, an architecture that is no causal
            language model or that needs code from the folder, or weights whose shapes do not fit config.json.
    """
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if not (folder / "config.json").is_file():
        raise FabulaError("this folder is no model: it has no config.json", where=folder)
    _check_links(folder)
    if (folder / ADAPTER).exists():
        # transformers would go after the base model that it names, wherever that is
        raise FabulaError(
            f"this folder holds an adapter ({ADAPTER})", where=folder, hint="merge it into its base model"
        )
    config = read_json(folder / "config.json")
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        remote = (
            " (it would need code from the folder, which fabula never runs)"
            if isinstance(config, dict) and "auto_map" in config
            else ""
        )
        raise FabulaError(f"unknown architecture {kind!r}{remote}", where=folder / "config.json")
    known = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    causal = {known} if isinstance(known, str) else set(known or ())
    named = config.get("architectures") or sorted(causal)
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise FabulaError("architectures is no list of names", where=folder / "config.json")
    if not causal.intersection(named) or config.get("is_encoder_decoder"):
        raise FabulaError(
            f"{', '.join(named) or kind} is not a causal language model",
            where=folder,
            hint="GPT-2, Llama, Qwen are",
        )
    if not list(folder.glob("*.safetensors")):
        pickled = [name for name in PICKLED if (folder / name).exists()]
        if pickled:
            raise FabulaError(
                f"the weights are pickled only ({pickled[0]}), and loading a pickle can run any code",
                where=folder,
                hint="convert them to safetensors",
            )
        raise FabulaError("this folder has no weights (model.safetensors)", where=folder)
    _check_fields(config, folder)
    _check_weights(folder, config)


def _check_links(folder: Path) -> None:
    """See that no file of a model is a link to somewhere else. The hub's cache links its snapshots to its blobs."""
    home = folder.resolve()
    homes = (home, home.parent.parent / "blobs") if home.parent.name == "snapshots" else (home,)
    for path in folder.iterdir():
        if path.is_symlink() and not any(path.resolve().is_relative_to(each) for each in homes):
            raise FabulaError(
                f"{path.name} is a link to a place outside the folder",
                where=folder,
                hint="copy the file there",
            )


def _fields(config: Any) -> Iterator[tuple[str, Any]]:
    """All fields of a configuration, those of its parts included."""
    if isinstance(config, dict):
        for name, value in config.items():
            yield name, value
            yield from _fields(value)


def _check_fields(config: dict[str, Any], folder: Path) -> None:
    """Refuse what would fetch code: transformers takes a name it does not know for a repository of kernels."""
    for name, value in _fields(config):
        if name.endswith("attn_implementation") and value not in OWN_ATTENTION:
            raise FabulaError(
                f"{name} = {value!r} asks for code that does not come with fabula",
                where=folder / "config.json",
            )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold the model's weights: one, or the shards that the index names."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file() or not index.is_file():
        single = folder / "model.safetensors"
        return [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
    except (KeyError, TypeError, AttributeError):
        raise FabulaError("this index of weights is damaged", where=index) from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise FabulaError(f"{name!r} lies outside the folder", where=index)
        if not (folder / name).is_file():
            raise FabulaError(f"the weight file {name} is missing", where=folder)
    return [folder / name for name in names]


def _check_weights(folder: Path, config: dict[str, Any]) -> None:
    """Compare the headers of the weight files with their sizes and with what config.json asks for."""
    import torch
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, framework="numpy") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (no mapping)
                    part = tensors.get_slice(name)
                    shapes[name], dtypes[name] = tuple(part.get_shape()), part.get_dtype()
        except (SafetensorError, OSError, ValueError) as error:
            raise FabulaError(f"this weight file is damaged ({error})", where=file) from None
    most_parts = max(MANY_PARTS, len(shapes), *(max(shape, default=0) for shape in shapes.values() if shape))
    for name, value in _fields(config):
        most = most_parts if "expert" in name else max(MANY_PARTS, len(shapes))
        if ("layer" in name or "expert" in name) and isinstance(value, int) and value > most:
            raise FabulaError(
                f"the weights do not fit config.json: {name} = {value:,}, and the files hold {len(shapes):,} tensors",
                where=folder,
            )
    try:
        from transformers import AutoConfig, AutoModelForCausalLM

        parsed = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with quiet(), torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(parsed)
            wanted = model.state_dict()
            num_buffered = sum(buffer.numel() for buffer in model.buffers())
    except Exception as error:  # whatever a strange config.json makes the library do
        message = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FabulaError(
            f"this configuration does not make a model ({message})", where=folder / "config.json"
        ) from None
    for name, tensor in wanted.items():
        # Some files leave the name of the inner model out, as GPT-2's own does.
        found = shapes.get(name) or next((s for key, s in shapes.items() if name.endswith("." + key)), None)
        if found is not None and found != tuple(tensor.shape):
            raise FabulaError(
                f"the weights do not fit config.json: {name} is {list(found)}, not {list(tensor.shape)}",
                where=folder,
            )
        if dtypes.get(name, "F32") not in DTYPES and tensor.is_floating_point():
            raise FabulaError(f"{name} is of type {dtypes[name]}, not {', '.join(DTYPES)}", where=folder)
    held = sum(math.prod(shape) for shape in shapes.values())
    asked = sum(tensor.numel() for tensor in wanted.values())
    # A matrix that is embedding and output at once is in the files only once. Missing tensors are named when loading.
    if asked > 2 * held + SLACK or num_buffered > held + 100 * SLACK:
        raise FabulaError(
            f"the weights do not fit config.json: it asks for {max(asked, num_buffered):,} numbers, the files hold"
            f" {held:,}",
            where=folder,
        )


def load_model(folder: str | Path, *, dtype: Any = None, device: Any = None) -> Any:
    """The causal language model in a folder, in eval mode.

    Args:
        folder: a folder that `find_model` or `locate_base` returned.
        dtype: of the weights in memory; torch.float32 by default, whatever the file holds.
        device: where to put it; the CPU by default.

    Raises:
        FabulaError: the folder is no model that fabula can load (see `check_model_folder`).
    """
    import torch
    from transformers import AutoModelForCausalLM

    folder = Path(folder)
    if not folder.is_dir():
        raise FabulaError("no such model folder", where=folder)
    check_model_folder(folder)
    try:
        with quiet():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype or torch.float32,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:  # the library raises many kinds, bare RuntimeErrors among them
        message = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FabulaError(f"the model cannot be loaded ({message})", where=folder) from None
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise FabulaError(
            f"the weight files lack {len(missing)} tensors, among them {missing[0]}", where=folder
        )
    if device is not None:
        model.to(device)
    return model.eval()


def context_length_of(config: Any) -> int:
    """The longest sequence, in tokens, that a model of this configuration reads at once.

    A sliding window is no limit: what its layers do not see of the text before, they have in their inputs.
    """
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        length = getattr(config, name, None)
        if isinstance(length, int) and length > 0:
            return length
    raise FabulaError(f"the configuration of this {config.model_type} model states no context length")


def fuse_activations(model: Any) -> None:
    """Compute GPT-2's GELU (with tanh) in one pass over memory instead of several. The same function, to rounding."""
    from transformers.activations import ACT2FN, NewGELUActivation

    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, ACT2FN["gelu_pytorch_tanh"])

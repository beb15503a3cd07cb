"""Checks a base model's files before memory is allocated for them. Weights load from safetensors only; code in a
model's folder is never run."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fabula.errors import FabulaError, first_line
from fabula.files import read_json
from fabula.models.quiet import quiet
from fabula.results import RUN, RunRecord

MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "story_format.json",
    "openings.json",
)
"""The files of a model and its tokenizer. Subfolders hold other formats of the same weights."""

ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

OWN_ATTENTION = (None, "eager", "sdpa", "flex_attention")
"""Attention implementations that come with torch and transformers."""

DTYPES = ("F32", "BF16", "F16", "F64")

MANY_PARTS = 256
SLACK = 1_000_000
"""How many layers, and how many numbers, a configuration may ask for beyond those in the files without a closer check:
both cost next to nothing."""

PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.ckpt", "pytorch_model.pt")

LFS_POINTER = b"version https://git-lfs."
"""How a file begins that Git LFS has not fetched."""

OTHER_LIBRARIES = {"tf_model.h5": "TensorFlow", "flax_model.msgpack": "Flax"}
"""Weights that transformers no longer reads."""


def check_model_folder(folder: Path) -> None:
    """Check a model's files before memory is allocated for them.

    Raises:
        FabulaError: there is no config.json, all weights are pickled, a weight file is damaged, the architecture is not
            a causal language model or needs code from the folder, or the shapes of the weights do not fit config.json.
    """
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if not (folder / "config.json").is_file():
        raise FabulaError(
            "this folder is not a model: it has no config.json", where=folder, hint=what_to_type(folder)
        )
    _check_links(folder)
    if (folder / ADAPTER).exists():
        # transformers would load the base model that it names, wherever that is
        raise FabulaError(
            f"this folder holds both a model and an adapter ({ADAPTER})",
            where=folder,
            hint=f"move {ADAPTER} out of it to take the model",
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
        raise FabulaError("architectures is not a list of names", where=folder / "config.json")
    if not causal.intersection(named) or config.get("is_encoder_decoder"):
        raise FabulaError(
            f"{', '.join(named) or kind} is not a causal language model",
            where=folder,
            hint="GPT-2, Llama, Qwen are",
        )
    if not list(folder.glob("*.safetensors")):
        names = [path.name for path in folder.iterdir()]
        refuse_other_weights(names, folder)
        raise FabulaError(
            "this folder has no weights (model.safetensors)", where=folder, hint=what_to_type(folder)
        )
    if isinstance(quantised := config.get("quantization_config"), dict):
        raise FabulaError(
            f"these weights are quantised ({quantised.get('quant_method')}), and such weights cannot be trained",
            where=folder,
            hint="name the model that they were made from",
        )
    _check_fields(config, folder)
    _check_weights(folder, config)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds a peft adapter and no model; some trainers put the base's config.json beside it."""
    weights = [path.name for path in folder.glob("*.safetensors")]
    return (folder / ADAPTER).is_file() and (
        weights == [ADAPTER_WEIGHTS] or not (folder / "config.json").is_file()
    )


def refuse_other_weights(names: Iterable[str], model: str | Path) -> None:
    """Say what to type for a model that has no weights in safetensors.

    Args:
        names: of its files.
        model: its folder, or its repository on the hub.

    Raises:
        FabulaError: the weights are pickled, or of a library that transformers no longer reads.
    """
    if pickled := [name for name in PICKLED if name in names]:
        raise FabulaError(
            f"all weights are pickled ({pickled[0]}), and loading a pickle can run any code",
            where=model,
            hint=safe_copy_hint(model),
        )
    for name, library in OTHER_LIBRARIES.items():
        if name in names:
            raise FabulaError(
                f"the weights are those of {library} ({name})",
                where=model,
                hint="transformers below 5 can load them and save them as safetensors",
            )


def what_to_type(folder: Path) -> str:
    """What to do about a folder without config.json."""
    if run := RunRecord.load_optional(folder / RUN):
        return f"the run in it is not finished; continue it with `{run.command}`"
    if (folder / "model_index.json").is_file():
        return "its model_index.json is that of a pipeline that makes images"
    if ggufs := sorted(folder.glob("*.gguf")):
        return f"name the GGUF file in it: {ggufs[0]}"
    checkpoints = sorted(
        (
            path
            for path in folder.glob("checkpoint-*")
            if any((path / name).is_file() for name in ("config.json", ADAPTER))
        ),
        key=lambda path: (len(path.name), path.name),
    )
    if checkpoints:
        return f"name one of its checkpoints: {checkpoints[-1]}"
    inner = [path.name for path in sorted(folder.iterdir()) if (path / "config.json").is_file()]
    if inner:
        return f"name the model inside it: {folder / inner[0]}"
    if (folder / "hparams.json").is_file() or list(folder.glob("*/hparams.json")):
        return (
            "these weights are from gpt-2-simple (TensorFlow); with transformers below 5 and tensorflow:"
            " `transformers-cli convert --model_type gpt2 --tf_checkpoint FOLDER/model-N --config FOLDER/hparams.json"
            " --pytorch_dump_output OUT` makes a model that can be saved as safetensors"
        )
    if list(folder.glob("*.pth")):
        return "weights in *.pth files are pickled and never loaded; the model's page on the hub may have safetensors"
    return "name the folder of a model or of a run; `fabula run STORIES` makes one"


def safe_copy_hint(model: str | Path) -> str:
    """What to type to make a safe copy of pickled weights."""
    load = f"from transformers import AutoModelForCausalLM as M, AutoTokenizer as T; n = {str(model)!r}"
    save = "M.from_pretrained(n).save_pretrained('safe'); T.from_pretrained(n).save_pretrained('safe')"
    return f'if you trust them: python -c "{load}; {save}", then --base safe'


def _check_links(folder: Path) -> None:
    """Check that no file of a model links out of its folder. The hub's cache may: it links its snapshots to its
    blobs."""
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
    """All fields of a configuration, including those of its parts."""
    if isinstance(config, dict):
        for name, value in config.items():
            yield name, value
            yield from _fields(value)


def _check_fields(config: dict[str, Any], folder: Path) -> None:
    """Refuse values that would fetch code: transformers takes a name that it does not know for a repository of
    kernels."""
    for name, value in _fields(config):
        if name.endswith("attn_implementation") and value not in OWN_ATTENTION:
            raise FabulaError(
                f"{name} = {value!r} asks for code that does not come with fabula",
                where=folder / "config.json",
            )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files with the model's weights: one file, or the shards that the index names."""
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


def _read_headers(folder: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """The shape and the data type of each tensor in the weight files.

    Raises:
        FabulaError: a file is damaged, or a pointer of Git LFS.
    """
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
            if file.is_file() and _begins_with(file, LFS_POINTER):
                raise FabulaError(
                    "this file is a pointer of Git LFS, not the weights",
                    where=file,
                    hint="fetch them with `git lfs pull`",
                ) from None
            raise FabulaError(f"this weight file is damaged ({error})", where=file) from None
    return shapes, dtypes


def _begins_with(file: Path, start: bytes) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(start)) == start


def _check_weights(folder: Path, config: dict[str, Any]) -> None:
    """Compare the headers of the weight files with the file sizes and with config.json."""
    import torch

    shapes, dtypes = _read_headers(folder)
    most_parts = max(MANY_PARTS, len(shapes), *(max(shape, default=0) for shape in shapes.values() if shape))
    for name, value in _fields(config):
        most = most_parts if "expert" in name else max(MANY_PARTS, len(shapes))
        counts_parts = ("layer" in name or "expert" in name) and "size" not in name
        if counts_parts and isinstance(value, int) and value > most:
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
    except Exception as error:  # an unusual config.json can make the library raise anything
        raise FabulaError(
            f"this configuration does not make a model ({first_line(error)})", where=folder / "config.json"
        ) from None
    for name, tensor in wanted.items():
        # Some files, such as GPT-2's own, leave out the name of the inner model.
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
    # A matrix that is both embedding and output is in the files only once. Missing tensors are reported when the model
    # loads.
    if asked > 2 * held + SLACK or num_buffered > held + 100 * SLACK:
        raise FabulaError(
            f"the weights do not fit config.json: it asks for {max(asked, num_buffered):,} numbers, the files hold"
            f" {held:,}",
            where=folder,
        )

"""Loads a model that `check.py` has checked."""

import inspect
from pathlib import Path
from typing import Any

from fabula.defaults import MAX_SCORING_CONTEXT
from fabula.errors import FabulaError, first_line
from fabula.install import command
from fabula.models.check import check_model_folder
from fabula.models.quiet import quiet

CAUSAL_TOLERANCE = 1e-3
"""Largest difference between logits, in units of their standard deviation, that rounding explains."""


def load_model(folder: str | Path, *, dtype: Any = None, device: Any = None) -> Any:
    """The causal language model in a folder, in eval mode.

    Args:
        folder: a folder that `find_model` or `locate_base` returned.
        dtype: of the weights in memory; torch.float32 by default, whatever the file holds.
        device: where to put it; the CPU by default.

    Raises:
        FabulaError: fabula cannot load the model in the folder (see `check_model_folder`).
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
    except Exception as error:  # the library raises many kinds, including RuntimeError
        raise FabulaError(f"the model cannot be loaded ({first_line(error)})", where=folder) from None
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise FabulaError(
            f"the weight files lack {len(missing)} tensors, among them {missing[0]}", where=folder
        )
    if device is not None:
        model.to(device)
    _check_is_causal(model.eval(), folder)
    return model


def _check_is_causal(model: Any, folder: Path) -> None:
    """Refuse a model that the library cannot run, or that sees the tokens that it should predict, as BERT does."""
    import torch

    ids_BT = torch.arange(8, device=model.device).repeat(2, 1)
    ids_BT[1, -1] = 0  # the two rows differ in their last token, which nothing before it may depend on
    try:
        with torch.no_grad(), quiet():
            before = model(input_ids=ids_BT).logits[:, :-1].float()
    except Exception as error:  # as above
        raise FabulaError(f"transformers cannot run this model ({first_line(error)})", where=folder) from None
    if (before[0] - before[1]).abs().max() > CAUSAL_TOLERANCE * before.std():
        raise FabulaError(
            f"models of the type {model.config.model_type} see the words that they should predict, so they cannot learn to write",
            where=folder,
            hint=f"`{command('bases')}` lists models that can",
        )


def context_length_of(config: Any) -> int:
    """The longest sequence, in tokens, that a model of this configuration reads at once.

    A sliding window is no limit: text before it still reaches a layer through the layers below. A configuration that states no
    length is that of an architecture without a limit (BLOOM, Mamba), for which it is `MAX_SCORING_CONTEXT`.
    """
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        length = getattr(config, name, None)
        if isinstance(length, int) and length > 0:
            return length
    return MAX_SCORING_CONTEXT


def fuse_activations(model: Any) -> None:
    """Compute GPT-2's GELU (with tanh) in one pass over memory instead of several. The function is the same, up to
    rounding."""
    from transformers.activations import ACT2FN, NewGELUActivation

    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, ACT2FN["gelu_pytorch_tanh"])


def cache_argument(model: Any) -> str:
    """The argument of `forward` that takes a cache; transformers 5.24 renamed it."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"

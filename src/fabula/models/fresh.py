"""Fresh models: GPT-2's architecture in small sizes, or any configuration, with random weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabula.errors import FabulaError, did_you_mean


@dataclass(frozen=True)
class Size:
    """A size of GPT-2: layers, width, heads, positions, and the largest vocabulary."""

    n_layer: int
    n_embd: int
    n_head: int
    n_positions: int
    vocab_size: int


SIZES = {
    "tiny": Size(n_layer=4, n_embd=192, n_head=3, n_positions=512, vocab_size=4096),
    "small": Size(n_layer=8, n_embd=512, n_head=8, n_positions=512, vocab_size=8192),
}
"""Without the vocabulary, "tiny" has 1.9 million parameters and "small" 25.5 million."""


def read_config(init: str) -> Any:
    """The transformers configuration that `init` names: "tiny", "small", or a config.json (or a folder with one).

    Raises:
        FabulaError: `init` is neither a size nor a configuration of a causal language model.
    """
    from transformers import AutoConfig, GPT2Config
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if init in SIZES:
        size = SIZES[init]
        return GPT2Config(
            n_layer=size.n_layer,
            n_embd=size.n_embd,
            n_head=size.n_head,
            n_positions=size.n_positions,
            vocab_size=size.vocab_size,
            bos_token_id=0,
            eos_token_id=0,
        )
    path = Path(init)
    if not path.exists():
        raise FabulaError(
            f"unknown size {init!r}", where="--init", hint=did_you_mean(init, [*SIZES, "a config.json"])
        )
    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # an unusual file can make the library raise anything
        raise FabulaError(
            f"this is not a model configuration ({str(error).splitlines()[0]})", where=path
        ) from None
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or config.is_encoder_decoder:
        raise FabulaError(f"{config.model_type} is not a causal language model", where=path)
    return config


def fresh_vocab_size(config: Any, num_bytes: int) -> int:
    """How many tokens a vocabulary learned from `num_bytes` of text should have: a power of two, about one token per
    100 bytes, since a rare token is hardly learned; at most the vocabulary size of `config`."""
    wanted = 1 << max(9, round(num_bytes / 100).bit_length())
    return min(wanted, config.vocab_size)


def fresh_model(config: Any, *, vocab_size: int, end_of_text: int, seed: int) -> Any:
    """A causal language model of this configuration with random weights; the same seed gives the same weights."""
    import torch
    from transformers import AutoModelForCausalLM

    config.vocab_size = vocab_size
    config.bos_token_id = config.eos_token_id = end_of_text
    config.pad_token_id = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()

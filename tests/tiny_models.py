"""Tiny models of the architectures that people use, with random weights, and tokenizers like theirs."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from conftest import TINY_STORIES
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

VOCAB_SIZE = 400
MISSING_BYTES = (0x04, 0xC4, 0xF5)
"""Bytes that the vocabulary with gaps has no tokens for: a control character's, that of "ľ" and its like, one that no text has."""

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
)


@cache
def gappy_backend(special: tuple[str, ...]) -> str:
    """A byte-level BPE without `MISSING_BYTES`, as JSON."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    symbols = bytes_to_unicode()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=list(special),
        initial_alphabet=[symbols[byte] for byte in range(256) if byte not in MISSING_BYTES],
        show_progress=False,
    )
    backend.train_from_iterator(TINY_STORIES, trainer)
    return backend.to_str()


def gappy_tokenizer() -> PreTrainedTokenizerFast:
    """Like SmolLM2's base or bloomz: some bytes have no token; `<|endoftext|>` ends a document."""
    backend = Tokenizer.from_str(gappy_backend(("<|endoftext|>",)))
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")


def chat_tokenizer() -> PreTrainedTokenizerFast:
    """Like SmolLM2-Instruct: bos and eos are chat markers, `<|endoftext|>` separated documents in pre-training, and a
    chat template wraps prompts. It has the same gaps."""
    backend = Tokenizer.from_str(gappy_backend(("<|endoftext|>", "<|im_start|>", "<|im_end|>")))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def gemma_tokenizer() -> PreTrainedTokenizerFast:
    """Like Gemma's: `<bos>` comes before every text, and `<eos>` ends it."""
    backend = Tokenizer.from_str(gappy_backend(("<pad>", "<eos>", "<bos>")))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def sentencepiece_tokenizer(*, space_before: bool) -> PreTrainedTokenizerFast:
    """Like Llama 2's (a space before every text) or Gemma's: spaces are part of the tokens, and what has no token is
    spelled in bytes. As in a vocabulary of SentencePiece, any two tokens that make up a third may merge."""
    spaces = normalizers.Replace(" ", "\u2581")
    trained = Tokenizer(models.BPE())
    trained.normalizer = spaces
    trained.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    trained.train_from_iterator(TINY_STORIES, trainers.BpeTrainer(vocab_size=VOCAB_SIZE, show_progress=False))
    special = ["<unk>", "<s>", "</s>"]
    pieces = sorted(trained.get_vocab(), key=trained.get_vocab().__getitem__)
    names = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    ids = {name: number for number, name in enumerate(names)}
    splits = [(piece[:end], piece[end:]) for piece in pieces for end in range(1, len(piece))]
    merges = [(left, right) for left, right in splits if left in ids and right in ids]
    backend = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = (
        normalizers.Sequence([normalizers.Prepend("\u2581"), spaces]) if space_before else spaces
    )
    strip = [decoders.Strip(" ", 1, 0)] if space_before else []
    backend.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
GROUPED = {**SHAPE, "num_key_value_heads": 2, "tie_word_embeddings": True}
GEMMA3 = {
    **GROUPED,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "query_pre_attn_scalar": 16,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
}

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", {"n_layer": 3, "n_embd": 32, "n_head": 2, "n_positions": 64}),
    "llama": ("llama", {**SHAPE, "tie_word_embeddings": False}),
    "llama-grouped": ("llama", GROUPED),
    "llama-chat": ("llama", GROUPED),
    "qwen3": ("qwen3", {**GROUPED, "head_dim": 16}),
    "gemma3": ("gemma3_text", GEMMA3),
    "gemma3-pieces": ("gemma3_text", GEMMA3),
    "gpt-neox": ("gpt_neox", SHAPE),
    "mistral": ("mistral", {**GROUPED, "sliding_window": None}),
    "llama-2": ("llama", GROUPED),
}
"""By name: the architecture and its configuration. All have 3 layers and 64 positions. "llama" has an output matrix of
its own; "llama-grouped" shares it with the embeddings, and two queries share a key; "llama-chat" has a chat's tokens;
two of three layers of "gemma3" see 16 positions. "llama-2" and "gemma3-pieces" have vocabularies in SentencePiece's manner."""

TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "llama-chat": chat_tokenizer,
    "gemma3": gemma_tokenizer,
    "mistral": gemma_tokenizer,
    "llama-2": lambda: sentencepiece_tokenizer(space_before=True),
    "gemma3-pieces": lambda: sentencepiece_tokenizer(space_before=False),
}
"""The tokenizer of a model that has another one than `gappy_tokenizer`."""


def make_model(name: str, folder: Path, *, seed: int = 0) -> Path:
    """Write the model of this name in `SHAPES` to `folder`, with its tokenizer. The weights are random, and so large
    that everything that a position attends to changes its prediction."""
    from transformers import AutoConfig

    architecture, shape = SHAPES[name]
    tokenizer = TOKENIZERS.get(name, gappy_tokenizer)()
    config = AutoConfig.for_model(
        architecture,
        **shape,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    save_random(config, tokenizer, folder, seed)
    return folder


def save_random(config: Any, tokenizer: Any, folder: Path, seed: int = 0) -> None:
    """Write a model of this configuration with random weights, and its tokenizer, to `folder`."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

"""GGUF, the format of llama.cpp, Ollama and LM Studio, written with the `gguf` package."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from fabula.errors import FabulaError
from fabula.files import read_json
from fabula.models.load import load_model
from fabula.tokens.tokenizer import end_of_text_id, load_tokenizer, start_id

QUANTIZATIONS = {
    "f32": gguf.GGMLQuantizationType.F32,
    "f16": gguf.GGMLQuantizationType.F16,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
    "q5_1": gguf.GGMLQuantizationType.Q5_1,
    "q4_1": gguf.GGMLQuantizationType.Q4_1,
}

TENSORS = {
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "lm_head": "output",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
"""Names of GPT-2's tensors in transformers and in llama.cpp."""


def write(folder: Path, out: Path, quantize: str) -> None:
    """Write `model.gguf` and the `Modelfile` that Ollama reads.

    Matrices are quantised as asked, but for the positions; what is left, norms and biases, stays in full precision.
    """
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    config = model.config
    if config.model_type != "gpt2" or config.activation_function not in ("gelu_new", "gelu_pytorch_tanh"):
        raise FabulaError("only GPT-2 models can be exported to GGUF", where=folder)
    backend = json.loads(tokenizer.backend_tokenizer.to_str())  # pyright: ignore
    if backend["model"]["type"] != "BPE" or "ByteLevel" not in json.dumps(backend["pre_tokenizer"]):
        raise FabulaError("only byte-level BPE tokenizers can be exported to GGUF", where=folder)
    writer = gguf.GGUFWriter(out / "model.gguf", "gpt2")
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
    writer.add_block_count(config.n_layer)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    _add_tokenizer(writer, tokenizer, backend, config.vocab_size)
    wanted = QUANTIZATIONS[quantize]
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        stem, _, kind = name.rpartition(".")
        place = ""
        if stem.startswith("transformer.h."):
            _, _, layer, stem = stem.split(".", maxsplit=3)
            place = f"blk.{layer}."
        array = tensor.numpy()
        if array.ndim == 2 and place:
            array = np.ascontiguousarray(array.T)  # GPT-2's layers hold (in, out)
        chosen = gguf.GGMLQuantizationType.F32
        if array.ndim == 2 and stem != "transformer.wpe":
            fits = array.shape[1] % gguf.GGML_QUANT_SIZES[wanted][0] == 0
            chosen = wanted if fits else gguf.GGMLQuantizationType.F16
        data = gguf.quants.quantize(array, chosen)
        writer.add_tensor(f"{place}{TENSORS[stem]}.{kind}", data, raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (out / "Modelfile").write_text(_modelfile(folder, config.n_positions), encoding="utf-8")


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, backend: dict[str, Any], vocab_size: int) -> None:
    ids = backend["model"]["vocab"]
    added = {token["id"]: token for token in backend["added_tokens"]}
    tokens = {number: name for name, number in ids.items()} | {
        number: token["content"] for number, token in added.items()
    }
    kinds = []
    for number in range(vocab_size):
        if number in added:
            kinds.append(gguf.TokenType.CONTROL if added[number]["special"] else gguf.TokenType.USER_DEFINED)
        else:
            kinds.append(gguf.TokenType.NORMAL if number in tokens else gguf.TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([tokens.get(number, f"[PAD{number}]") for number in range(vocab_size)])
    writer.add_token_types(kinds)
    writer.add_token_merges(
        [pair if isinstance(pair, str) else " ".join(pair) for pair in backend["model"]["merges"]]
    )
    writer.add_bos_token_id(start_id(tokenizer))
    writer.add_eos_token_id(end_of_text_id(tokenizer))
    writer.add_add_bos_token(True)


def predict(out: Path, contexts: Sequence[Sequence[int]], vocab_size: int) -> NDArray[np.float32]:
    """Logits (N, V), up to a constant, of the token after each of N contexts, as llama.cpp gives them.

    Its server hands each distribution out as text, which is slow.
    """
    from xllamacpp.xllamacpp import CommonParams, Server  # pyright: ignore[reportMissingImports]

    parameters = CommonParams()
    parameters.model.path = str(out / "model.gguf")
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity, parameters.warmup = 0, 1, -1, False
    server = Server(parameters)
    logits_NV = np.full((len(contexts), vocab_size), -100, dtype=np.float32)
    for row, context in enumerate(contexts):
        request = {
            "prompt": [int(token) for token in context],
            "n_predict": 1,
            "n_probs": vocab_size,
            # The server keeps an answer back that ends within a character. This changes what is drawn, and not the
            # distributions, which are taken before.
            "logit_bias": [["a", 1000]],
        }
        answer = server.handle_completions(request)
        for each in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
            logits_NV[row, each["id"]] = each["logprob"]
    return logits_NV


def _modelfile(folder: Path, context_length: int) -> str:
    stated = (
        read_json(folder / "generation_config.json") if (folder / "generation_config.json").is_file() else {}
    )
    names = {"temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p",
             "repetition_penalty": "repeat_penalty", "max_new_tokens": "num_predict"}  # fmt: skip
    lines = ["FROM ./model.gguf", 'TEMPLATE """{{ .Prompt }}"""', f"PARAMETER num_ctx {context_length}"]
    lines += [
        f"PARAMETER {theirs} {stated[ours]}" for ours, theirs in names.items() if stated.get(ours) is not None
    ]
    return "\n".join(lines) + "\n"

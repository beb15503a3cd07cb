"""GGUF, the format of llama.cpp, Ollama and LM Studio, written with the `gguf` package."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray

from fabula.errors import FabulaError
from fabula.exporting import k_quants
from fabula.files import read_json
from fabula.generation.settings import SamplingSettings
from fabula.models.decoder import Array, Decoder, Layer, Linear, Norm, decoder_of, unsupported
from fabula.models.load import context_length_of, load_model
from fabula.models.story_format import find_story_format
from fabula.tokens.tokenizer import load_tokenizer

FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "q5_1": gguf.LlamaFileType.MOSTLY_Q5_1,
    "q4_1": gguf.LlamaFileType.MOSTLY_Q4_1,
    "q4_k_m": gguf.LlamaFileType.MOSTLY_Q4_K_M,
}
QUANTIZATIONS = tuple(FILE_TYPES)

NARROWER = {Kind.Q4_K: Kind.Q5_0, Kind.Q6_K: Kind.Q8_0}
"""The type that llama.cpp uses for a matrix whose row length is not a multiple of 256."""

ARCHITECTURES = {
    "gpt2": "gpt2",
    "gpt_neox": "gptneox",
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma3_text": "gemma3",
}
"""By transformers' `model_type`."""

GEMMA_PATTERN = 6
"""In Gemma 3, the last of every this many layers attends to the whole context; llama.cpp supports no other order."""

BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""A token of a SentencePiece vocabulary that represents a byte."""

LLAMA_3_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_WORDS = LLAMA_3_WORDS.replace("{1,3}", "")


def write(folder: Path, out: Path, quantize: str) -> None:
    """Write `model.gguf` and the `Modelfile` that Ollama reads.

    Matrices are quantised as asked; norms, biases and learned positions stay in full precision.

    Raises:
        FabulaError: llama.cpp does not support the architecture or the tokenizer.
    """
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    config = model.config
    if config.model_type not in ARCHITECTURES:
        names = ", ".join(ARCHITECTURES)
        raise FabulaError(f"{config.model_type} cannot be exported to GGUF; {names} can", where=folder)
    if reason := unsupported(read_json(folder / "config.json")) or _not_in_llama_cpp(config):
        raise FabulaError(f"this model cannot be exported to GGUF: {reason}", where=folder)
    writer = gguf.GGUFWriter(out / "model.gguf", ARCHITECTURES[config.model_type])
    decoder = decoder_of(model)
    context_length = _add_shape(writer, decoder, config)
    story_format = find_story_format(folder, tokenizer, model)
    _add_tokenizer(writer, tokenizer, config.vocab_size, folder)
    writer.add_bos_token_id(story_format.start_id)
    writer.add_eos_token_id(story_format.end_id)
    writer.add_file_type(FILE_TYPES[quantize])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name, array in _tensors(decoder, config):
        kind = _kind_of(name, array, quantize, decoder)
        data = k_quants.quantize(array, kind) if kind in NARROWER else gguf.quants.quantize(array, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    end = str(tokenizer.convert_ids_to_tokens(story_format.end_id))
    (out / "Modelfile").write_text(_modelfile(folder, context_length, end), encoding="utf-8")


def _not_in_llama_cpp(config: Any) -> str | None:
    """Why llama.cpp would compute something other than transformers, or None."""
    activation = getattr(config, "activation_function", None) or getattr(config, "hidden_act", None)
    if config.model_type == "gpt2" and activation not in ("gelu_new", "gelu_pytorch_tanh"):
        return f"its activation is {activation}"
    if config.model_type == "gemma3_text":
        types = ["sliding_attention"] * (GEMMA_PATTERN - 1) + ["full_attention"]
        if any(kind != types[number % GEMMA_PATTERN] for number, kind in enumerate(config.layer_types)):
            return f"the layers with full attention are not every {GEMMA_PATTERN}th"
    elif "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        return "some of its layers attend to a sliding window"
    return None


def _add_shape(writer: gguf.GGUFWriter, decoder: Decoder, config: Any) -> int:
    """Write what llama.cpp needs to compute the model. Returns the context length that is written."""
    context_length = context_length_of(config)
    if config.model_type == "mistral" and config.sliding_window:
        # llama.cpp supports no window for this architecture
        context_length = min(context_length, config.sliding_window)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(context_length)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(decoder.num_layers)
    writer.add_head_count(decoder.num_heads)
    writer.add_head_count_kv(decoder.num_key_value_heads)
    writer.add_key_length(decoder.head_dim)
    writer.add_value_length(decoder.head_dim)
    inner = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None)
    writer.add_feed_forward_length(inner or 4 * config.hidden_size)
    if decoder.final_norm.subtracts_mean:
        writer.add_layer_norm_eps(decoder.final_norm.epsilon)
    else:
        writer.add_layer_norm_rms_eps(decoder.final_norm.epsilon)
    if config.model_type == "gpt_neox":
        writer.add_parallel_residual(decoder.is_parallel)
    rope = getattr(config, "rope_parameters", None)
    if config.model_type == "gemma3_text":
        assert rope is not None
        writer.add_sliding_window(config.sliding_window)
        writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
        rope = rope["full_attention"]
    if rope:
        share = rope.get("partial_rotary_factor", 1.0)
        writer.add_rope_dimension_count(int(decoder.head_dim * share))
        writer.add_rope_freq_base(rope["rope_theta"])
        if rope["rope_type"] in ("linear", "yarn"):
            writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
            writer.add_rope_scaling_factor(rope["factor"])
        if rope["rope_type"] == "yarn":
            writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    return context_length


def _tensors(decoder: Decoder, config: Any) -> Iterator[tuple[str, Array]]:
    """Names and values of the tensors as llama.cpp expects them."""
    yield "token_embd.weight", decoder.embedding_VE
    if decoder.positions_PE is not None:
        yield "position_embd.weight", decoder.positions_PE
    for number, layer in enumerate(decoder.layers):
        if number == 0 and (factors := _rope_factors(layer, config)) is not None:
            yield "rope_freqs.weight", factors
        for name, part in _parts(layer, decoder, config):
            yield from _named(f"blk.{number}.{name}", part)
    yield from _named("output_norm", decoder.final_norm)
    if decoder.head is not None:
        yield from _named("output", decoder.head)


def _named(name: str, part: Linear | Norm) -> Iterator[tuple[str, Array]]:
    weight, bias = (part.weight_OI, part.bias_O) if isinstance(part, Linear) else (part.weight, part.bias)
    yield f"{name}.weight", weight
    if bias is not None:
        yield f"{name}.bias", bias


def _parts(layer: Layer, decoder: Decoder, config: Any) -> Iterator[tuple[str, Linear | Norm]]:
    architecture = ARCHITECTURES[config.model_type]
    yield "attn_norm", layer.attention_norm
    if architecture in ("gpt2", "gptneox"):
        yield "attn_qkv", layer.query_key_value
    else:
        D = decoder.head_dim
        sizes = [decoder.num_heads * D, decoder.num_key_value_heads * D, decoder.num_key_value_heads * D]
        for name, rows in zip(
            ("attn_q", "attn_k", "attn_v"), _split(layer.query_key_value, sizes), strict=True
        ):
            is_turned = architecture == "llama" and name != "attn_v"
            yield name, _interleaved(rows, D) if is_turned else rows
    yield "attn_output", layer.attention_out
    if layer.query_norm and layer.key_norm:
        # llama.cpp divides by the square root of D; any other factor of the model is multiplied into the queries.
        factor = np.float32(decoder.attention_scale * decoder.head_dim**0.5)
        norm = layer.query_norm
        yield "attn_q_norm", Norm(norm.weight * factor, norm.bias, norm.epsilon, norm.subtracts_mean)
        yield "attn_k_norm", layer.key_norm
    if layer.attention_post_norm and layer.mlp_post_norm:
        yield "post_attention_norm", layer.attention_post_norm
        yield "post_ffw_norm", layer.mlp_post_norm
    yield "ffn_norm", layer.mlp_norm
    if decoder.is_gated:
        half = len(layer.mlp_in.weight_OI) // 2
        yield from zip(("ffn_gate", "ffn_up"), _split(layer.mlp_in, [half, half]), strict=True)
    else:
        yield "ffn_up", layer.mlp_in
    yield "ffn_down", layer.mlp_out


def _split(linear: Linear, sizes: Sequence[int]) -> list[Linear]:
    """The rows of a matrix as several matrices."""
    ends = np.cumsum(sizes)[:-1]
    biases = [None] * len(sizes) if linear.bias_O is None else np.split(linear.bias_O, ends)
    return [Linear(*each) for each in zip(np.split(linear.weight_OI, ends), biases, strict=True)]


def _interleaved(linear: Linear, head_dim: int) -> Linear:
    """llama.cpp rotates dimensions 2i and 2i + 1 of a Llama's head together; transformers rotates i and i + D/2."""

    def reordered(rows: Array) -> Array:
        by_half = rows.reshape(-1, 2, head_dim // 2, *rows.shape[1:])
        return np.ascontiguousarray(by_half.swapaxes(1, 2)).reshape(rows.shape)

    bias = None if linear.bias_O is None else reordered(linear.bias_O)
    return Linear(reordered(linear.weight_OI), bias)


def _rope_factors(layer: Layer, config: Any) -> Array | None:
    """The factors by which llama.cpp divides the frequencies of Llama 3."""
    rope = getattr(config, "rope_parameters", None) or {}
    if layer.rotary is None or rope.get("rope_type") != "llama3":
        return None
    num = len(layer.rotary.frequencies)
    plain = rope["rope_theta"] ** (-np.arange(num, dtype=np.float64) / num)
    return (plain / layer.rotary.frequencies).astype(np.float32)


def _kind_of(name: str, array: Array, quantize: str, decoder: Decoder) -> Kind:
    if array.ndim == 1 or name == "position_embd.weight" or quantize == "f32":
        return Kind.F32
    if quantize != "q4_k_m":
        kind = Kind[quantize.upper()]
        fits = array.shape[1] % gguf.GGML_QUANT_SIZES[kind][0] == 0
        return kind if fits else Kind.F16
    is_output = name == ("token_embd.weight" if decoder.head is None else "output.weight")
    kind = Kind.Q4_K
    if is_output or "attn_qkv" in name:
        kind = Kind.Q6_K
    elif "attn_v." in name or "ffn_down." in name:
        number, num = int(name.split(".")[1]), decoder.num_layers
        takes_more = number < num // 8 or number >= 7 * num // 8 or (number - num // 8) % 3 == 2
        kind = Kind.Q6_K if takes_more else Kind.Q4_K
    for fallback in (kind, NARROWER[kind], Kind.F16):
        if fallback == Kind.F16 or array.shape[1] % gguf.GGML_QUANT_SIZES[fallback][0] == 0:
            return fallback
    raise AssertionError(name)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, vocab_size: int, folder: Path) -> None:
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    ids = backend["model"].get("vocab", {})
    added = {token["id"]: token for token in backend["added_tokens"]}
    tokens = {number: name for name, number in ids.items()} | {
        number: token["content"] for number, token in added.items()
    }
    is_sentencepiece = backend["model"].get("byte_fallback", False)
    kinds = []
    for number in range(vocab_size):
        if number in added:
            kinds.append(gguf.TokenType.CONTROL if added[number]["special"] else gguf.TokenType.USER_DEFINED)
        elif is_sentencepiece and BYTE.fullmatch(tokens.get(number, "")):
            kinds.append(gguf.TokenType.BYTE)
        else:
            kinds.append(gguf.TokenType.NORMAL if number in tokens else gguf.TokenType.UNUSED)
    writer.add_token_list([tokens.get(number, f"[PAD{number}]") for number in range(vocab_size)])
    writer.add_token_types(kinds)
    merges = [each.split(" ") if isinstance(each, str) else each for each in backend["model"]["merges"]]
    if is_sentencepiece:
        writer.add_tokenizer_model("llama")
        writer.add_token_scores(_scores(merges, ids, vocab_size))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_words_of(backend, folder))
        writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(is_sentencepiece and _begins_with_space(tokenizer))


def _scores(merges: Sequence[Sequence[str]], ids: Mapping[str, int], vocab_size: int) -> list[float]:
    """The score of each token, which gives llama.cpp the order of merges: the earlier a merge, the higher its score."""
    scores = [0.0] * vocab_size
    for rank, (left, right) in reversed(list(enumerate(merges))):
        scores[ids[left + right]] = float(-1 - rank)
    return scores


def _begins_with_space(tokenizer: Any) -> bool:
    """Whether the tokenizer puts a space before a text (Llama 2 does, Gemma does not)."""
    [first, *_] = tokenizer.tokenize("a")
    return first.startswith("\u2581")


def _words_of(backend: Mapping[str, Any], folder: Path) -> str:
    """llama.cpp's name for the way a text is cut into words before it is cut into tokens.

    Raises:
        FabulaError: it has none.
    """
    rule = backend["pre_tokenizer"] or {}
    steps = rule["pretokenizers"] if rule.get("type") == "Sequence" else [rule]
    match [{name: value for name, value in step.items() if name != "trim_offsets"} for step in steps]:
        case [{"type": "ByteLevel", "use_regex": True, "add_prefix_space": False}]:
            return "gpt-2"
        case [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "use_regex": True, "add_prefix_space": False},
        ]:
            return "smollm"
        case [{"type": "Split", "pattern": {"Regex": words}}, {"type": "ByteLevel", "use_regex": False}]:
            if words == QWEN_WORDS:
                return "qwen2"
            if words == LLAMA_3_WORDS:
                return "llama-bpe"
    raise FabulaError("llama.cpp has no name for the way that this tokenizer cuts words", where=folder)


def tokenize(out: Path, texts: Sequence[str]) -> list[list[int]]:
    """The ids of texts as llama.cpp cuts them, from its server on this machine."""
    server = _server(out, 64)
    ids = []
    for text in texts:
        asked = Request(
            f"{server.listening_address}/tokenize",
            json.dumps({"content": text, "add_special": False, "parse_special": False}).encode(),
            {"Content-Type": "application/json"},
        )
        with urlopen(asked) as answer:
            ids.append(json.load(answer)["tokens"])
    return ids


def _server(out: Path, num_tokens: int) -> Any:
    """A llama.cpp server with the model, for texts of up to this many tokens."""
    from xllamacpp.xllamacpp import CommonParams, Server  # pyright: ignore[reportMissingImports]

    parameters = CommonParams()
    parameters.model.path = str(out / "model.gguf")
    parameters.n_ctx, parameters.n_parallel = num_tokens, 1
    parameters.verbosity, parameters.warmup = -1, False
    # Its threads wait for each other in a busy loop; by default it starts one for each core, whatever else runs.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = torch.get_num_threads()
    return Server(parameters)


def predict(out: Path, contexts: Sequence[Sequence[int]], vocab_size: int) -> NDArray[np.float32]:
    """Logits (N, V), up to a constant, of the token after each of N contexts, as llama.cpp gives them.

    Its server sends each distribution as text, which is slow.
    """
    server = _server(out, max(len(context) for context in contexts) + 8)
    logits_NV = np.full((len(contexts), vocab_size), -100, dtype=np.float32)
    for row, context in enumerate(contexts):
        request = {
            "prompt": [int(token) for token in context],
            "n_predict": 1,
            "n_probs": vocab_size,
            # The server holds back an answer that ends within a character. This setting affects the drawn token, not
            # the distributions, which are computed before.
            "logit_bias": [["a", 1000]],
        }
        answer = server.handle_completions(request)
        for each in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
            logits_NV[row, each["id"]] = each["logprob"]
    return logits_NV


def _modelfile(folder: Path, context_length: int, end: str) -> str:
    """The Modelfile: the prompt without chat markers, all settings that fabula writes with, since Ollama has defaults of its
    own, and a stop at the token that ends a story."""
    settings = SamplingSettings.of_model(folder)
    parameters = {
        "num_ctx": context_length,
        "stop": json.dumps(end, ensure_ascii=False),
        "temperature": settings.temperature,
        "top_k": settings.top_k,
        "top_p": settings.top_p,
        "min_p": settings.min_p,
        "repeat_penalty": settings.repetition_penalty,
        "num_predict": settings.max_new_tokens,
    }
    lines = [f"PARAMETER {name} {value}" for name, value in parameters.items()]
    return "\n".join(["FROM ./model.gguf", 'TEMPLATE """{{ .Prompt }}"""', *lines]) + "\n"

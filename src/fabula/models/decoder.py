"""One form for the decoders that the fast engine supports: it holds the weights of every architecture in the same
layout.

The differences between architectures are here, in a table of names and a few lines for each peculiarity; the graph
(`openvino_graph.py`) does not depend on the architecture.

Shapes: E width, H query heads, G heads of keys and values (G divides H), D head width, F width of the inner layer of the
MLP, R dimensions of a head that are rotated, V vocabulary, P positions; O and I, rows and columns of a matrix that maps I
numbers to O.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Linear:
    weight_OI: Array
    bias_O: Array | None = None


@dataclass(frozen=True, slots=True)
class Norm:
    """LayerNorm (Ba et al. 2016, arXiv:1607.06450), or RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467), which
    subtracts no mean and has no bias."""

    weight: Array
    bias: Array | None
    epsilon: float
    subtracts_mean: bool


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary position embeddings (Su et al. 2021, arXiv:2104.09864) of the first R dimensions of each head: dimensions i
    and i + R/2 are turned by position times `frequencies[i]`, in radians, and multiplied by `scale`."""

    frequencies: Array  # (R / 2,)
    scale: float


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer block.

    Attributes:
        query_key_value: rows of all query heads, then those of the keys, then those of the values: (H + 2 G) D in all.
        query_norm, key_norm: norms of each head (D,), before rotation.
        attention_post_norm, mlp_post_norm: norms of the part's output, before it is added.
        mlp_in: F rows, or 2 F with a gate: the gate's rows, then those that it multiplies.
        rotary: None if positions are embedded or not used at all.
        window: how many tokens a token attends to, including itself; None for all.
    """

    attention_norm: Norm
    query_key_value: Linear
    query_norm: Norm | None
    key_norm: Norm | None
    attention_out: Linear
    attention_post_norm: Norm | None
    mlp_norm: Norm
    mlp_in: Linear
    mlp_out: Linear
    mlp_post_norm: Norm | None
    rotary: Rotary | None
    window: int | None


@dataclass(frozen=True, slots=True)
class Decoder:
    """A causal language model.

    Attributes:
        layers: made one by one, so that there is never a second copy of all weights in memory.
        attention_scale: factor of the products of queries and keys.
        activation: its name in transformers.
        is_parallel: attention and MLP read the same input, and both are added to it (GPT-NeoX).
        embedding_scale: factor of the input embeddings.
        positions_PE: the learned position embeddings.
        head: None if the embeddings are also the output matrix.
    """

    num_layers: int
    layers: Iterator[Layer]
    num_heads: int
    num_key_value_heads: int
    head_dim: int
    attention_scale: float
    activation: str
    is_gated: bool
    is_parallel: bool
    embedding_VE: Array
    embedding_scale: float
    positions_PE: Array | None
    final_norm: Norm
    head: Linear | None


@dataclass(frozen=True, slots=True)
class Names:
    """Names of an architecture's tensors in transformers. `layer` is the prefix of all names after it."""

    embedding: str
    layer: str
    attention_norm: str
    query_key_value: tuple[str, ...]
    attention_out: str
    mlp_norm: str
    mlp_in: tuple[str, ...]
    mlp_out: str
    final_norm: str
    positions: str | None = None
    query_norm: str | None = None
    key_norm: str | None = None
    attention_post_norm: str | None = None
    mlp_post_norm: str | None = None


_GPT2 = Names(
    embedding="transformer.wte",
    positions="transformer.wpe",
    layer="transformer.h.",
    attention_norm="ln_1",
    query_key_value=("attn.c_attn",),
    attention_out="attn.c_proj",
    mlp_norm="ln_2",
    mlp_in=("mlp.c_fc",),
    mlp_out="mlp.c_proj",
    final_norm="transformer.ln_f",
)
_LLAMA = Names(
    embedding="model.embed_tokens",
    layer="model.layers.",
    attention_norm="input_layernorm",
    query_key_value=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    attention_out="self_attn.o_proj",
    mlp_norm="post_attention_layernorm",
    mlp_in=("mlp.gate_proj", "mlp.up_proj"),
    mlp_out="mlp.down_proj",
    final_norm="model.norm",
)
_QWEN3 = replace(_LLAMA, query_norm="self_attn.q_norm", key_norm="self_attn.k_norm")

ARCHITECTURES = {
    "gpt2": _GPT2,
    "gpt_neo": replace(
        _GPT2,
        query_key_value=("attn.attention.q_proj", "attn.attention.k_proj", "attn.attention.v_proj"),
        attention_out="attn.attention.out_proj",
    ),
    "gpt_neox": Names(
        embedding="gpt_neox.embed_in",
        layer="gpt_neox.layers.",
        attention_norm="input_layernorm",
        query_key_value=("attention.query_key_value",),
        attention_out="attention.dense",
        mlp_norm="post_attention_layernorm",
        mlp_in=("mlp.dense_h_to_4h",),
        mlp_out="mlp.dense_4h_to_h",
        final_norm="gpt_neox.final_layer_norm",
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _QWEN3,
    "gemma3_text": replace(
        _QWEN3,
        attention_post_norm="post_attention_layernorm",
        mlp_norm="pre_feedforward_layernorm",
        mlp_post_norm="post_feedforward_layernorm",
    ),
}
"""By `model_type`."""

ACTIVATIONS = ("gelu", "gelu_fast", "gelu_new", "gelu_pytorch_tanh", "relu", "silu")

FIXED_ROTARIES = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary embeddings whose frequencies do not change with the length of the text."""

NOT_COVERED = {
    "scale_attn_by_inverse_layer_idx": "it scales attention in its own way",
    "attn_logit_softcapping": "it caps the logits of attention",
    "final_logit_softcapping": "it caps its logits",
    "use_bidirectional_attention": "its tokens attend to those after them",
}
"""Fields of `config.json` that change what a model computes, when they are set."""


def unsupported(config: Mapping[str, Any]) -> str | None:
    """Why a model with this `config.json` cannot be converted to a `Decoder`, or None."""
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        return f"its architecture is {kind}, not one of {', '.join(ARCHITECTURES)}"
    for name in ("activation_function", "hidden_activation", "hidden_act"):
        if config.get(name) is not None and config[name] not in ACTIVATIONS:
            return f"its activation is {config[name]}"
    for name, reason in NOT_COVERED.items():
        if config.get(name):
            return reason
    if not config.get("scale_attn_weights", True):
        return NOT_COVERED["scale_attn_by_inverse_layer_idx"]
    for kind in _rotary_kinds(config.get("rope_parameters") or config.get("rope_scaling")):
        if kind not in FIXED_ROTARIES:
            return f"its rotary embeddings are of the kind {kind}"
    return None


def _rotary_kinds(parameters: Any) -> Iterator[Any]:
    """The kinds that `rope_parameters` names: one, or one for each type of layer."""
    if isinstance(parameters, Mapping):
        if kind := parameters.get("rope_type", parameters.get("type")):
            yield kind
        for each in parameters.values():
            yield from _rotary_kinds(each)


def decoder_of(model: Any) -> Decoder:
    """Convert a model that transformers loaded to a `Decoder`.

    Args:
        model: its architecture must be one for which `unsupported` returns None.
    """
    config = model.config
    names = ARCHITECTURES[config.model_type]
    weights = {name: tensor.float().numpy() for name, tensor in model.state_dict().items()}
    num_heads = config.num_attention_heads
    embedding_VE = weights[f"{names.embedding}.weight"]
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // num_heads
    attention_scale = head_dim**-0.5
    if config.model_type == "gpt_neo":
        attention_scale = 1.0
    elif config.model_type == "gemma3_text":
        attention_scale = config.query_pre_attn_scalar**-0.5
    reader = _Reader(weights, config, names, model)
    return Decoder(
        num_layers=config.num_hidden_layers,
        layers=map(reader.layer, range(config.num_hidden_layers)),
        num_heads=num_heads,
        num_key_value_heads=getattr(config, "num_key_value_heads", None) or num_heads,
        head_dim=head_dim,
        attention_scale=attention_scale,
        activation=_first_field(config, "activation_function", "hidden_activation", "hidden_act"),
        is_gated=len(names.mlp_in) == 2,
        is_parallel=getattr(config, "use_parallel_residual", False),
        embedding_VE=embedding_VE,
        embedding_scale=config.hidden_size**0.5 if config.model_type == "gemma3_text" else 1.0,
        positions_PE=weights[f"{names.positions}.weight"] if names.positions else None,
        final_norm=reader.norm(names.final_norm),
        head=None if config.tie_word_embeddings else _head(model),
    )


def _head(model: Any) -> Linear:
    head = model.get_output_embeddings()
    return Linear(
        head.weight.detach().float().numpy(),
        None if head.bias is None else head.bias.detach().float().numpy(),
    )


def _first_field(config: Any, *fields: str) -> Any:
    return next(value for field in fields if (value := getattr(config, field, None)) is not None)


class _Reader:
    """Takes a model's tensors by their names."""

    def __init__(self, weights: Mapping[str, Array], config: Any, names: Names, model: Any) -> None:
        self._weights, self._config, self._names = weights, config, names
        self._rotary_module = getattr(model.base_model, "rotary_emb", None)

    def layer(self, number: int) -> Layer:
        names, place = self._names, f"{self._names.layer}{number}."

        def optional_norm(name: str | None) -> Norm | None:
            return self.norm(place + name) if name else None

        return Layer(
            attention_norm=self.norm(place + names.attention_norm),
            query_key_value=self._query_key_value([place + name for name in names.query_key_value]),
            query_norm=optional_norm(names.query_norm),
            key_norm=optional_norm(names.key_norm),
            attention_out=self.linear(place + names.attention_out),
            attention_post_norm=optional_norm(names.attention_post_norm),
            mlp_norm=self.norm(place + names.mlp_norm),
            mlp_in=self.linear(*(place + name for name in names.mlp_in)),
            mlp_out=self.linear(place + names.mlp_out),
            mlp_post_norm=optional_norm(names.mlp_post_norm),
            rotary=self._rotary(number),
            window=self._window(number),
        )

    def norm(self, name: str) -> Norm:
        weight, bias = self._weights[f"{name}.weight"], self._weights.get(f"{name}.bias")
        if self._config.model_type == "gemma3_text":
            weight = weight + np.float32(1)
        subtracts_mean = bias is not None
        epsilon = _first_field(self._config, "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon")
        return Norm(weight, bias, epsilon, subtracts_mean)

    def linear(self, *names: str) -> Linear:
        """One matrix, or several that read the same input, stacked."""
        matrices = [self._weights[f"{name}.weight"] for name in names]
        if self._config.model_type == "gpt2":
            matrices = [matrix.T for matrix in matrices]  # GPT-2 stores its matrices as (in, out)
        biases = [self._weights[name] for each in names if (name := f"{each}.bias") in self._weights]
        weight_OI = np.ascontiguousarray(matrices[0] if len(matrices) == 1 else np.concatenate(matrices))
        return Linear(weight_OI, np.concatenate(biases) if biases else None)

    def _query_key_value(self, names: Sequence[str]) -> Linear:
        linear = self.linear(*names)
        if self._config.model_type != "gpt_neox":
            return linear
        H = self._config.num_attention_heads

        def sorted_by_kind(rows: Array) -> Array:
            """GPT-NeoX keeps query, key and value of each head together."""
            by_head = rows.reshape(H, 3, -1, *rows.shape[1:])
            return np.ascontiguousarray(by_head.swapaxes(0, 1)).reshape(rows.shape)

        bias = None if linear.bias_O is None else sorted_by_kind(linear.bias_O)
        return Linear(sorted_by_kind(linear.weight_OI), bias)

    def _layer_type(self, number: int) -> str | None:
        types = getattr(self._config, "layer_types", None)
        return types[number] if types else None

    def _rotary(self, number: int) -> Rotary | None:
        module = self._rotary_module
        if module is None:
            return None
        kind = f"{self._layer_type(number)}_" if self._config.model_type == "gemma3_text" else ""
        frequencies = getattr(module, f"{kind}inv_freq").float().numpy()
        return Rotary(frequencies, float(getattr(module, f"{kind}attention_scaling")))

    def _window(self, number: int) -> int | None:
        config = self._config
        if config.model_type == "gpt_neo":
            return config.window_size if config.attention_layers[number] == "local" else None
        kind = self._layer_type(number)
        return None if kind == "full_attention" else getattr(config, "sliding_window", None)

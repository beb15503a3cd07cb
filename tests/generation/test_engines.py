"""The fast engine against transformers: the same logits, the same stories, whatever the batch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from fabula.errors import FabulaError
from fabula.generation.engine import Engine
from fabula.generation.engines import load_engine
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import write_stories
from fabula.tokens.tokenizer import train_tokenizer

openvino_engine = pytest.importorskip(
    "fabula.generation.openvino_engine", reason="the extra [fast] is not installed"
)

PROMPTS = ["Once", "", "Once upon a time there was", "A fox", "upon"]
WINDOWS = [[0, 5, 9, 7, 8, 3], [0], list(range(20)), [0, 90, 91]]
GREEDY = SamplingSettings(temperature=0, max_new_tokens=100)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    """A separate cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FABULA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["FABULA_CACHE"]) / "engines"


def make_model(folder: Path, architecture: str = "gpt2", **changes: Any) -> Path:
    """A model of two or three layers that reads 48 tokens, with biases that are not 0 and norms that are not 1."""
    tokenizer = train_tokenizer(["Once upon a time there was a fox."] * 4, 300, context_length=48)
    torch.manual_seed(2)
    shape = {**SHAPES[architecture], **changes, "vocab_size": len(tokenizer)}
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(architecture, bos_token_id=0, eos_token_id=0, pad_token_id=0, **shape)
    )
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            is_factor = name.endswith("weight") and architecture != "gemma3_text"  # Gemma's are added to 1
            torch.nn.init.normal_(parameter, mean=float(is_factor), std=0.2)
        else:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


SHARED: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 48,
}
GROUPED = {**SHARED, "num_key_value_heads": 2}
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_positions": 48, "n_embd": 64, "n_layer": 3, "n_head": 4},
    "gpt_neo": {
        "hidden_size": 64,
        "num_heads": 4,
        "num_layers": 2,
        "max_position_embeddings": 48,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 8,
    },
    "gpt_neox": SHARED,
    "llama": {**GROUPED, "tie_word_embeddings": True},
    "mistral": {**GROUPED, "sliding_window": 8},
    "qwen2": {**GROUPED, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "qwen3": {**GROUPED, "head_dim": 32},
    "gemma3_text": {
        **GROUPED,
        "head_dim": 32,
        "query_pre_attn_scalar": 24,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("gpt2", {"activation_function": "gelu"}),
    ("gpt2", {"n_inner": 96, "layer_norm_epsilon": 0.1}),
    ("gpt2", {"tie_word_embeddings": False}),
    (
        "gpt_neox",
        {
            "use_parallel_residual": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5},
        },
    ),
    (
        "llama",
        {
            "tie_word_embeddings": False,
            "attention_bias": True,
            "mlp_bias": True,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 100.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 24,
            },
        },
    ),
    *((architecture, {}) for architecture in SHAPES if architecture != "gpt2"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engines(model: Path) -> dict[str, Engine]:
    return {name: load_engine(model, name) for name in ("transformers", "openvino", "openvino-fp32")}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).double().log_softmax(-1).numpy()


def walk(engine: Engine) -> list[np.ndarray]:
    """Log probabilities over a batch that shrinks step by step."""
    batch = engine.read([[0, 5, 9, 7, 8, 3], [0, 4], [0, 90, 91, 92]])
    other = engine.read([list(range(48))])
    logits = [batch.logits_BV.copy(), other.logits_BV]
    for rows, input_ids in (([0, 1, 2], [11, 12, 13]), ([0, 2], [14, 15]), ([1], [16])):
        batch.step(rows, input_ids)
        logits.append(batch.logits_BV.copy())
    logits.append(engine.read([[3]]).logits_BV)
    return [log_softmax(each) for each in logits]


def test_logits_agree_with_transformers(engines: dict[str, Engine]):
    expected = walk(engines["transformers"])
    for exact, found in zip(expected, walk(engines["openvino-fp32"]), strict=True):
        np.testing.assert_allclose(found, exact, atol=2e-4)
    for exact, found in zip(expected, walk(engines["openvino"]), strict=True):
        assert found.shape == exact.shape
        assert (np.exp(exact) * (exact - found)).sum(axis=-1).max() < 0.01


@pytest.mark.parametrize(("architecture", "changes"), VARIANTS)
def test_architectures_and_their_variants(tmp_path: Path, architecture: str, changes: dict[str, Any]):
    """The logits are those of transformers, in 8 bits nearly, and a story does not depend on its batch."""
    folder = make_model(tmp_path, architecture, **changes)
    expected = walk(load_engine(folder, "transformers"))
    for exact, found in zip(expected, walk(load_engine(folder, "openvino-fp32")), strict=True):
        np.testing.assert_allclose(found, exact, atol=2e-4)
    fast = load_engine(folder, "openvino")
    divergences = [
        (np.exp(exact) * (exact - found)).sum(axis=-1)
        for exact, found in zip(expected, walk(fast), strict=True)
    ]
    assert np.concatenate(divergences).mean() < 0.01
    batch = fast.read(WINDOWS)
    steps = [batch.logits_BV.copy()]
    for token in range(20, 30):
        batch.step(range(len(WINDOWS)), [token] * len(WINDOWS))
        steps.append(batch.logits_BV.copy())
    for row, window in enumerate(WINDOWS):
        alone = fast.read([window])
        for token, logits_BV in zip(range(20, 31), steps, strict=True):
            np.testing.assert_array_equal(alone.logits_BV[0], logits_BV[row])
            alone.step([0], [token])


def test_stories_agree_in_full_precision(engines: dict[str, Engine]):
    """Greedy and drawn, in batches, beyond the context of 48 tokens."""
    for chosen in (
        GREEDY,
        SamplingSettings(max_new_tokens=100, top_p=0.9),
        SamplingSettings(top_k=20, min_p=0.01, max_new_tokens=60),
    ):
        stories = {
            name: write_stories(engine, PROMPTS, settings=chosen, seeds=range(5), batch_size=3)
            for name, engine in engines.items()
        }
        assert [story.text for story in stories["openvino-fp32"]] == [
            story.text for story in stories["transformers"]
        ]
        assert {story.engine for story in stories["openvino"]} == {"openvino"}


def test_a_story_does_not_depend_on_its_batch(engines: dict[str, Engine]):
    chosen = SamplingSettings(max_new_tokens=80, top_p=0.9)
    alone, two, five = (
        write_stories(engines["openvino"], PROMPTS, settings=chosen, seeds=range(5), batch_size=size)
        for size in (1, 2, 5)
    )
    assert alone == two == five


def test_auto_takes_the_fast_engine_where_it_can(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert load_engine(model).name == "openvino"
    for name, changes, reason in (
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "it scales attention in its own way"),
        ("llama", {"hidden_act": "mish"}, "its activation is mish"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 2.0}},
            "its rotary embeddings are of the kind dynamic",
        ),
        ("gemma3_text", {"final_logit_softcapping": 30.0}, "it caps its logits"),
    ):
        folder = make_model(tmp_path / name / reason.split()[-1], name, **changes)
        assert load_engine(folder).name == "transformers"
        with pytest.raises(FabulaError, match=f"cannot run this model: {reason}"):
            load_engine(folder, "openvino")
    monkeypatch.setattr("fabula.generation.engines.find_spec", lambda name: None)
    assert load_engine(model).name == "transformers"
    with pytest.raises(FabulaError, match="engine is not installed"):
        load_engine(model, "openvino")


def test_a_model_is_converted_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    folder = make_model(tmp_path / "model", n_layer=1)
    load_engine(folder, "openvino")
    entries = set(cache.glob("*/"))
    with monkeypatch.context() as patch:
        patch.setattr(openvino_engine, "decoder_graph", None)  # a second conversion would fail
        first = walk(load_engine(folder, "openvino"))
    assert set(cache.glob("*/")) == entries
    torch.manual_seed(3)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    model.transformer.wte.weight.data.normal_(std=0.2)
    model.save_pretrained(folder)
    assert not np.allclose(walk(load_engine(folder, "openvino"))[0], first[0])
    monkeypatch.setattr(openvino_engine, "NUM_CACHED", 2)
    load_engine(folder, "openvino-fp32")
    assert len([entry for entry in cache.iterdir() if entry.is_dir()]) == 2


def test_a_model_that_was_converted_needs_neither_torch_nor_transformers(model: Path):
    """They take seconds to import, and more memory than a small model."""
    code = """if True:
        import atexit, sys
        atexit.register(lambda: print({"torch", "transformers"} & set(sys.modules)))
        from fabula.cli.app import main
        main()
    """
    load_engine(model, "openvino")
    command = ["write", str(model), "Once", "--max-new-tokens", "3"]
    result = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith("set()\n")


def test_the_engine_opens_no_connection(model: Path):
    """The openvino package reports its use to a server when it is imported without precautions."""
    code = """if True:
        import sys
        calls = []
        sys.addaudithook(lambda event, args: calls.append(event) if event in {"socket.connect", "socket.getaddrinfo"} else None)
        from fabula.generation.engines import load_engine
        load_engine(sys.argv[1], "openvino").read([[1, 2]])
        print(calls)
    """
    result = subprocess.run(
        [sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout) == []

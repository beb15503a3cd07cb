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
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

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
GREEDY = SamplingSettings(temperature=0, max_new_tokens=100)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    """A cache folder of our own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FABULA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["FABULA_CACHE"]) / "engines"


def make_model(folder: Path, **changes: Any) -> Path:
    tokenizer = train_tokenizer(["Once upon a time there was a fox."] * 4, 300, context_length=48)
    torch.manual_seed(2)
    shape: dict[str, Any] = {
        "n_positions": 48,
        "n_embd": 64,
        "n_layer": 3,
        "n_head": 4,
        "initializer_range": 0.2,
        **changes,
    }
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=0, **shape))
    for name, parameter in model.named_parameters():  # a fresh model has biases of 0 and norms of 1
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=float(".ln_" in name and name.endswith("weight")), std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engines(model: Path) -> dict[str, Engine]:
    return {name: load_engine(model, name) for name in ("transformers", "openvino", "openvino-fp32")}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).double().log_softmax(-1).numpy()


def walk(engine: Engine) -> list[np.ndarray]:
    """Log probabilities over a batch that shrinks while it goes on."""
    batch = engine.read([[0, 5, 9, 7, 8, 3], [0, 4], [0, 90, 91, 92]])
    other = engine.read([list(range(48))])
    logits = [batch.logits_BV, other.logits_BV]
    for rows, input_ids in (([0, 1, 2], [11, 12, 13]), ([0, 2], [14, 15]), ([1], [16])):
        batch.step(rows, input_ids)
        logits.append(batch.logits_BV)
    logits.append(engine.read([[3]]).logits_BV)
    return [log_softmax(each) for each in logits]


def test_logits_agree_with_transformers(engines: dict[str, Engine]):
    expected = walk(engines["transformers"])
    for exact, found in zip(expected, walk(engines["openvino-fp32"]), strict=True):
        np.testing.assert_allclose(found, exact, atol=2e-4)
    for exact, found in zip(expected, walk(engines["openvino"]), strict=True):
        assert found.shape == exact.shape
        assert (np.exp(exact) * (exact - found)).sum(axis=-1).max() < 0.01


@pytest.mark.parametrize(
    "changes",
    [
        {"activation_function": "gelu"},
        {"n_inner": 96, "layer_norm_epsilon": 0.1},
        {"tie_word_embeddings": False},
    ],
)
def test_variants_of_gpt2(tmp_path: Path, changes: dict[str, Any]):
    folder = make_model(tmp_path, **changes)
    for exact, found in zip(
        walk(load_engine(folder, "transformers")), walk(load_engine(folder, "openvino-fp32")), strict=True
    ):
        np.testing.assert_allclose(found, exact, atol=2e-4)


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
    llama = tmp_path / "llama"
    shape: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    LlamaForCausalLM(LlamaConfig(vocab_size=300, max_position_embeddings=32, **shape)).save_pretrained(llama)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (llama / name).write_bytes((model / name).read_bytes())
    assert load_engine(llama).name == "transformers"
    with pytest.raises(FabulaError, match="cannot run this model: its architecture is llama"):
        load_engine(llama, "openvino")
    scaled = make_model(tmp_path / "scaled", scale_attn_by_inverse_layer_idx=True)
    assert load_engine(scaled).name == "transformers"
    monkeypatch.setattr("fabula.generation.engines.find_spec", lambda name: None)
    assert load_engine(model).name == "transformers"
    with pytest.raises(FabulaError, match="engine is not installed"):
        load_engine(model, "openvino")


def test_a_model_is_converted_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    folder = make_model(tmp_path / "model", n_layer=1)
    load_engine(folder, "openvino")
    entries = set(cache.glob("*/"))
    with monkeypatch.context() as patch:
        patch.setattr(openvino_engine, "gpt2_graph", None)  # a second conversion would fail
        first = walk(load_engine(folder, "openvino"))
    assert set(cache.glob("*/")) == entries
    torch.manual_seed(3)
    model = GPT2LMHeadModel.from_pretrained(folder)
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
    """openvino's own package reports its use to a server when it is imported as it stands."""
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

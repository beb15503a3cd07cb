"""Base models: found by name or folder, checked before memory is allocated, refused in one clear line."""

import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache, GPT2LMHeadModel

from fabula.errors import FabulaError
from fabula.models.bases import BUNDLED_TINY
from fabula.models.find import cached_names, find_model
from fabula.models.fresh import SIZES, fresh_model, fresh_vocab_size, read_config
from fabula.models.load import cache_argument, context_length_of, load_model
from fabula.models.memory import keep_freed_memory


@pytest.fixture
def model_dir(tiny_gpt2_dir: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tiny_gpt2_dir, tmp_path / "model"))


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(folder: Path, expected: str) -> None:
    """Both entry points refuse the folder, in one line that names it."""
    for way in (find_model, load_model):
        with pytest.raises(FabulaError, match=expected) as error:
            way(folder)
        assert "\n" not in str(error.value)
        assert str(folder) in str(error.value)


def test_a_good_folder_is_found_and_loaded_in_eval_mode(tiny_gpt2_dir: Path):
    assert find_model(tiny_gpt2_dir) == tiny_gpt2_dir
    model = load_model(tiny_gpt2_dir)
    assert not model.training
    assert model.dtype == torch.float32
    assert context_length_of(model.config) == 64


def test_half_precision_on_the_disk_is_single_in_memory(model_dir: Path):
    tensors = {name: tensor.half() for name, tensor in load_file(model_dir / "model.safetensors").items()}
    save_file(tensors, model_dir / "model.safetensors", metadata={"format": "pt"})
    change_config(model_dir, dtype="float16")
    assert load_model(model_dir).dtype == torch.float32
    assert load_model(model_dir, dtype=torch.float16).dtype == torch.float16


def test_no_config(model_dir: Path):
    (model_dir / "config.json").unlink()
    refused(model_dir, "no config.json")


def test_damaged_config(model_dir: Path):
    (model_dir / "config.json").write_text("{")
    refused(model_dir, "not valid JSON")


def test_no_weights(model_dir: Path):
    (model_dir / "model.safetensors").unlink()
    refused(model_dir, "no weights")


def test_pickled_weights_only(model_dir: Path):
    (model_dir / "model.safetensors").unlink()
    (model_dir / "pytorch_model.bin").write_bytes(b"\x80\x02cos\nsystem\n")
    refused(model_dir, "pickled")


def test_a_pointer_of_git_lfs(model_dir: Path):
    (model_dir / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    refused(model_dir, "pointer of Git LFS.*git lfs pull")


def test_quantised_weights(model_dir: Path):
    change_config(model_dir, quantization_config={"quant_method": "gptq", "bits": 4})
    refused(model_dir, r"quantised \(gptq\).*name the model that they were made from")


def test_no_causal_language_model(model_dir: Path):
    change_config(model_dir, architectures=["GPT2ForSequenceClassification"])
    refused(model_dir, "not a causal language model")
    change_config(model_dir, model_type="t5", architectures=["T5ForConditionalGeneration"])
    refused(model_dir, "not a causal language model")


def test_a_model_that_sees_the_words_after_each_position(tmp_path: Path):
    """RoBERTa counts as a causal language model when its configuration says `is_decoder`."""
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    for is_decoder in (True, False):
        config = AutoConfig.for_model("roberta", vocab_size=50, is_decoder=is_decoder, **shape)
        folder = tmp_path / str(is_decoder)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    load_model(tmp_path / "True")
    with pytest.raises(FabulaError, match="of the type roberta see the words that they should predict"):
        load_model(tmp_path / "False")


def test_a_model_that_the_library_cannot_run(model_dir: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the size of tensor a must match\nthe size of tensor b")

    monkeypatch.setattr(GPT2LMHeadModel, "forward", fail)
    with pytest.raises(FabulaError, match=r"cannot run this model \(the size of tensor a must match\)"):
        load_model(model_dir)


def test_code_of_the_folder_is_never_run(model_dir: Path):
    (model_dir / "evil.py").write_text("raise SystemExit('this must not run')")
    change_config(model_dir, model_type="evil", auto_map={"AutoConfig": "evil.Config"})
    refused(model_dir, "never runs")
    change_config(model_dir, model_type="gpt2", auto_map={"AutoModelForCausalLM": "evil.Model"})
    load_model(model_dir)


def test_truncated_weights(model_dir: Path):
    content = (model_dir / "model.safetensors").read_bytes()
    (model_dir / "model.safetensors").write_bytes(content[: len(content) // 2])
    refused(model_dir, "damaged")


def test_a_header_of_weights_that_lies(model_dir: Path):
    (model_dir / "model.safetensors").write_bytes(b"\xff" * 64)
    refused(model_dir, "damaged")


def test_weights_that_do_not_fit_the_config(model_dir: Path):
    change_config(model_dir, n_embd=64)
    refused(model_dir, "do not fit")


def test_a_config_that_asks_for_all_memory_takes_none(model_dir: Path):
    change_config(model_dir, n_embd=1_000_000, n_head=2)
    refused(model_dir, "do not fit")


def test_a_config_that_makes_no_model(model_dir: Path):
    change_config(model_dir, n_head=3)
    refused(model_dir, "does not make a model|cannot be loaded")


def test_missing_weights_are_not_made_up(model_dir: Path):
    tensors = load_file(model_dir / "model.safetensors")
    del tensors["transformer.h.1.mlp.c_fc.weight"]
    save_file(tensors, model_dir / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FabulaError, match="lack 1 tensor"):
        load_model(model_dir)


def test_an_index_that_points_out_of_the_folder(model_dir: Path):
    (model_dir / "model.safetensors").rename(model_dir / "part.safetensors")
    index = {"weight_map": {"transformer.wte.weight": "../part.safetensors"}}
    (model_dir / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(model_dir, "outside the folder")


def test_a_missing_shard(model_dir: Path):
    (model_dir / "model.safetensors").rename(model_dir / "part.safetensors")
    index = {"weight_map": {"transformer.wte.weight": "other.safetensors"}}
    (model_dir / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(model_dir, "other.safetensors is missing")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/model", "a/b/c"])
def test_a_path_that_is_not_there(name: str):
    with pytest.raises(FabulaError, match="no such folder"):
        find_model(name)


def test_a_file_is_not_a_base(tmp_path: Path):
    (tmp_path / "notes.md").write_bytes(b"")
    with pytest.raises(FabulaError, match="folder or a GGUF file"):
        find_model(tmp_path / "notes.md")


@pytest.mark.parametrize("name", ["gpt2", "someone/some-model", "gpt-two"])
def test_a_hub_name_offline_says_what_works(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FabulaError, match="these work offline: tiny") as error:
        find_model(name)
    assert name in str(error.value)
    assert "HF_HUB_OFFLINE is set" in str(error.value)


def test_a_name_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(FabulaError, match="neither a folder nor a name"):
        find_model("what is this?")


def test_a_cached_hub_model_works_offline(
    tiny_gpt2_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from huggingface_hub import constants

    repo = tmp_path / "models--openai-community--gpt2"
    shutil.copytree(tiny_gpt2_dir, repo / "snapshots" / ("a" * 40))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert cached_names() == ["openai-community/gpt2"]
    assert find_model("gpt2") == repo / "snapshots" / ("a" * 40)


def test_tiny_comes_with_fabula_and_loads_with_plain_transformers():
    from transformers import AutoTokenizer

    folder = find_model("tiny")
    assert folder == BUNDLED_TINY
    assert (folder / "model.safetensors").stat().st_size <= 12e6
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    ids = tokenizer("Once upon a time, there was a king who had three", return_tensors="pt")["input_ids"]
    likeliest = tokenizer.decode(model(ids).logits[0, -1].topk(5).indices)
    assert "daughters" in likeliest or "sons" in likeliest
    assert "CC-BY" in (folder / "README.md").read_text(encoding="utf-8")
    assert "African" in (folder / "README.md").read_text(encoding="utf-8")
    assert (folder / "ATTRIBUTION.md").is_file()


def test_fresh_models_have_the_size_that_they_should():
    for name, millions in (("tiny", 1.9), ("small", 25.5)):
        config = read_config(name)
        model = fresh_model(config, vocab_size=512, end_of_text=0, seed=0)
        without_vocabulary = model.num_parameters() - 512 * config.n_embd
        assert without_vocabulary / 1e6 == pytest.approx(millions, abs=0.2), name
        assert model.config.eos_token_id == 0


def test_the_same_seed_gives_the_same_fresh_model():
    one, two, other = (
        fresh_model(read_config("tiny"), vocab_size=512, end_of_text=0, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(one.lm_head.weight, two.lm_head.weight)
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)


def test_a_vocabulary_grows_with_the_text():
    config = read_config("tiny")
    sizes = [fresh_vocab_size(config, num_bytes) for num_bytes in (1_000, 140_000, 10**6, 10**9)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 512
    assert sizes[-1] == SIZES["tiny"].vocab_size


def test_an_unknown_size_is_one_clear_line():
    with pytest.raises(FabulaError, match="did you mean tiny"):
        read_config("tinny")


def test_the_allocator_is_told_where_it_is_glibcs():
    import platform

    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


def test_the_cache_is_passed_under_the_name_that_this_transformers_knows(tiny_gpt2_dir: Path):
    class Renamed:
        def forward(self, input_ids: torch.Tensor, cache: object = None) -> None: ...

    assert cache_argument(Renamed()) == "cache"
    model = load_model(tiny_gpt2_dir)
    with warnings.catch_warnings(action="error"):
        model(
            torch.zeros(1, 3, dtype=torch.long), **{cache_argument(model): DynamicCache(config=model.config)}
        )

"""Where a base comes from: GGUF files, adapters, packages; and the hints for files that are not a base."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from conftest import tiny_story
from tiny_models import GROUPED, chat_tokenizer, make_model
from transformers import AutoConfig, AutoModelForImageTextToText

from fabula.corpus.clean import clean
from fabula.defaults import BASE
from fabula.errors import FabulaError
from fabula.models import find, wheel
from fabula.models.bases import BASE_BY_NAME, BASES, TINY, Base, Wheel
from fabula.models.convert import base_of_gguf
from fabula.models.find import default_base, find_model, is_at_hand, locate_base, locate_model
from fabula.models.load import load_model
from fabula.progress import Progress
from fabula.results import RUN, RunArguments, RunRecord
from fabula.tokens.tokenizer import load_tokenizer
from fabula.training.memory import memory_gb
from fabula.training.predict import predict_training
from fabula.training.recipe import ModelSize, Recipe
from fabula.training.train import train


@pytest.fixture(autouse=True)
def own_cache_and_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setenv("FABULA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def write_llama_gguf(folder: Path, file: Path) -> None:
    """The model of a folder ("llama-chat") as a GGUF file in Q8_0, as llama.cpp's converter writes one."""
    import gguf

    model = load_model(folder)
    tokenizer: Any = chat_tokenizer()
    config = model.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges([" ".join(pair) for pair in backend["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        array = tensor.numpy()
        for heads, kind in ((config.num_attention_heads, "q_proj"), (config.num_key_value_heads, "k_proj")):
            if kind in name:  # llama.cpp pairs the halves of a head's dimensions
                array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        kind = gguf.GGMLQuantizationType.Q8_0 if array.ndim == 2 else gguf.GGMLQuantizationType.F32
        written = names.get_name(name, try_suffixes=(".weight",))
        assert written is not None
        writer.add_tensor(written, gguf.quants.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def gguf_file(tmp_path: Path) -> tuple[Path, Path]:
    """A tiny Llama in a folder, and the same in a GGUF file."""
    folder = make_model("llama-chat", tmp_path / "original")
    file = tmp_path / "model.gguf"
    write_llama_gguf(folder, file)
    return folder, file


def test_a_gguf_file_is_a_base(gguf_file: tuple[Path, Path]):
    original, file = gguf_file
    said: list[Progress] = []
    folder = locate_base(file, said.append)
    assert "Q8_0 (8.5 bits" in said[0].message
    ids = torch.tensor([[5, 9, 77, 31]])
    with torch.inference_mode():
        wanted, found = (load_model(each)(ids).logits for each in (original, folder))
    assert (found - wanted).abs().mean() < 0.05 * wanted.std()
    assert load_tokenizer(folder).get_vocab() == load_tokenizer(original).get_vocab()
    said.clear()
    assert locate_base(file, said.append) == folder
    assert not said


def test_a_damaged_gguf_file_is_one_clear_line(tmp_path: Path, gguf_file: tuple[Path, Path]):
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(gguf_file[1].read_bytes()[:1000])
    with pytest.raises(FabulaError, match="GGUF file") as error:
        locate_base(damaged)
    assert "\n" not in str(error.value)


def test_pickled_and_other_files_are_not_bases(tmp_path: Path):
    for name, expected in (("pytorch_model.bin", "pickle"), ("notes.md", "another kind")):
        (tmp_path / name).write_bytes(b"something")
        with pytest.raises(FabulaError, match=expected):
            locate_base(tmp_path / name)


def make_adapter(base: Path, folder: Path, *, names: str) -> Any:
    """Write an adapter of the model in `base` to `folder`, whose configuration names the base `names`; returns the model."""
    model: Any = peft.get_peft_model(
        load_model(base), peft.LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    )
    model.save_pretrained(folder)
    config = folder / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": names}))
    return model.eval()


def test_an_adapter_is_merged_with_its_base(tmp_path: Path):
    base = make_model("llama", tmp_path / "base")
    model = make_adapter(base, tmp_path / "adapter", names=str(base))
    ids = torch.tensor([[5, 9, 77, 31]])
    for has_config in (False, True):  # some trainers put the base's config.json beside it
        if has_config:
            shutil.copy(base / "config.json", tmp_path / "adapter")
        folder = find_model(tmp_path / "adapter")
        with torch.inference_mode():
            assert torch.allclose(load_model(folder)(ids).logits, model(ids).logits, atol=1e-4)
        load_tokenizer(folder)
    shutil.copy(base / "model.safetensors", tmp_path / "adapter")
    with pytest.raises(FabulaError, match=r"both a model and an adapter .*; move adapter_config.json out"):
        find_model(tmp_path / "adapter")
    (tmp_path / "adapter" / "model.safetensors").unlink()
    (tmp_path / "adapter" / "config.json").unlink()
    (tmp_path / "adapter" / "adapter_model.safetensors").rename(tmp_path / "adapter" / "adapter_model.bin")
    with pytest.raises(FabulaError, match="never loaded"):
        locate_base(tmp_path / "adapter")


TEXT_SHAPE = {**GROUPED, "head_dim": 16}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention", "linear_attention"],
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
EYES = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


def save_model_with_eyes(kind: str, text: dict[str, Any], folder: Path, vision: dict[str, Any] = EYES) -> Any:
    tokenizer = chat_tokenizer()
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    text_config = {"vocab_size": len(tokenizer), **TEXT_SHAPE, **ends, **text}
    config = AutoConfig.for_model(kind, text_config=text_config, vision_config=vision)
    model = AutoModelForImageTextToText.from_config(config).eval()
    model.save_pretrained(folder, max_shard_size="100KB")
    tokenizer.save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    ("kind", "text", "vision"),
    [
        ("gemma3", {"sliding_window": 16}, EYES),
        (
            "qwen3_5",
            LINEAR,
            {"depth": 1, "num_heads": 2, "out_hidden_size": 32},
        ),
        ("mistral3", {"model_type": "mistral"}, {**EYES, "model_type": "pixtral", "head_dim": 16}),
        ("smolvlm", {"model_type": "llama"}, EYES),
    ],
)
def test_the_text_part_of_a_model_with_eyes_is_a_base(
    tmp_path: Path, kind: str, text: dict[str, Any], vision: dict[str, Any]
):
    whole = save_model_with_eyes(kind, text, tmp_path / "eyes", vision)
    said: list[str] = []
    folder = find_model(tmp_path / "eyes", lambda progress: said.append(progress.message))
    assert "taking the text model out of eyes" in said[0]
    model, ids = load_model(folder), torch.arange(3, 33)[None]
    with torch.no_grad():
        assert torch.allclose(model(input_ids=ids).logits, whole(input_ids=ids).logits, atol=1e-5)
    assert load_tokenizer(folder).eos_token == "<|im_end|>"
    find_model(tmp_path / "eyes", lambda progress: said.append(progress.message))
    assert len(said) == 1  # it is kept


def test_a_model_with_eyes_that_lacks_weights_is_refused(tmp_path: Path):
    save_model_with_eyes("gemma3", {}, tmp_path / "eyes")
    index = json.loads((tmp_path / "eyes" / "model.safetensors.index.json").read_text())
    (tmp_path / "eyes" / index["weight_map"]["language_model.model.norm.weight"]).unlink()
    with pytest.raises(FabulaError, match=r"the weight file .* is missing"):
        find_model(tmp_path / "eyes")


def test_an_adapter_with_tokens_of_its_own_is_merged(tmp_path: Path):
    """Its tokenizer has more tokens than the base, and its weights hold their embeddings."""
    base = make_model("llama", tmp_path / "base")
    model, tokenizer = load_model(base), load_tokenizer(base)
    tokenizer.add_tokens(["<sos>", "<nl>"])
    model.resize_token_embeddings(len(tokenizer))
    lora = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["q_proj"]))
    lora.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=True)
    tokenizer.save_pretrained(tmp_path / "adapter")
    config = tmp_path / "adapter" / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": str(base)}))
    merged = load_model(find_model(tmp_path / "adapter"))
    assert torch.equal(merged.get_input_embeddings().weight, model.get_input_embeddings().weight)


def test_an_adapter_without_its_base_says_where_it_is_named(tmp_path: Path):
    make_adapter(
        make_model("llama", tmp_path / "base"), tmp_path / "out" / "checkpoint-5", names="/gone/base"
    )
    with pytest.raises(
        FabulaError, match=r"/gone/base, is not available .*base_model_name_or_path in adapter_"
    ):
        locate_base(tmp_path / "out" / "checkpoint-5")
    with pytest.raises(FabulaError, match=r"name one of its checkpoints: .*checkpoint-5"):
        find_model(tmp_path / "out")
    own = tmp_path / "out" / "checkpoint-5" / "adapter_config.json"
    own.write_text(json.dumps({"base_model_name_or_path": str(own.parent)}))
    with pytest.raises(FabulaError, match="does not name its base"):
        locate_base(own.parent)


def test_a_trainers_folder_names_its_last_checkpoint(tiny_gpt2_dir: Path, tmp_path: Path):
    for step in (500, 1000):
        shutil.copytree(tiny_gpt2_dir, tmp_path / "out" / f"checkpoint-{step}")
    with pytest.raises(FabulaError, match="checkpoint-1000"):
        find_model(tmp_path / "out")
    assert find_model(tmp_path / "out" / "checkpoint-500").name == "checkpoint-500"


def test_a_mistyped_run_folder_is_no_unknown_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "runs" / "low-quay-1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FabulaError, match=r"runs/low-quai-1: no such folder; did you mean runs/low-quay-1\?"):
        locate_model("runs/low-quai-1")
    with pytest.raises(FabulaError, match=r"runs/other: no such folder\Z"):
        locate_model("runs/other")
    with pytest.raises(FabulaError, match="unknown model 'user/model'"):
        locate_model("user/model")


def test_a_training_names_the_folder_before_its_tokenizer(tmp_path: Path):
    (tmp_path / "out" / "checkpoint-7").mkdir(parents=True)
    (tmp_path / "out" / "checkpoint-7" / "config.json").write_text("{}")
    (tmp_path / "stories.txt").write_text("\n\n\n".join(f"Story {n}. {tiny_story(n, 9)}" for n in range(12)))
    clean(tmp_path / "stories.txt", tmp_path / "corpus")
    for work in (
        lambda: train(tmp_path / "corpus", tmp_path / "model", base=tmp_path / "out"),
        lambda: predict_training(tmp_path / "corpus", base=tmp_path / "out"),
    ):
        with pytest.raises(FabulaError, match=r"name one of its checkpoints: .*checkpoint-7"):
            work()


def test_folders_of_other_kinds_say_what_to_type(tmp_path: Path):
    for name, expected in (
        ("model_index.json", "makes images"),
        ("stories.Q4_K_M.gguf", "name the GGUF file in it: .*stories.Q4_K_M.gguf"),
        ("consolidated.00.pth", "never loaded"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"something")
        with pytest.raises(FabulaError, match=f"no config.json; .*{expected}"):
            find_model(tmp_path / name)


def test_a_run_without_a_model_says_how_to_continue(tmp_path: Path):
    arguments = RunArguments(
        stories="s.txt", base="tiny", recipe="default", seed=1, max_minutes=None,
        format=None, column=None, split_at=None, encoding=None,
    )  # fmt: skip
    record = RunRecord(name="run", arguments=arguments, versions={}, command="fabula run s.txt --out run")
    record.save(tmp_path / RUN)
    with pytest.raises(FabulaError, match=r"not finished; continue it with `fabula run s.txt --out run`"):
        find_model(tmp_path)


def test_a_file_of_a_model_names_its_folder(tiny_gpt2_dir: Path):
    with pytest.raises(FabulaError, match=f"name its folder: {tiny_gpt2_dir}"):
        locate_base(tiny_gpt2_dir / "model.safetensors")


class FakeHub:
    """The hub's two functions that fabula calls, for one repository in a folder."""

    def __init__(self, repository: str, files: Path, snapshots: Path) -> None:
        self.repository, self.files, self.snapshots = repository, files, snapshots

    def snapshot_download(self, repository: str, *, allow_patterns: list[str], **_: Any) -> str:
        assert repository == self.repository
        self.snapshots.mkdir(exist_ok=True)
        for file in self.files.iterdir():
            if any(file.match(pattern) for pattern in allow_patterns):
                shutil.copy(file, self.snapshots)
        return str(self.snapshots)

    def list_repo_files(self, repository: str) -> list[str]:
        assert repository == self.repository
        return sorted(file.name for file in self.files.iterdir())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    import huggingface_hub

    (tmp_path / "repository").mkdir()
    fake = FakeHub("ada/stories", tmp_path / "repository", tmp_path / "snapshot")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake.snapshot_download)
    monkeypatch.setattr(huggingface_hub, "list_repo_files", fake.list_repo_files)
    return fake


@pytest.mark.parametrize(
    "address",
    [
        "ada/stories",
        "https://huggingface.co/ada/stories",
        "huggingface.co/ada/stories/",
        "https://hf.co/ada/stories/tree/main?x=1",
    ],
)
def test_the_address_of_a_page_on_the_hub_is_a_base(hub: FakeHub, address: str):
    make_model("llama", hub.files)
    assert locate_base(address) == hub.snapshots
    assert {file.name for file in hub.snapshots.iterdir()} >= {"config.json", "model.safetensors"}


def test_an_adapter_on_the_hub_is_merged(hub: FakeHub, tmp_path: Path):
    base = make_model("llama", tmp_path / "base")
    make_adapter(base, hub.files, names=str(base))
    assert find_model("ada/stories").name.startswith("adapter-")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pytorch_model.bin", "pickled .*M.from_pretrained"),
        ("tf_model.h5", "TensorFlow"),
        ("stories.Q8_0.gguf", "GGUF files only; `hf download ada/stories stories.Q8_0.gguf .*--base stories"),
    ],
)
def test_other_weights_on_the_hub_say_what_to_type(hub: FakeHub, name: str, expected: str):
    (hub.files / name).write_bytes(b"something")
    with pytest.raises(FabulaError, match=expected):
        locate_base("ada/stories")


@pytest.mark.parametrize(("name", "meant"), [("GPT2", "gpt2"), ("smollm2-135", "smollm2-135m")])
def test_a_mistyped_short_name_is_suggested(name: str, meant: str):
    with pytest.raises(FabulaError, match=f"did you mean {meant}\\?"):
        locate_base(name)


def test_a_gpt_2_simple_folder_is_told_how_to_convert(tmp_path: Path):
    (tmp_path / "run1").mkdir()
    (tmp_path / "run1" / "hparams.json").write_text("{}")
    for folder in (tmp_path, tmp_path / "run1"):
        with pytest.raises(FabulaError, match="gpt-2-simple"):
            locate_model(folder)


@pytest.fixture
def own_wheel(gguf_file: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A package with a tiny GGUF file, in place of the one with smollm2-135m."""
    path = tmp_path / "tiny_base-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(gguf_file[1], "tiny_base/model.gguf")
    made = Wheel(
        requirement="tiny-base==1.0",
        file_name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        member="tiny_base/model.gguf",
        megabytes=1,
        what="a tiny Llama",
    )
    base = Base("smollm2-135m", "someone/nowhere", "MIT", 31_000, 64, wheel=made)
    monkeypatch.setitem(BASE_BY_NAME, "smollm2-135m", base)
    monkeypatch.setattr(
        wheel, "_download", lambda wanted, scratch, on_progress: shutil.copy(path, scratch / wanted.file_name)
    )
    return made


def test_a_base_comes_from_its_package_where_the_hub_cannot_be_reached(
    own_wheel: Wheel, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(FabulaError, match="HF_HUB_OFFLINE"):
        locate_base("smollm2-135m")  # no network at all is wanted
    assert not is_at_hand("smollm2-135m")

    def no_hub(repository: str, asked: str, on_progress: Any) -> Path:
        raise FabulaError("the hub cannot be reached")

    monkeypatch.setattr(find, "_is_offline", lambda: False)
    monkeypatch.setattr(find, "_fetch", no_hub)
    said: list[Progress] = []
    folder = locate_base("smollm2-135m", said.append)
    assert "a tiny Llama (tiny-base==1.0 on PyPI, 1 MB)" in said[0].message
    load_model(folder)
    assert is_at_hand("smollm2-135m")
    monkeypatch.setattr(find, "_is_offline", lambda: True)
    said.clear()
    assert locate_base("smollm2-135m", said.append) == folder
    assert "fetched before" in said[0].message


def test_without_pip_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wheel, "find_spec", lambda name: None)
    with pytest.raises(FabulaError, match=r"which is not installed here; type: .* install pip"):
        wheel.fetch_wheel(Wheel("no-such-package==1.0", "no.whl", "0" * 64, "model.gguf", 1, "nothing"))


def test_another_file_than_expected_is_refused(own_wheel: Wheel, tmp_path: Path):
    other = Wheel(**{**vars(own_wheel), "sha256": "0" * 64})
    with pytest.raises(FabulaError, match="unexpected hash"):
        wheel.fetch_wheel(other)
    assert wheel.cached_wheel(other) is None


def test_pip_that_fails_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    nowhere = Wheel("no-such-package==1.0", "no.whl", "0" * 64, "model.gguf", 1, "nothing")
    with pytest.raises(FabulaError, match="pip could not fetch no-such-package") as error:
        wheel.fetch_wheel(nowhere)
    assert "\n" not in str(error.value)


def test_the_table_of_bases_is_complete():
    assert len(BASE_BY_NAME) == len(BASES)
    docs = (Path(__file__).parents[2] / "docs" / "bases.md").read_text(encoding="utf-8")
    for base in BASES:
        assert f"| {base.name} |" in docs
        assert base.writing_gb < base.training_gb
        if base.name != TINY:
            assert base.training_gb == pytest.approx(
                memory_gb(Recipe(), ModelSize(base.num_parameters)), abs=0.35
            )


def test_gguf_bases_are_kept_by_their_content(gguf_file: tuple[Path, Path], tmp_path: Path):
    copy = Path(shutil.copy(gguf_file[1], tmp_path / "copy.gguf"))
    assert base_of_gguf(copy) == base_of_gguf(gguf_file[1])


def test_the_default_base_falls_back_to_the_bundled_one_and_says_so():
    said: list[str] = []
    assert default_base(lambda progress: said.append(progress.message)) == "tiny"
    [line] = said
    assert "the bundled model tiny" in line
    assert "HF_HUB_OFFLINE is set" in line
    assert f"fabula bases --fetch {BASE}" in line


def test_the_default_base_is_taken_where_it_is_at_hand_and_memory_suffices(
    monkeypatch: pytest.MonkeyPatch, tiny_gpt2_dir: Path
):
    monkeypatch.setattr(find, "_cached", lambda _: tiny_gpt2_dir)
    assert default_base() == BASE

    class Memory:
        available = 1.5e9

    said: list[str] = []
    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory)
    assert default_base(lambda progress: said.append(progress.message)) == "tiny"
    assert f"1.5 GB of memory is free, and {BASE} needs 2.8 GB" in said[-1]

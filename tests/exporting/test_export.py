"""Exports load in the programs they are for and predict what the original predicts; one that does not is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Command
from tiny_models import SHAPES, make_model

from fabula.errors import FabulaError
from fabula.exporting.export import export
from fabula.exporting.fidelity import compare, longest_contexts
from fabula.models.load import load_model
from fabula.models.records import EXPORT, ModelRecords
from fabula.models.story_format import find_story_format
from fabula.tokens.tokenizer import load_tokenizer

CONTEXT = [0, 40, 50, 60, 70, 80]


@pytest.fixture(scope="module")
def model(tiny_gpt2_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with sharp predictions: flat ones would hide the errors of an export."""
    folder = tmp_path_factory.mktemp("export") / "model"
    shutil.copytree(tiny_gpt2_dir, folder)
    torch.manual_seed(5)
    loaded = load_model(folder)
    for name, parameter in loaded.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=float(".ln_" in name and name.endswith("weight")), std=0.3)
        else:
            torch.nn.init.normal_(parameter, std=0.25)
    loaded.save_pretrained(folder)
    (folder / "generation_config.json").write_text(
        '{"eos_token_id": 0, "do_sample": true, "top_p": 0.9, "max_new_tokens": 300}'
    )
    return folder


def original_logits(model: Path, contexts: list[list[int]]) -> np.ndarray:
    loaded = load_model(model)
    with torch.no_grad():
        return np.stack([loaded(torch.tensor([ids])).logits[0, -1].numpy() for ids in contexts])


def test_fidelity_on_known_logits():
    original = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], dtype=np.float32))
    converted = np.log(np.array([[0.25, 0.5, 0.25], [0.1, 0.8, 0.1]], dtype=np.float32)) + np.float32(3)
    found = compare(original, converted, np.array([0, 1]), num_bytes=4)
    assert found.kl == pytest.approx((0.5 * np.log(2) - 0.25 * np.log(2)) / 2, rel=1e-5)
    assert found.greedy_agreement == 0.5
    assert found.bits_per_byte == pytest.approx((1 - np.log2(0.8)) / 4, rel=1e-5)
    assert found.bits_per_byte_lost == pytest.approx(1 / 4, rel=1e-5)
    assert np.isnan(
        compare(original, np.full_like(converted, np.nan), np.array([0, 1]), num_bytes=4).share_lost
    )


def test_contexts_that_begin_one_another_are_read_once():
    contexts = [[1], [1, 2, 3], [2], [2, 3], [2, 3, 4], [3]]
    assert list(longest_contexts(contexts)) == [([1, 2, 3], [1, 3]), ([2, 3, 4], [1, 2, 3]), ([3], [1])]


def test_gguf(model: Path, tmp_path: Path):
    pytest.importorskip("gguf", reason="the extra [export] is not installed")
    pytest.importorskip("xllamacpp", reason="the extra [export] is not installed")
    import gguf

    result = export(model, "gguf", out=tmp_path / "f32", quantize="f32")
    assert (result.kl, result.greedy_agreement) == (pytest.approx(0, abs=1e-4), 1)
    reader = gguf.GGUFReader(tmp_path / "f32" / "model.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    tokenizer = load_tokenizer(model)
    assert (
        fields["tokenizer.ggml.eos_token_id"]
        == fields["tokenizer.ggml.bos_token_id"]
        == tokenizer.eos_token_id
    )
    assert fields["tokenizer.ggml.add_bos_token"] is True
    assert fields["tokenizer.ggml.tokens"] == tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    modelfile = (tmp_path / "f32" / "Modelfile").read_text()
    assert modelfile.startswith("FROM ./model.gguf\n")
    # Ollama would fill in what is not named from its own defaults (top_k 40, a repetition penalty of 1.1).
    for line in ("temperature 1.0", "top_k 0", "top_p 0.9", "repeat_penalty 1.0", "num_predict 300"):
        assert f"PARAMETER {line}\n" in modelfile
    # llama.cpp's own tokenizer reads text as ours does, and its greedy story is ours.
    from xllamacpp.xllamacpp import CommonParams, Server  # pyright: ignore[reportMissingImports]

    parameters = CommonParams()
    parameters.model.path = str(tmp_path / "f32" / "model.gguf")
    parameters.verbosity, parameters.warmup, parameters.n_parallel = -1, False, 1
    text = "Once upon a time, Ada found three coins: “so” — said the fox’s 7 hats!"
    answer = Server(parameters).handle_completions({"prompt": text, "n_predict": 8, "temperature": 0})
    ids = [0, *tokenizer.encode(text, add_special_tokens=False)]
    assert answer["usage"]["prompt_tokens"] == len(ids)
    written = load_model(model).generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False)[
        0, len(ids) :
    ]
    expected = str(tokenizer.decode(written.tolist(), skip_special_tokens=True))
    assert answer["choices"][0]["text"].rstrip("\N{REPLACEMENT CHARACTER}") == expected.rstrip(
        "\N{REPLACEMENT CHARACTER}"
    )
    small = export(model, "gguf", out=tmp_path / "q8")
    assert small.quantization == "q8_0"
    assert small.files["model.gguf"] < result.files["model.gguf"]


@pytest.mark.parametrize(
    "name", ["llama", "llama-chat", "llama-2", "qwen3", "gpt-neox", "mistral", "gemma3", "gemma3-pieces"]
)
def test_gguf_of_other_architectures(name: str, tmp_path: Path):
    """llama.cpp predicts what transformers predicts: tensors, rotation, norms and windows are right."""
    gguf = pytest.importorskip("gguf", reason="the extra [export] is not installed")
    pytest.importorskip("xllamacpp", reason="the extra [export] is not installed")
    changes = {}
    if name.startswith(
        "gemma3"
    ):  # five layers with a window and one without, the only order that llama.cpp supports
        changes = {"layer_types": [*["sliding_attention"] * 5, "full_attention"], "num_hidden_layers": 6}
    architecture, shape = SHAPES[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SHAPES, name, (architecture, {**shape, **changes}))
        folder = make_model(name, tmp_path / "model")
    exact = export(folder, "gguf", out=tmp_path / "f32", quantize="f32")
    assert (exact.kl, exact.greedy_agreement) == (pytest.approx(0, abs=1e-4), pytest.approx(1, abs=0.02))
    reader = gguf.GGUFReader(tmp_path / "f32" / "model.gguf")
    fields = {field: value.contents() for field, value in reader.fields.items()}
    tokenizer = load_tokenizer(folder)
    story_format = find_story_format(folder, tokenizer)
    assert fields["tokenizer.ggml.bos_token_id"] == story_format.start_id
    assert fields["tokenizer.ggml.eos_token_id"] == story_format.end_id
    assert "tokenizer.chat_template" not in fields
    end = tokenizer.convert_ids_to_tokens(story_format.end_id)
    assert f'PARAMETER stop "{end}"\n' in (tmp_path / "f32" / "Modelfile").read_text()


@pytest.mark.parametrize(("name", "most"), [("Q4_K", 0.075), ("Q6_K", 0.018)])
def test_k_quants_are_read_back(name: str, most: float):
    gguf = pytest.importorskip("gguf", reason="the extra [export] is not installed")
    from fabula.exporting import k_quants

    matrix = np.random.default_rng(0).standard_normal((64, 512)).astype(np.float32)
    matrix[0], matrix[1, :256], matrix[2] = 0, 0.01, np.abs(matrix[2])
    kind = gguf.GGMLQuantizationType[name]
    found = gguf.quants.dequantize(k_quants.quantize(matrix, kind), kind)
    assert not found[0].any()
    np.testing.assert_allclose(found[1, :256], 0.01, rtol=0.01)
    assert np.square(found - matrix).mean() < most**2 * np.square(matrix).mean()


def test_onnx(model: Path, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    pytest.importorskip("onnxscript", reason="the extra [export] is not installed")
    result = export(model, "onnx", out=tmp_path / "out", max_loss=0.2)
    assert {"onnx/model.onnx", "onnx/model_quantized.onnx", "config.json", "tokenizer.json"} <= set(
        result.files
    )
    assert b"site-packages" not in (tmp_path / "out" / "onnx" / "model.onnx").read_bytes()  # of this machine
    session = onnxruntime.InferenceSession(tmp_path / "out" / "onnx" / "model.onnx")
    names = [f"{layer}.{kind}" for layer in range(2) for kind in ("key", "value")]
    assert [each.name for each in session.get_inputs()] == [
        "input_ids", "attention_mask", "position_ids", *(f"past_key_values.{name}" for name in names)
    ]  # fmt: skip
    assert session.get_inputs()[3].shape == ["batch_size", 2, "past_sequence_length", 16]
    assert [each.name for each in session.get_outputs()] == ["logits", *(f"present.{name}" for name in names)]
    # Two stories at once, read in two parts, the second with the cache of the first.
    ids = np.array([CONTEXT, CONTEXT[::-1]])
    past = {f"past_key_values.{name}": np.zeros((2, 2, 0, 16), dtype=np.float32) for name in names}
    for first, last in ((0, 4), (4, 6)):
        inputs = {
            "input_ids": ids[:, first:last],
            "attention_mask": np.ones((2, last), dtype=np.int64),
            "position_ids": np.arange(first, last)[None].repeat(2, axis=0),
        }
        logits, *present = session.run(None, {**inputs, **past})
        past = dict(zip(past, present, strict=True))
    np.testing.assert_allclose(logits[:, -1], original_logits(model, ids.tolist()), atol=1e-3)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_onnx_stores_the_embeddings_in_8_bits(name: str, tmp_path: Path):
    """Once, also if the output shares them; nothing of their size is left in full precision."""
    onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")
    pytest.importorskip("onnxscript", reason="the extra [export] is not installed")
    folder = make_model(name, tmp_path / "model")
    result = export(folder, "onnx", out=tmp_path / "out")
    assert result.kl < 0.01
    graph = onnx.load(tmp_path / "out" / "onnx" / "model_quantized.onnx").graph
    shape = set(load_model(folder).get_input_embeddings().weight.shape)
    floats = [each for each in graph.initializer if each.data_type == onnx.TensorProto.FLOAT]
    assert not [each.name for each in floats if set(each.dims) == shape]
    assert [node.op_type for node in graph.node].count("GatherBlockQuantized") == 1


def test_ctranslate2(model: Path, tmp_path: Path):
    ctranslate2 = pytest.importorskip("ctranslate2", reason="the extra [export] is not installed")
    result = export(model, "ctranslate2", out=tmp_path / "out", quantize="float32")
    assert result.kl == pytest.approx(0, abs=1e-4)
    generator = ctranslate2.Generator(str(tmp_path / "out" / "model"))
    tokens = load_tokenizer(model).convert_ids_to_tokens(CONTEXT)
    [found] = generator.generate_batch(
        [tokens], max_length=5, sampling_topk=1, include_prompt_in_result=False
    )
    written = load_model(model).generate(torch.tensor([CONTEXT]), max_new_tokens=5, do_sample=False)
    expected = written[0, len(CONTEXT) :].tolist()
    assert found.sequences_ids[0] == [token for token in expected if token != 0]


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "gpt2"])
def test_ctranslate2_of_other_architectures(name: str, tmp_path: Path):
    """It predicts what transformers predicts, and names the story's tokens, not those of a chat."""
    pytest.importorskip("ctranslate2", reason="the extra [export] is not installed")
    folder = make_model(name, tmp_path / "model")
    result = export(folder, "ctranslate2", out=tmp_path / "out", quantize="float32")
    assert result.kl == pytest.approx(0, abs=1e-4)
    tokenizer = load_tokenizer(folder)
    story_format = find_story_format(folder, tokenizer)
    ends = tokenizer.convert_ids_to_tokens([story_format.start_id, story_format.end_id])
    config = json.loads((tmp_path / "out" / "model" / "config.json").read_text())
    assert [config["bos_token"], config["eos_token"]] == ends


def test_what_ctranslate2_cannot_convert_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    converters = pytest.importorskip(
        "ctranslate2.converters.transformers", reason="the extra [export] is not installed"
    )
    folder = make_model("gpt-neox", tmp_path / "model")
    monkeypatch.delitem(converters._MODEL_LOADERS, "GPTNeoXConfig")
    with pytest.raises(FabulaError, match="CTranslate2 cannot convert this model"):
        export(folder, "ctranslate2", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_names_the_tokens_of_a_story_and_none_of_a_chat(tmp_path: Path):
    pytest.importorskip("onnxscript", reason="the extra [export] is not installed")
    folder = make_model("llama-chat", tmp_path / "model")
    assert (folder / "chat_template.jinja").is_file()
    export(folder, "onnx", out=tmp_path / "out", quantize="none")
    tokenizer = load_tokenizer(folder)
    story_format = find_story_format(folder, tokenizer)
    names = [path.name for path in (tmp_path / "out").iterdir()]
    assert "chat_template.jinja" not in names
    for name in ("config.json", "generation_config.json"):
        stated = json.loads((tmp_path / "out" / name).read_text())
        assert (stated["bos_token_id"], stated["eos_token_id"]) == (
            story_format.start_id,
            story_format.end_id,
        )
    stated = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert not stated.get("chat_template")
    assert stated["eos_token"] == tokenizer.convert_ids_to_tokens(story_format.end_id)


def test_a_wrong_export_is_refused_and_leaves_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ctranslate2_format = pytest.importorskip(
        "fabula.exporting.ctranslate2_format", reason="the extra [export] is not installed"
    )
    write = ctranslate2_format.write

    def damaged(folder: Path, out: Path, quantize: str) -> None:
        other = tmp_path / "other"
        shutil.copytree(folder, other)
        changed = load_model(other)
        changed.transformer.ln_f.weight.data *= 3
        changed.save_pretrained(other)
        write(other, out, quantize)

    monkeypatch.setattr(ctranslate2_format, "write", damaged)
    with pytest.raises(FabulaError, match=r"worse than the original.*the limit is 1\.00\u00a0%"):
        export(model, "ctranslate2", out=tmp_path / "out", quantize="float32")
    assert not list(tmp_path.glob("out*"))


def test_the_command(model: Path, tmp_path: Path, fabula: Command):
    pytest.importorskip("ctranslate2", reason="the extra [export] is not installed")
    stories = tmp_path / "stories.txt"
    stories.write_text("Ada found a lamp.\nOld Tom hid the key.\n")
    own = tmp_path / "model"
    shutil.copytree(model, own)
    output = ""
    for _ in range(2):  # an export may be replaced
        done = fabula("export", own, "--to", "ctranslate2", "--on", stories, "--max-loss", "0.5")
        assert done.returncode == 0, done.stderr
        output = done.stdout
    assert "KL" in output
    record = json.loads((tmp_path / "model-ctranslate2" / EXPORT).read_text())
    assert record["text"] == "stories of stories.txt"
    assert [each.kl for each in ModelRecords.of(own).exports] == [record["kl"]]
    assert str(tmp_path) not in json.dumps(record)
    for arguments, message in (
        ((own, "--to", "ggfu"), "unknown format 'ggfu'; did you mean gguf?"),
        (
            (own, "--to", "ctranslate2", "--quantize", "int9"),
            "unknown quantisation 'int9'; did you mean int8",
        ),
        ((own, "--to", "ctranslate2", "--out", tmp_path), "has unexpected files"),
        ((tmp_path / "none", "--to", "gguf"), "no such folder"),
    ):
        refused = fabula("export", *arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert message in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert stories.exists()

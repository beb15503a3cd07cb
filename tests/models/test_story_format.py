"""How stories begin and end: what the tokenizer suggests, and when the model's own loss overrules it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import SHAPES, chat_tokenizer, gappy_tokenizer, gemma_tokenizer, make_model
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from fabula.errors import FabulaError
from fabula.files import cache_place
from fabula.models import story_format
from fabula.models.bases import BUNDLED_TINY
from fabula.models.load import load_model
from fabula.models.story_format import (
    STORY_FORMAT,
    StoryFormat,
    find_story_format,
    measure_story_format,
    story_format_by_rule,
)
from fabula.tokens.tokenizer import load_tokenizer


def names(found: StoryFormat, tokenizer: Any) -> tuple[str, str, bool]:
    start, end = tokenizer.convert_ids_to_tokens([found.start_id, found.end_id])
    return start, end, found.continued_with_start


def bert_tokenizer(**special: str) -> PreTrainedTokenizerFast:
    """Like that of many Chinese GPT-2s: no bos and no eos."""
    backend = Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1, "[UNK]": 2, "a": 3}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", **special)


def with_bos(tokenizer: Any) -> Any:
    """The same tokenizer, which puts its bos before every text."""
    bos, number = tokenizer.bos_token, tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, number)]
    )
    return tokenizer


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        (gappy_tokenizer(), ("<|endoftext|>", "<|endoftext|>", False)),
        (chat_tokenizer(), ("<|endoftext|>", "<|endoftext|>", False)),
        (gemma_tokenizer(), ("<bos>", "<eos>", False)),
        (with_bos(gemma_tokenizer()), ("<bos>", "<eos>", True)),
        (bert_tokenizer(cls_token="[CLS]", sep_token="[SEP]"), ("[CLS]", "[SEP]", False)),
    ],
)
def test_the_special_tokens_suggest_a_format(tokenizer: Any, expected: tuple[str, str, bool]):
    assert names(story_format_by_rule(tokenizer), tokenizer) == expected


def test_a_tokenizer_without_any_end_is_one_clear_line():
    with pytest.raises(FabulaError, match="no token that could end a story"):
        story_format_by_rule(bert_tokenizer())


class PickyModel(torch.nn.Module):
    """Predicts badly in windows that do not begin with the token `start`, and expects the token `end` everywhere."""

    device = torch.device("cpu")

    def __init__(self, vocab_size: int, start: int | None, end: int) -> None:
        super().__init__()
        self.start, self.end = start, end
        self.config = SimpleNamespace(max_position_embeddings=64, vocab_size=vocab_size)
        self.config.get_text_config = lambda: self.config

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> Any:
        logits = torch.zeros(*input_ids.shape, self.config.vocab_size)
        logits[..., self.end] += 1
        if self.start is not None and input_ids[0, 0] != self.start:
            logits[..., 5] += 8
        return SimpleNamespace(logits=logits)


@pytest.mark.parametrize(
    ("make", "start", "end", "expected"),
    [
        (gemma_tokenizer, "<bos>", "<eos>", ("<bos>", "<eos>", True)),
        (gemma_tokenizer, None, "<eos>", ("<bos>", "<eos>", False)),
        (chat_tokenizer, "<|im_start|>", "<|endoftext|>", ("<|im_start|>", "<|endoftext|>", True)),
        (chat_tokenizer, None, "<|im_end|>", ("<|endoftext|>", "<|im_end|>", False)),
    ],
)
def test_the_models_own_loss_overrules_the_rule(
    make: Any, start: str | None, end: str, expected: tuple[str, str, bool]
):
    tokenizer = make()
    ids = dict(zip((start, end), tokenizer.convert_tokens_to_ids([start or end, end]), strict=True))
    model = PickyModel(len(tokenizer), ids[start] if start else None, ids[end])
    found = measure_story_format(model, tokenizer)
    assert names(found, tokenizer) == expected
    assert "continued windows" in found.why
    assert expected[0] in found.describe(tokenizer)


def test_noise_overrules_nothing():
    by_rule, other = np.array([5.0, 5.0, 5.0, 5.0]), np.array([5.2, 5.1, 4.9, 3.9])
    assert story_format._choose({"rule": by_rule, "other": other}, "rule") == "rule"
    assert story_format._choose({"rule": by_rule, "other": by_rule - 0.2}, "rule") == "other"
    assert story_format._choose({"rule": by_rule, "other": by_rule - 0.05}, "rule") == "rule"


@pytest.mark.parametrize("name", SHAPES)
def test_a_base_is_measured_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FABULA_CACHE", str(tmp_path / "cache"))
    folder = make_model(name, tmp_path / "model")
    tokenizer = load_tokenizer(folder)
    found = find_story_format(folder, tokenizer)
    assert found.why
    assert len(list(cache_place("story_formats").glob("*.json"))) == 1
    monkeypatch.setattr(story_format, "measure_story_format", None)
    assert find_story_format(folder, tokenizer) == found


def test_the_bundled_model_has_a_record():
    assert (BUNDLED_TINY / STORY_FORMAT).is_file()
    assert find_story_format(BUNDLED_TINY, load_tokenizer(BUNDLED_TINY)).start_id == 0


def test_a_damaged_record_is_one_clear_line(tmp_path: Path):
    (tmp_path / STORY_FORMAT).write_text('{"start_id": 0}')
    with pytest.raises(FabulaError, match="end_id"):
        find_story_format(tmp_path, None)


def test_what_is_saved_agrees_with_the_format(tmp_path: Path):
    model, tokenizer = load_model(make_model("llama-chat", tmp_path / "base")), chat_tokenizer()
    StoryFormat(start_id=0, end_id=0, continued_with_start=False).apply(model, tokenizer)
    out = tmp_path / "model"
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for name in ("config.json", "generation_config.json"):
        stated = json.loads((out / name).read_text())
        assert (stated["bos_token_id"], stated["eos_token_id"]) == (0, 0)
    again = load_tokenizer(out)
    assert (again.bos_token, again.eos_token) == ("<|endoftext|>", "<|endoftext|>")
    assert again.chat_template is None
    assert not (out / "chat_template.jinja").exists()


def test_whole_stories_are_framed_and_continued_windows_begin_as_the_base_needs():
    ids = np.array([7, 8, 9], dtype=np.int64)
    wants, does_not = (
        StoryFormat(start_id=2, end_id=1, continued_with_start=choice) for choice in (True, False)
    )
    assert wants.frame(ids).tolist() == [2, 7, 8, 9, 1]
    assert wants.continue_window(ids).tolist() == [2, 8, 9]
    assert does_not.continue_window(ids).tolist() == [7, 8, 9]

"""Compares fabula's windows, for each architecture, with the model's own logits on the whole story."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import tiny_story
from tiny_models import SHAPES, make_model

from fabula.generation.transformers_engine import TransformersEngine
from fabula.models.load import context_length_of, load_model
from fabula.models.scoring import default_context_length, score_tokens
from fabula.models.story_format import StoryFormat, find_story_format
from fabula.tokens.cache import TokenisedStories
from fabula.tokens.tokenizer import encode, load_tokenizer
from fabula.tokens.windows import Windows
from fabula.training.loss import StoryLoss, as_tensors


@pytest.fixture(scope="module", params=SHAPES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    folder = make_model(request.param, tmp_path_factory.mktemp(request.param))
    return folder, load_model(folder), load_tokenizer(folder)


def own_losses(model: Any, ids: np.ndarray) -> np.ndarray:
    """Nats of every token but the first, from the model's own logits on all of them at once."""
    with torch.inference_mode():
        input_ids = torch.from_numpy(ids)
        logits = model(input_ids[None, :-1]).logits[0]
        return torch.nn.functional.cross_entropy(logits, input_ids[1:], reduction="none").double().numpy()


def test_a_sliding_window_is_no_limit_of_the_context(base: tuple[Path, Any, Any]):
    _, model, _ = base
    assert context_length_of(model.config) == 64
    assert default_context_length(model) == 64


def test_scoring_gives_the_models_own_losses(base: tuple[Path, Any, Any]):
    folder, model, tokenizer = base
    story_format = find_story_format(folder, tokenizer, model)
    stories = [
        story_format.frame(ids)[:64] for ids in encode(tokenizer, [tiny_story(n, 1 + n) for n in range(5)])
    ]
    for ids, losses in zip(stories, score_tokens(model, stories, story_format), strict=True):
        assert losses == pytest.approx(own_losses(model, ids), abs=1e-4)


@pytest.mark.parametrize("with_start", [False, True])
def test_scoring_of_a_long_story_differs_by_the_shorter_context_alone(
    base: tuple[Path, Any, Any], with_start: bool
):
    _, model, tokenizer = base
    story_format = StoryFormat(start_id=1, end_id=0, continued_with_start=with_start)
    (ids,) = encode(tokenizer, [tiny_story(0, 40)])
    ids = story_format.frame(ids)[:60]
    (losses,) = score_tokens(model, [ids], story_format, context_length=32, stride=16)
    assert losses[:31] == pytest.approx(own_losses(model, ids)[:31], abs=1e-4)
    for begin in (16, 32):
        window = ids[begin : begin + 32].copy()
        window[0] = 1 if with_start else window[0]
        scored = own_losses(model, window)[15:]
        assert losses[begin + 15 : begin + 31][: len(scored)] == pytest.approx(scored, abs=1e-4)


@pytest.mark.parametrize("with_start", [False, True])
def test_training_windows_give_the_models_own_losses(base: tuple[Path, Any, Any], with_start: bool):
    _, model, tokenizer = base
    story_format = StoryFormat(start_id=1, end_id=0, continued_with_start=with_start)
    texts = [tiny_story(n, sentences) for n, sentences in enumerate((1, 0, 2, 20))]
    stories = [story_format.frame(ids) for ids in encode(tokenizer, texts)]
    offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in stories])])
    tokenised = TokenisedStories(np.concatenate(stories).astype(np.uint16), offsets)
    windows = Windows(tokenised, 64, left_context=8, continued_start=1 if with_start else None)
    expected = 0.0
    for ids in stories:
        losses = own_losses(model, ids[:65])
        expected += losses.sum()
        done = len(losses)
        while done < len(ids) - 1:
            piece = ids[done - 8 : done + 57].copy()
            piece[0] = 1 if with_start else piece[0]
            expected += own_losses(model, piece)[8:].sum()
            done += len(piece) - 9
    loss = StoryLoss(model)
    with torch.no_grad():
        found = sum(
            float(loss(*as_tensors(windows.batch([number], 0), torch.device("cpu"))))
            for number in range(len(windows))
        )
    assert found == pytest.approx(expected, rel=1e-5)


def test_writing_sees_the_models_own_logits(base: tuple[Path, Any, Any]):
    folder, model, tokenizer = base
    (ids,) = encode(tokenizer, [tiny_story(0, 20)])
    engine = TransformersEngine(folder)
    batch = engine.read([ids[:40].tolist(), ids[:23].tolist()])
    for length in range(40, 45):
        with torch.inference_mode():
            own = model(torch.from_numpy(ids[:length].astype(np.int64))[None]).logits[0, -1]
        assert batch.logits_BV[0] == pytest.approx(own.numpy(), abs=1e-3)
        batch.step([0], [int(ids[length])])

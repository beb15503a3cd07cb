"""Experiment trackers get every row of the log."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from fabula.errors import FabulaError
from fabula.results import ValidationRow
from fabula.training.recipe import Recipe
from fabula.training.track import Tracker
from fabula.training.train import train

QUICK = Recipe(num_epochs=2, batch_tokens=256, context_length=64, num_validations=2)


def test_an_unknown_tracker_is_one_clear_line(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    with pytest.raises(FabulaError, match="did you mean tensorboard"):
        train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK, track="tensorbord")


def test_a_tracker_that_is_not_installed_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(FabulaError, match=r"pip install .*wandb"):
        Tracker("wandb", tmp_path, "run", {})


def test_wandb_and_trackio_get_every_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    calls: list[Any] = []
    fake: Any = types.ModuleType("trackio")
    fake.init = lambda **values: calls.append(("init", values))
    fake.log = lambda row, step: calls.append((step, row))
    fake.finish = lambda: calls.append("finish")
    monkeypatch.setitem(sys.modules, "trackio", fake)
    tracker = Tracker("trackio", tmp_path, "mine", {"seed": 1})
    tracker.log(ValidationRow(step=3, seconds=1.5, val_loss=2.5, bits_per_byte=1.25))
    tracker.close()
    assert calls == [
        ("init", {"project": "fabula", "name": "mine", "config": {"seed": 1}}),
        (3, {"seconds": 1.5, "val_loss": 2.5, "bits_per_byte": 1.25}),
        "finish",
    ]


def test_tensorboard_gets_the_curves(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK, track="tensorboard")
    events = EventAccumulator(str(tmp_path / "model.tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train_loss")] == list(
        range(1, result.counts.num_steps + 1)
    )
    assert events.Scalars("bits_per_byte")[0].value == pytest.approx(result.counts.base_bits_per_byte)

"""Trackers, and what a training is expected to take."""

import shutil
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import pytest

from fabula.errors import FabulaError
from fabula.training.estimate import estimate
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
    tracker.log({"step": 3, "train_loss": 2.5})
    tracker.close()
    assert calls == [
        ("init", {"project": "fabula", "name": "mine", "config": {"seed": 1}}),
        (3, {"train_loss": 2.5}),
        "finish",
    ]


def test_tensorboard_gets_the_curves(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK, track="tensorboard")
    events = EventAccumulator(str(tmp_path / "model.tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train_loss")] == list(range(1, result.num_steps + 1))
    assert events.Scalars("bits_per_byte")[0].value == pytest.approx(result.base_bits_per_byte)


def test_the_estimate_counts_what_the_training_does(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    expected = estimate(tiny_corpus_dir, base=tiny_gpt2_dir, recipe=QUICK, out=tmp_path / "not" / "there")
    result = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK)
    assert expected.num_stories == 40
    assert expected.num_parameters == result.num_parameters
    assert expected.num_tokens == pytest.approx(result.num_tokens / 2, rel=0.25)
    assert expected.num_steps == pytest.approx(result.num_steps, rel=0.25)
    assert expected.tokens_per_second > 0
    assert expected.free_disk_gb > expected.disk_gb > 0


def test_an_estimate_for_raw_stories_and_the_bundled_base(tmp_path: Path):
    path = tmp_path / "stories.txt"
    path.write_text("".join(f"<sos> Story {n} of a fox. <nl> It ends. <eos>\n" for n in range(50)))
    expected = estimate(path, recipe=QUICK)
    assert expected.num_stories == 50
    assert expected.num_parameters > 1_000_000


def test_an_estimate_leaves_nothing_behind(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    estimate(tiny_corpus_dir, base=tiny_gpt2_dir, recipe=QUICK, out=tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_predicted_elsewhere(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = shutil.disk_usage(tmp_path)
    folders: list[Path | None] = []

    class Recorded(tempfile.TemporaryDirectory[str]):
        def __init__(self, prefix: str | None = None, dir: Path | None = None) -> None:
            folders.append(dir)
            super().__init__(prefix=prefix, dir=dir)

    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1000))
    monkeypatch.setattr("fabula.training.estimate.tempfile.TemporaryDirectory", Recorded)
    expected = estimate(tiny_corpus_dir, base=tiny_gpt2_dir, recipe=QUICK, out=tmp_path / "model")
    assert expected.disk_gb > expected.free_disk_gb
    assert folders[0] is None


def test_one_story_is_not_enough_for_an_estimate(tmp_path: Path):
    path = tmp_path / "stories.txt"
    path.write_text("<sos> A fox. <eos>\n")
    with pytest.raises(FabulaError, match="only one story") as caught:
        estimate(path, recipe=QUICK)
    assert caught.value.where == path

"""What a training is expected to take."""

import shutil
import tempfile
from pathlib import Path

import pytest

from fabula.errors import FabulaError
from fabula.training.predict import predict_training
from fabula.training.recipe import Recipe
from fabula.training.train import train

QUICK = Recipe(num_epochs=2, batch_tokens=256, context_length=64, num_validations=2)


def test_the_prediction_counts_what_the_training_does(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    expected = predict_training(
        tiny_corpus_dir, base=tiny_gpt2_dir, recipe=QUICK, out=tmp_path / "not" / "there"
    )
    result = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK)
    assert expected.num_stories == 40
    assert expected.num_parameters == result.counts.num_parameters
    assert expected.num_tokens == pytest.approx(result.counts.num_tokens / 2, rel=0.25)
    assert expected.num_steps == pytest.approx(result.counts.num_steps, rel=0.25)
    assert expected.tokens_per_second > 0
    assert expected.smaller_recipe is None
    assert expected.free_disk_gb > expected.disk_gb > 0


def test_a_prediction_for_raw_stories_and_the_bundled_base(tmp_path: Path):
    path = tmp_path / "stories.txt"
    path.write_text("".join(f"<sos> Story {n} of a fox. <nl> It ends. <eos>\n" for n in range(50)))
    expected = predict_training(path, base="tiny", recipe=QUICK)
    assert expected.num_stories == 50
    assert expected.num_parameters > 1_000_000


def test_a_prediction_leaves_nothing_behind(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    predict_training(tiny_corpus_dir, base=tiny_gpt2_dir, recipe=QUICK, out=tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_with_a_full_disk_the_prediction_is_made_elsewhere(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = shutil.disk_usage(tmp_path)
    folders: list[Path | None] = []

    class Recorded(tempfile.TemporaryDirectory[str]):
        def __init__(self, prefix: str | None = None, dir: Path | None = None) -> None:
            folders.append(dir)
            super().__init__(prefix=prefix, dir=dir)

    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1000))
    monkeypatch.setattr("fabula.training.predict.tempfile.TemporaryDirectory", Recorded)
    expected = predict_training(tiny_corpus_dir, base=tiny_gpt2_dir, recipe=QUICK, out=tmp_path / "model")
    assert expected.disk_gb > expected.free_disk_gb
    assert folders[0] is None


def test_one_story_is_not_enough_for_a_prediction(tmp_path: Path):
    path = tmp_path / "stories.txt"
    path.write_text("<sos> A fox. <eos>\n")
    with pytest.raises(FabulaError, match="only one story") as caught:
        predict_training(path, base="tiny", recipe=QUICK)
    assert caught.value.where == path

"""Which base `fabula doctor` would choose."""

from pathlib import Path

import pytest

from fabula.models.bases import BASE_BY_NAME, BASES
from fabula.training import choose_base
from fabula.training.choose_base import compare_bases
from fabula.training.predict import TrainingPrediction
from fabula.training.recipe import Recipe


def prediction(num_parameters: int, tokens_per_second: float, memory_gb: float) -> TrainingPrediction:
    return TrainingPrediction(
        num_stories=9, num_tokens=1000, num_parameters=num_parameters, num_steps=5,
        tokens_per_second=tokens_per_second, seconds=60.0, memory_gb=memory_gb, smaller_recipe=None, smaller_memory_gb=None,
        disk_gb=1.0, free_memory_gb=8.0, free_disk_gb=9.0, device="2 CPU threads",
    )  # fmt: skip


@pytest.fixture
def at_hand(monkeypatch: pytest.MonkeyPatch) -> dict[str, TrainingPrediction]:
    """The bases on the machine, and their training speeds."""
    found = {"tiny": prediction(3_451_008, 8000.0, 1.0)}
    monkeypatch.setattr(choose_base, "is_at_hand", lambda name: name in found)
    monkeypatch.setattr(choose_base, "predict_training", lambda _, base, recipe: found[base])
    return found


def test_every_base_of_the_table_is_compared_smallest_first(at_hand: dict[str, TrainingPrediction]):
    comparison = compare_bases("stories.txt")
    sizes = [each.base.num_parameters for each in comparison.predictions]
    assert sizes == sorted(base.num_parameters for base in BASES)
    assert [each.base.name for each in comparison.predictions if each.measured] == ["tiny"]
    assert comparison.chosen.base.name == "tiny"


def test_the_largest_at_hand_that_fits_and_is_quick_enough_is_chosen(at_hand: dict[str, TrainingPrediction]):
    at_hand["smollm2-135m"] = prediction(134_515_008, 400.0, 3.5)
    assert compare_bases("stories.txt").chosen.base.name == "smollm2-135m"
    at_hand["smollm2-135m"] = prediction(134_515_008, 90.0, 3.5)
    assert compare_bases("stories.txt").chosen.base.name == "smollm2-135m", "in eleven minutes instead of ten"
    at_hand["smollm2-135m"] = prediction(134_515_008, 16.0, 3.5)
    assert compare_bases("stories.txt").chosen.base.name == "tiny"
    at_hand["smollm2-135m"] = prediction(134_515_008, 400.0, 8.5)
    assert compare_bases("stories.txt").chosen.base.name == "tiny"


def test_others_are_predicted_from_the_tried_base_of_the_nearest_size(
    at_hand: dict[str, TrainingPrediction],
):
    at_hand["smollm2-135m"] = prediction(134_515_008, 400.0, 3.5)
    comparison = compare_bases("stories.txt", recipe=Recipe(num_epochs=1))
    by_name = {each.base.name: each for each in comparison.predictions}
    larger, ratio = by_name["smollm2-360m"], BASE_BY_NAME["smollm2-360m"].num_parameters / 134_515_008
    assert larger.seconds == pytest.approx(60 * ratio)
    assert larger.tokens_per_second == pytest.approx(400 / ratio)
    assert by_name["gpt2-large"].fits, "with adapters"
    assert not by_name["smollm2-1.7b"].fits
    assert comparison.larger is not None
    assert comparison.larger.base.name == "pythia-410m"


def test_the_bundled_base_is_really_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(choose_base, "is_at_hand", lambda name: name == "tiny")
    path = tmp_path / "stories.txt"
    path.write_text("".join(f"<sos> Story {n} of a fox. <nl> It ends. <eos>\n" for n in range(20)))
    quick = Recipe(num_epochs=1, batch_tokens=256, context_length=64, num_validations=1)
    tried = compare_bases(path, recipe=quick).chosen
    assert tried.measured is not None
    assert tried.measured.num_stories == 20
    assert tried.seconds > 0

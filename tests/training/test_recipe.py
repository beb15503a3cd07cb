"""Recipes: documented, checked, and the learning rates that they lead to."""

import warnings
from pathlib import Path

import pytest

from fabula.errors import FabulaError
from fabula.training.recipe import ModelSize, Recipe, load_recipe, recipe_names


def test_every_field_is_documented():
    for name, field in Recipe.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipes_that_come_along_are_valid_and_survive_toml(name: str, tmp_path):
    recipe = load_recipe(name)
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    assert load_recipe(path) == recipe


def test_the_default_recipe_is_the_records_defaults():
    assert load_recipe("default") == Recipe()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("learning_rte = 1e-4", "did you mean learning_rate"),
        ("learning_rate = -1", "greater than 0"),
        ("dropout = 1.0", "less than 1"),
        ('schedule = "step"', "linear"),
        ("num_epochs = 'three'", "number"),
        ("num_epochs =", "not valid TOML"),
    ],
)
def test_a_bad_recipe_is_one_clear_line(line: str, expected: str, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(line)
    with pytest.raises(FabulaError, match=expected) as error:
        load_recipe(path)
    assert str(path) in str(error.value)


def test_an_unknown_recipe_is_one_clear_line():
    with pytest.raises(FabulaError, match="did you mean notebook"):
        load_recipe("notebok")


def test_fields_behind_a_name_replace_those_of_the_recipe(tmp_path: Path):
    changed = load_recipe("full,learning_rate=3e-05,precision=bf16,learning_rate=1e-05")
    assert changed == load_recipe("full").model_copy(update={"learning_rate": 1e-05, "precision": "bf16"})
    path = tmp_path / "mine.toml"
    path.write_text("num_epochs = 2\n")
    assert load_recipe(f"{path}, lora_rank = 4") == Recipe(num_epochs=2, lora_rank=4)
    for name, expected in (
        ("default,lr=1", "unknown field 'lr'"),
        ("default,lora_rank", "whole number"),
        ("fulll,lora_rank=4", "did you mean full"),
    ):
        with pytest.raises(FabulaError, match=expected):
            load_recipe(name)


@pytest.mark.parametrize(
    ("schedule", "middle"), [("linear", 0.5), ("cosine", 0.5), ("cooldown", 1.0), ("constant", 1.0)]
)
def test_schedules(schedule: str, middle: float):
    recipe = Recipe.parse({"schedule": schedule, "warmup_steps": 100})
    factors = [recipe.learning_rate_factor(step / 1000, step, 1000) for step in range(1000)]
    assert factors[0] == 0
    assert factors[50] == 0.5
    assert factors[100] == max(factors) == 1
    assert factors[550] == pytest.approx(middle)
    assert factors[100:] == sorted(factors[100:], reverse=True)
    assert recipe.learning_rate_factor(1.0, 1000, 1000) == pytest.approx(
        1.0 if schedule == "constant" else 0.0
    )


def test_without_a_number_the_warm_up_is_a_twentieth_and_no_step_is_lost():
    recipe = Recipe()
    assert recipe.learning_rate_factor(0.0, 0, 1) == 1
    assert recipe.learning_rate_factor(0.0, 0, 1000) == 0.02
    assert recipe.learning_rate_factor(0.049, 49, 1000) == 1
    assert recipe.learning_rate_factor(0.525, 525, 1000) == pytest.approx(0.5)


def test_a_warm_up_longer_than_the_training_never_ends():
    """As in the notebook baseline: 500 steps of warm-up, whatever the number of steps."""
    recipe = Recipe(warmup_steps=500)
    assert recipe.learning_rate_factor(0.99, 297, 300) == 297 / 500


def test_a_large_model_takes_small_batches():
    def windows(recipe: Recipe, size: int, on_cpu: bool = True, num_windows: int = 1000) -> int:
        return recipe.batch_size(num_windows, 512, size, on_cpu=on_cpu)

    assert windows(Recipe(), 135_000_000) == 1
    assert [windows(Recipe(), 135_000_000, False, number) for number in (80, 530, 1000)] == [1, 5, 8]
    assert windows(Recipe(), 3_500_000) == windows(Recipe(), 3_500_000, on_cpu=False) == 4
    assert windows(Recipe(batch_tokens=1024), 135_000_000) == 2


def test_the_learning_rate_falls_with_size():
    recipe = Recipe()
    rates = [
        recipe.peak_learning_rate(size, fresh=False)
        for size in (2_000_000, 30_000_000, 120_000_000, 1_500_000_000)
    ]
    assert rates == sorted(rates, reverse=True)
    assert 5e-5 <= rates[-1] <= rates[0] <= 2e-3
    assert recipe.peak_learning_rate(120_000_000, fresh=True) == 4 * rates[2]
    adapters = recipe.for_model(ModelSize(135_000_000), fresh=False)
    assert adapters.peak_learning_rate(9_768_960, fresh=False) == pytest.approx(1.5e-3, rel=0.01)


def test_a_large_base_model_is_trained_by_adapters_unless_the_recipe_says_otherwise():
    def rank(recipe: Recipe, num_parameters: int, fresh: bool = False, model_type: str = "") -> int | None:
        size = ModelSize(num_parameters, model_type=model_type)
        return recipe.for_model(size, fresh=fresh).lora_rank

    assert rank(Recipe(), 135_000_000) == 32
    assert rank(Recipe(), 3_500_000) == rank(Recipe(), 135_000_000, fresh=True) == 0
    assert rank(Recipe(freeze=0.5), 135_000_000) == rank(load_recipe("full"), 135_000_000) == 0
    assert rank(load_recipe("notebook"), 135_000_000) == 0
    assert rank(Recipe(), 135_000_000, model_type="mamba") == 0
    assert rank(Recipe(lora_rank=4), 3_500_000) == 4
    with pytest.raises(FabulaError, match="type mamba cannot have adapters; leave it out"):
        rank(Recipe(lora_rank=4), 135_000_000, model_type="mamba")


def test_a_lora_adapter_is_added_without_a_warning(tiny_gpt2_dir: Path):
    from fabula.models.load import load_model
    from fabula.training.weights import choose_trained

    with warnings.catch_warnings(action="error"):
        choose_trained(load_model(tiny_gpt2_dir), Recipe(lora_rank=4))

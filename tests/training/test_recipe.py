"""Recipes: documented, checked, and the learning rates that they lead to."""

import pytest

from fabula.errors import FabulaError
from fabula.training.recipe import Recipe, load_recipe, recipe_names


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
    with pytest.raises(FabulaError, match="did you mean lora"):
        load_recipe("lore")


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
    """As in the seed: 500 steps of warm-up, whatever the number of steps."""
    recipe = Recipe(warmup_steps=500)
    assert recipe.learning_rate_factor(0.99, 297, 300) == 297 / 500


def test_where_time_is_short_the_lower_layers_of_a_large_base_are_frozen_on_a_cpu():
    def frozen(recipe: Recipe, size: int, minutes: float | None, on_cpu: bool = True, fresh: bool = False):
        return recipe.frozen_share(size, minutes, on_cpu=on_cpu, fresh=fresh)

    assert frozen(Recipe(), 135_000_000, 3) == frozen(Recipe(), 135_000_000, 13) == pytest.approx(2 / 3)
    assert frozen(Recipe(), 135_000_000, 14) == frozen(Recipe(), 135_000_000, None) == 0
    assert frozen(Recipe(), 3_500_000, 0.1) == 0
    assert frozen(Recipe(), 135_000_000, 3, on_cpu=False) == frozen(Recipe(), 135_000_000, 3, fresh=True) == 0
    assert frozen(Recipe(lora_rank=16), 135_000_000, 3) == 0
    assert frozen(Recipe(freeze=0.5), 3_500_000, None) == 0.5


def test_the_learning_rate_falls_with_size():
    recipe = Recipe()
    rates = [
        recipe.peak_learning_rate(size, fresh=False)
        for size in (2_000_000, 30_000_000, 120_000_000, 1_500_000_000)
    ]
    assert rates == sorted(rates, reverse=True)
    assert 5e-5 <= rates[-1] <= rates[0] <= 2e-3
    assert recipe.peak_learning_rate(120_000_000, fresh=True) == 4 * rates[2]

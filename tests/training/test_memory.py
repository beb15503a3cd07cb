"""The recipe that fits into the free memory."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from fabula.cli.app import app, register
from fabula.models.find import BUNDLED_TINY
from fabula.models.load import load_model
from fabula.training.memory import FREE_SHARE, count_parameters, memory_gb, smaller_recipe
from fabula.training.recipe import load_recipe

SMOLLM2 = 134_515_008, 28_311_552
"""Parameters of SmolLM2-135M, and those of its embeddings."""


def test_the_smaller_recipes_fit_half_the_memory():
    full, adapters = (memory_gb(load_recipe(name), *SMOLLM2) for name in ("full", "default"))
    assert adapters < 4 < full < 8


@pytest.mark.parametrize(("free_gb", "expected"), [(8, None), (4.8, None), (3.5, "default"), (1, None)])
def test_the_first_recipe_that_fits_is_named(free_gb: float, expected: str | None):
    assert smaller_recipe(load_recipe("full"), *SMOLLM2, free_gb) == expected


def test_parameters_are_counted_without_loading_the_model():
    model = load_model(BUNDLED_TINY)
    embeddings = model.transformer.wte.weight.numel() + model.transformer.wpe.weight.numel()
    assert count_parameters(BUNDLED_TINY) == (model.num_parameters(), embeddings)


def test_doctor_names_the_recipe_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "stories.txt"
    path.write_text("".join(f"<sos> Story {n} of a fox. <nl> It ends. <eos>\n" for n in range(20)))
    monkeypatch.setattr("fabula.training.recipe.LARGE", 0)
    size = count_parameters(BUNDLED_TINY)
    full, adapters = (memory_gb(load_recipe(name), *size) for name in ("full", "default"))
    register()

    def say(needed: float) -> str:
        free = int(needed / FREE_SHARE * 1e9)
        monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free, total=8e9))
        result = CliRunner().invoke(app, ["doctor", str(path), "--base", "tiny", "--recipe", "full"])
        assert result.exit_code == 0, result.output
        return result.output

    assert "fits       --recipe default" in say((full + adapters) / 2)
    assert "choose a smaller base model" in say(0.1)

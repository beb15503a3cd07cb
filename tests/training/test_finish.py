"""A training that is asked to end early keeps its best weights and is finished."""

from pathlib import Path

from fabula.progress import Progress
from fabula.training.recipe import Recipe
from fabula.training.train import train


def test_a_file_ends_the_training(tmp_path: Path, tiny_gpt2_dir: Path, tiny_corpus_dir: Path):
    said: list[str] = []

    def ask(progress: Progress) -> None:
        said.append(progress.message)
        if "train_loss" in progress.values and progress.values.get("step", progress.done) >= 3:
            (tmp_path / "model.checkpoints" / "finish").touch()

    recipe = Recipe(num_epochs=50, batch_tokens=256, context_length=64, num_validations=2, learning_rate=0.01)
    result = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=recipe, on_progress=ask)
    assert result.counts.num_steps == 3
    assert result.counts.best_step == 3
    assert result.counts.bits_per_byte < result.counts.base_bits_per_byte
    assert any(message.startswith("ended early, as you asked") for message in said)
    assert not (tmp_path / "model.checkpoints").exists()
    assert not train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=recipe).is_new

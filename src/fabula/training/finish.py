"""The end of a training: writes the model folder from the weights that scored best."""

import shutil
from pathlib import Path

from fabula.files import atomic_folder, library_versions
from fabula.models.load import load_model
from fabula.models.quiet import quiet
from fabula.results import LOG, RECIPE_FILE, TrainingCounts, TrainingManifest
from fabula.training.checkpoints import Checkpoints, State
from fabula.training.data import openings_of
from fabula.training.job import FRESH_BASE
from fabula.training.setup import Setup
from fabula.training.weights import choose_trained


def write_model(setup: Setup, state: State) -> None:
    """Write the model folder of a finished training. One process does this, even if the weights are sharded."""
    job, recipe = setup.job, setup.recipe
    best = recipe.keep == "best"
    model = setup.model
    checkpoints = Checkpoints(job.work, setup.workers.alone())
    if best and state.best_step == 0:
        model = load_model(job.base_folder)
    else:
        if setup.is_sharded:
            model = choose_trained(load_model(job.base_folder), recipe)
        if best and (setup.is_sharded or state.best_step != state.step):
            checkpoints.restore_weights(model, "best", state.best_step)
        elif setup.is_sharded:
            checkpoints.restore_weights(model, "step", state.step)
        if recipe.lora_rank:
            model = model.merge_and_unload()
    model.generation_config.do_sample = True
    setup.story_format.apply(model, setup.tokenizer)
    counts = TrainingCounts(
        num_steps=state.step,
        num_tokens=state.num_tokens,
        num_parameters=setup.sizes.num_parameters,
        num_trained=setup.sizes.num_trained,
        padding=setup.windows.padding,
        best_step=state.best_step if best else state.step,
        val_loss=state.best_val_loss if best else state.last_val_loss,
        bits_per_byte=state.best_bits_per_byte if best else state.last_bits_per_byte,
        base_val_loss=state.base_val_loss,
        base_bits_per_byte=state.base_bits_per_byte,
    )
    manifest = TrainingManifest(
        stage="train",
        fingerprint=job.fingerprint,
        inputs=job.inputs,
        config=job.config,
        counts=counts,
        versions=library_versions("torch", "transformers", "tokenizers"),
    )
    with atomic_folder(job.out) as folder, quiet():
        model.save_pretrained(folder)
        setup.tokenizer.save_pretrained(folder)
        setup.story_format.write(folder)
        if recipe.markup == "newline":
            openings_of(setup.windows.stories, setup.tokenizer).write(folder)
        (folder / RECIPE_FILE).write_text(recipe.to_toml(), encoding="utf-8")
        shutil.copyfile(job.work / LOG, folder / LOG)
        if job.base is None:
            shutil.copytree(job.base_folder, folder / FRESH_BASE)
        manifest.write(folder)
        if job.is_continued:
            _keep_other_files(job.out, folder)


def _keep_other_files(before: Path, after: Path) -> None:
    """Copy the other files in the folder of a continued model: a model card, notes, the weights it began with."""
    for path in before.iterdir():
        if path.suffix != ".safetensors" and not (after / path.name).exists():
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, after / path.name)

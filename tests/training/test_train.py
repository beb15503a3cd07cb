"""`train`: its results, and that no failure loses them. FABULA_KILLS=20 runs the long version of the kill test."""

import json
import math
import multiprocessing
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY_STORIES, Command, write_corpus
from safetensors.torch import load_file

from fabula.corpus.store import open_corpus
from fabula.errors import FabulaError
from fabula.files import hash_file, hash_path
from fabula.models.story_format import story_format_by_rule
from fabula.progress import Progress, silent
from fabula.results import TrainingManifest
from fabula.tokens.tokenizer import load_tokenizer
from fabula.tokens.windows import Windows
from fabula.training.clock import Clock
from fabula.training.data import ValidationStories, training_tokens, validation_stories
from fabula.training.recipe import Recipe, load_recipe
from fabula.training.train import TrainResult, train

QUICK = Recipe(
    num_epochs=3,
    batch_tokens=128,
    context_length=64,
    learning_rate=3e-3,
    num_validations=3,
    validation_share=10,
    precision="fp32",
)

NUM_KILLS = int(os.environ.get("FABULA_KILLS", "3"))

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["fabula.training.loop", "fabula.corpus.store", "peft"])


def weights(result: TrainResult) -> str:
    return hash_file(result.model / "model.safetensors")


def rows(result: TrainResult) -> list[dict]:
    return [json.loads(line) for line in result.log.read_text().splitlines()]


def largest_difference(one: Path, two: Path) -> float:
    a, b = (load_file(folder / "model.safetensors") for folder in (one, two))
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


@pytest.fixture(scope="module")
def undisturbed(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    out = tmp_path_factory.mktemp("undisturbed") / "model"
    return train(tiny_corpus_dir, out, base=tiny_gpt2_dir, recipe=QUICK)


def test_training_makes_a_better_model_that_every_tool_loads(undisturbed: TrainResult):
    from transformers import AutoModelForCausalLM, pipeline

    assert undisturbed.counts.bits_per_byte < 0.9 * undisturbed.counts.base_bits_per_byte
    assert (
        AutoModelForCausalLM.from_pretrained(undisturbed.model).num_parameters()
        == undisturbed.counts.num_parameters
    )
    write = pipeline("text-generation", model=str(undisturbed.model))
    assert len(write("Once upon", max_new_tokens=5)[0]["generated_text"]) > len("Once upon")


def test_the_log_has_losses_and_validations(undisturbed: TrainResult):
    losses = [row for row in rows(undisturbed) if "train_loss" in row]
    validations = [row for row in rows(undisturbed) if "val_loss" in row]
    assert [row["step"] for row in losses] == list(range(1, undisturbed.counts.num_steps + 1))
    assert losses[-1]["train_loss"] < losses[0]["train_loss"]
    assert losses[-1]["epoch"] == 3
    assert set(losses[0]) == {"step", "epoch", "seconds", "train_loss", "learning_rate", "tokens_per_second"}
    assert len(validations) == 4
    assert validations[0]["bits_per_byte"] == undisturbed.counts.base_bits_per_byte
    assert min(row["val_loss"] for row in validations) == undisturbed.counts.val_loss


def test_the_model_scores_what_the_log_says(undisturbed: TrainResult, tiny_corpus_dir: Path):
    from fabula.corpus.store import open_corpus
    from fabula.evaluation.likelihood import score_texts, sum_scores
    from fabula.models.load import load_model
    from fabula.models.story_format import find_story_format
    from fabula.tokens.tokenizer import load_tokenizer

    texts = [story.text for story in open_corpus(tiny_corpus_dir).stories("validation")]
    folder = undisturbed.model
    tokenizer = load_tokenizer(folder)
    scores = sum_scores(
        score_texts(load_model(folder), tokenizer, texts, find_story_format(folder, tokenizer))
    )
    assert scores.bits_per_byte == pytest.approx(undisturbed.counts.bits_per_byte, rel=1e-6)


def test_the_same_call_on_a_finished_model_does_nothing(
    undisturbed: TrainResult, tiny_corpus_dir: Path, tiny_gpt2_dir: Path
):
    before = (undisturbed.model / "model.safetensors").stat().st_mtime_ns
    again = train(tiny_corpus_dir, undisturbed.model, base=tiny_gpt2_dir, recipe=QUICK)
    assert not again.is_new
    assert (undisturbed.model / "model.safetensors").stat().st_mtime_ns == before
    assert again.counts.bits_per_byte == undisturbed.counts.bits_per_byte
    assert not list(undisturbed.model.parent.glob("*.checkpoints"))


def test_a_finished_model_is_never_replaced_unasked(
    undisturbed: TrainResult, tiny_corpus_dir: Path, tiny_gpt2_dir: Path
):
    before = hash_path(undisturbed.model)
    other = QUICK.model_copy(update={"learning_rate": 1e-3})
    with pytest.raises(FabulaError, match=r"another learning_rate.*another folder.*--continue"):
        train(tiny_corpus_dir, undisturbed.model, base=tiny_gpt2_dir, recipe=other)
    with pytest.raises(FabulaError, match="another base, seed, max_minutes"):
        train(tiny_corpus_dir, undisturbed.model, base="tiny", recipe=QUICK, seed=1, max_minutes=1)
    assert hash_path(undisturbed.model) == before


def test_a_finished_model_is_trained_further_where_that_is_asked_for(
    undisturbed: TrainResult, tiny_corpus_dir: Path, tmp_path: Path
):
    out = tmp_path / "model"
    shutil.copytree(undisturbed.model, out)
    (out / "README.md").write_text("My model")
    further = train(tiny_corpus_dir, out, recipe=QUICK, if_trained="continue")
    assert further.base is None
    assert further.counts.base_bits_per_byte == pytest.approx(undisturbed.counts.bits_per_byte, rel=1e-6)
    assert further.counts.bits_per_byte < undisturbed.counts.bits_per_byte
    assert (out / "README.md").read_text() == "My model"
    again = train(tiny_corpus_dir, out, recipe=QUICK, if_trained="continue")
    assert again.counts.base_bits_per_byte == pytest.approx(further.counts.bits_per_byte, rel=1e-6)


def test_the_best_weights_are_kept_when_the_time_seems_over_during_a_validation(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """While a validation takes long, no time seems to be left for steps; afterwards less time is reserved, and steps follow."""
    losses = iter([3.0, 1.0, 2.0, 2.0])
    is_over = False
    validated = Clock.validated

    def score(*_: Any) -> tuple[float, float]:
        nonlocal is_over
        is_over = True
        loss = next(losses)
        return loss, loss

    def end(clock: Clock, seconds: float) -> None:
        nonlocal is_over
        is_over = False
        validated(clock, seconds)

    monkeypatch.setattr("fabula.training.loop.score", score)
    monkeypatch.setattr(Clock, "validated", end)
    monkeypatch.setattr(Clock, "share_used", lambda _: float(is_over))
    monkeypatch.setattr(Clock, "is_save_due", lambda *_, **__: False)
    recipe = QUICK.model_copy(update={"patience": 0})
    counts = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=recipe).counts
    assert 0 < counts.best_step < counts.num_steps
    assert counts.val_loss == 1.0


def test_what_cannot_be_continued_is_one_clear_line(
    undisturbed: TrainResult, tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    with pytest.raises(FabulaError, match="no finished model"):
        train(tiny_corpus_dir, tmp_path / "model", if_trained="continue")
    with pytest.raises(FabulaError, match="with --continue"):
        train(tiny_corpus_dir, undisturbed.model, base=tiny_gpt2_dir, if_trained="continue")


def test_a_step_is_taken_however_short_the_time_is(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    result = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK, max_minutes=0.001)
    assert result.counts.num_steps >= 1
    assert result.counts.best_step >= 1
    assert not result.counts.is_base


def test_a_training_that_gains_nothing_keeps_the_base_and_says_so(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, fabula: Command
):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(QUICK.model_copy(update={"learning_rate": 1e-12, "num_epochs": 0.1}).to_toml())
    words = ["--base", tiny_gpt2_dir, "--recipe", recipe, "--out", tmp_path / "model", "--quiet"]
    done = fabula("train", tiny_corpus_dir, *words)
    assert done.returncode == 0, done.stderr
    manifest = TrainingManifest.find(tmp_path / "model")
    assert manifest is not None
    assert manifest.counts.is_base
    *_, failure, following, again = done.stdout.splitlines()
    assert failure.startswith("Training did not help")
    assert following == "Next:  add stories, or try a third of the learning rate:"
    slower = f"{recipe},learning_rate=3.3e-13"
    assert again.endswith(f"--no-resume --base {tiny_gpt2_dir} --recipe {slower}")
    assert load_recipe(slower) == QUICK.model_copy(update={"learning_rate": 3.3e-13, "num_epochs": 0.1})
    _, _, printed = again.partition(" train ")
    done = fabula("train", *shlex.split(printed))
    assert done.returncode == 0, done.stderr


def test_the_same_arguments_give_the_same_weights(
    undisturbed: TrainResult, tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    again = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK)
    assert weights(again) == weights(undisturbed)
    other = train(tiny_corpus_dir, tmp_path / "other", base=tiny_gpt2_dir, recipe=QUICK, seed=1)
    assert weights(other) != weights(undisturbed)


def test_each_validation_shows_how_a_story_begins(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    said: list[str] = []
    train(
        tiny_corpus_dir,
        tmp_path / "model",
        base=tiny_gpt2_dir,
        recipe=QUICK,
        on_progress=lambda progress: said.append(progress.message),
    )
    shown = [message for message in said if "writes: " in message]
    assert len(shown) == 3  # none of the base
    assert len({message.partition(": ")[2] for message in shown}) > 1
    assert not any("\n" in message for message in shown)


def train_slowly(corpus: Path, out: Path, base: Path, recipe: Recipe, seconds_a_step: float) -> None:
    """Train in a separate process, with a checkpoint after each step and a pause in which a signal can arrive."""
    from fabula.training import clock

    clock.CHECKPOINT_SECONDS = 0.0
    clock.CHECKPOINT_SHARE = 1e9
    try:
        train(corpus, out, base=base, recipe=recipe, on_progress=lambda _: time.sleep(seconds_a_step))
    except KeyboardInterrupt:
        sys.exit(130)


def start(corpus: Path, out: Path, base: Path, recipe: Recipe = QUICK, pause: float = 0.0):
    process = processes.Process(target=train_slowly, args=(corpus, out, base, recipe, pause))
    process.start()
    return process


DROPPING = QUICK.model_copy(
    update={"dropout": 0.1, "num_epochs": 3, "optimizer": "muon", "precision": "bf16"}
)


def test_killed_at_any_moment_it_ends_with_the_same_weights(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    warm = processes.Process(target=time.sleep, args=(0,))  # loads the libraries that the others share
    warm.start()
    warm.join()
    began = time.monotonic()
    whole = start(tiny_corpus_dir, tmp_path / "whole", tiny_gpt2_dir, DROPPING)
    whole.join()
    seconds = time.monotonic() - began
    draw = random.Random(0)
    out = tmp_path / "killed"
    for _ in range(NUM_KILLS):
        process = start(tiny_corpus_dir, out, tiny_gpt2_dir, DROPPING)
        process.join(draw.uniform(0.1, 0.9) * seconds)
        process.kill()
        process.join()
        if (out / "manifest.json").exists():  # it finished before the kill: try again from the beginning
            shutil.rmtree(out)
    last = start(tiny_corpus_dir, out, tiny_gpt2_dir, DROPPING)
    last.join()
    assert last.exitcode == 0
    for name in ("model.safetensors", "config.json", "tokenizer.json", "recipe.toml", "manifest.json"):
        assert hash_file(out / name) == hash_file(tmp_path / "whole" / name)
    logs = [
        [
            {k: v for k, v in json.loads(line).items() if "second" not in k}
            for line in (folder / "log.jsonl").open()
        ]
        for folder in (tmp_path / "whole", out)
    ]
    assert logs[0] == logs[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_goes_on_later(
    number: signal.Signals,
    undisturbed: TrainResult,
    tiny_corpus_dir: Path,
    tiny_gpt2_dir: Path,
    tmp_path: Path,
):
    out = tmp_path / "model"
    process = start(tiny_corpus_dir, out, tiny_gpt2_dir, pause=0.1)
    work = tmp_path / "model.checkpoints"
    while not list(work.glob("*/step-0000000[2-9]")):
        assert process.is_alive()
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == 130
    assert not out.exists()
    result = train(tiny_corpus_dir, out, base=tiny_gpt2_dir, recipe=QUICK)
    assert weights(result) == weights(undisturbed)
    assert not work.exists()


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_is_used(
    undisturbed: TrainResult, tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    out, said = tmp_path / "model", []
    stopped = stop_after(4, tiny_corpus_dir, out, tiny_gpt2_dir)
    newest = max(stopped.glob("step-*"))
    damaged = newest / "weights.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    result = train(
        tiny_corpus_dir, out, base=tiny_gpt2_dir, recipe=QUICK, on_progress=lambda p: said.append(p.message)
    )
    assert any("damaged" in message and newest.name in message for message in said)
    assert weights(result) == weights(undisturbed)


def train_until(step: int, corpus: Path, out: Path, base: Path) -> None:
    """Train in a separate process, which stops itself after a step."""

    def stop(progress: Progress) -> None:
        if progress.done == step and "train_loss" in progress.values:
            signal.raise_signal(signal.SIGINT)

    try:
        train(corpus, out, base=base, recipe=QUICK, on_progress=stop)
    except KeyboardInterrupt:
        sys.exit(130)


def stop_after(step: int, corpus: Path, out: Path, base: Path) -> Path:
    """Start a training and stop it after a step. Returns its folder of checkpoints.

    In a process of its own: a signal to that of the tests sometimes ended it, for a reason that was not found.
    """
    process = processes.Process(target=train_until, args=(step, corpus, out, base))
    process.start()
    process.join()
    assert process.exitcode == 130
    (work,) = out.with_name(out.name + ".checkpoints").glob("[!.]*")
    return work


def test_when_all_checkpoints_are_damaged_it_says_so(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    work = stop_after(4, tiny_corpus_dir, tmp_path / "model", tiny_gpt2_dir)
    for state in work.glob("step-*/state.json"):
        state.write_text("{")
    with pytest.raises(FabulaError, match="every checkpoint is damaged"):
        train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK)
    train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK, resume=False)


def test_only_the_last_two_checkpoints_and_their_best_are_kept(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    work = stop_after(20, tiny_corpus_dir, tmp_path / "model", tiny_gpt2_dir)
    assert len(list(work.glob("step-*"))) == 2
    assert 1 <= len(list(work.glob("best-*"))) <= 2


def test_what_a_killed_training_left_half_written_is_removed(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    """Also if it was on other stories, so that no checkpoint of this training takes its place."""
    other = tmp_path / "model.checkpoints" / "0123456789abcdef"
    (other / "step-00000000.partial").mkdir(parents=True)
    (other / "step-00000000.partial" / "weights.safetensors").write_bytes(b"half")
    (other / "step-00000004").mkdir()
    train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK)
    assert [path.name for path in other.iterdir()] == ["step-00000004"]


def test_a_second_training_in_the_same_folder_leaves(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    said = []

    def try_too(progress: Progress) -> None:
        if not said and progress.values:
            try:
                train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK)
            except FabulaError as error:
                said.append(str(error))

    train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=QUICK, on_progress=try_too)
    assert "another fabula is at work" in said[0]


def test_a_folder_with_something_else_is_left_alone(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mother.txt").write_text("Dear")
    with pytest.raises(FabulaError, match="unexpected files"):
        train(tiny_corpus_dir, tmp_path / "letters", base=tiny_gpt2_dir, recipe=QUICK)
    assert (tmp_path / "letters" / "mother.txt").read_text() == "Dear"


@pytest.mark.parametrize("windows", ["packed", "separate"])
def test_accumulation_changes_nothing(
    windows: str, tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    """8 windows at once, 1 window eight times, 3 + 3 + 2; the last batch of an epoch is short; lengths differ."""
    results = []
    for tokens in (64 * 8, 64, 64 * 3):
        recipe = QUICK.model_copy(
            update={"batch_tokens": 512, "micro_batch_tokens": tokens, "windows": windows, "num_epochs": 4}
        )
        out = tmp_path / str(tokens)
        results.append(train(tiny_corpus_dir, out, base=tiny_gpt2_dir, recipe=recipe))
    first = [row["train_loss"] for row in rows(results[0]) if "train_loss" in row]
    for result in results[1:]:
        losses = [row["train_loss"] for row in rows(result) if "train_loss" in row]
        assert losses == pytest.approx(first, rel=1e-5)
        assert largest_difference(result.model, results[0].model) < 1e-4


def test_the_losses_are_the_same_however_a_batch_is_cut(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    """With 8 windows at once and with 1 window eight times: the same log, and the same weights to rounding. The last batch of
    each epoch is short, and so is its last micro-batch."""
    curves = []
    for tokens in (64 * 8, 64):
        recipe = QUICK.model_copy(update={"batch_tokens": 512, "micro_batch_tokens": tokens})
        log = rows(train(tiny_corpus_dir, tmp_path / str(tokens), base=tiny_gpt2_dir, recipe=recipe))
        curves.append([row.get("train_loss", row.get("val_loss")) for row in log])
    tokenizer = load_tokenizer(tiny_gpt2_dir)
    stories = training_tokens(
        open_corpus(tiny_corpus_dir), tokenizer, story_format_by_rule(tokenizer), "newline", silent
    )
    num_windows = len(Windows(stories, 64, left_context=QUICK.left_context))
    assert num_windows > 8
    assert num_windows % 8
    assert len(curves[0]) == 3 * math.ceil(num_windows / 8) + 1 + QUICK.num_validations
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)
    assert largest_difference(tmp_path / "512", tmp_path / "64") < 1e-4


def test_half_precision_and_muon_learn_the_same_stories(
    undisturbed: TrainResult, tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    """bfloat16 ends where float32 does, to its rounding; Muon learns too, and leaves the embeddings to AdamW."""
    half = QUICK.model_copy(update={"precision": "bf16"})
    from fabula.models.load import load_model
    from fabula.training.weights import optimizers_for

    result = train(tiny_corpus_dir, tmp_path / "half", base=tiny_gpt2_dir, recipe=half)
    assert result.counts.bits_per_byte == pytest.approx(undisturbed.counts.bits_per_byte, rel=5e-3)
    assert result.counts.bits_per_byte != undisturbed.counts.bits_per_byte
    muon = QUICK.model_copy(update={"optimizer": "muon"})
    result = train(tiny_corpus_dir, tmp_path / "muon", base=tiny_gpt2_dir, recipe=muon)
    assert result.counts.bits_per_byte < 0.7 * result.counts.base_bits_per_byte

    model = load_model(tiny_gpt2_dir)
    adamw, by_muon = optimizers_for(model, muon, 1e-3)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    inside = {names[id(p)] for group in by_muon.param_groups for p in group["params"]}
    assert inside == {name for name in names.values() if ".h." in name and ".c_" in name and "weight" in name}
    rest = {names[id(p)] for group in adamw.param_groups for p in group["params"]}
    assert rest == set(names.values()) - inside


def test_packing_changes_only_the_speed(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    """With all stories in one batch, packed and separate windows make the same steps."""
    losses = []
    for windows in ("packed", "separate"):
        recipe = QUICK.model_copy(update={"windows": windows, "batch_tokens": 64 * 200, "num_epochs": 3})
        result = train(tiny_corpus_dir, tmp_path / windows, base=tiny_gpt2_dir, recipe=recipe)
        losses.append([row["train_loss"] for row in rows(result) if "train_loss" in row])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_notebook_recipe_is_the_notebooks_loss(tiny_gpt2_dir: Path, tmp_path: Path):
    """The first step's loss equals what transformers computes from padded, truncated, marked-up text."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    texts = ["One day.\nThe end.", "A fox.", *TINY_STORIES[:10]]
    corpus = write_corpus(tmp_path / "corpus", texts, TINY_STORIES[10:14])
    recipe = Recipe.parse(
        {**load_seed(), "context_length": 48, "batch_tokens": 48 * 32, "dropout": 0.0, "precision": "fp32"}
    )
    result = train(corpus, tmp_path / "model", base=tiny_gpt2_dir, recipe=recipe)
    tokenizer = AutoTokenizer.from_pretrained(tiny_gpt2_dir)
    tokenizer.pad_token = tokenizer.eos_token
    marked = ["<sos> " + text.replace("\n", " <nl> ") + " <eos>" for text in texts]
    batch = tokenizer(marked, padding="max_length", truncation=True, max_length=48, return_tensors="pt")
    assert (batch["attention_mask"] == 0).any()
    model = AutoModelForCausalLM.from_pretrained(tiny_gpt2_dir)
    with torch.no_grad():
        expected = float(model(**batch, labels=batch["input_ids"]).loss)
    first = next(row for row in rows(result) if "train_loss" in row)
    assert first["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert result.counts.num_steps == 3
    assert result.counts.best_step == 3  # the last weights are kept, whatever the validation says


def load_seed() -> dict:
    from fabula.training.recipe import load_recipe

    return load_recipe("notebook").model_dump()


def test_freezing_changes_the_upper_layers_only(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    recipe = QUICK.model_copy(update={"freeze": 0.5})
    result = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=recipe)
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_gpt2_dir, result.model))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(".h.1." in name or ".ln_f." in name for name in changed)
    assert result.counts.num_trained < result.counts.num_parameters / 2
    assert result.counts.bits_per_byte < result.counts.base_bits_per_byte


def test_a_lora_adapter_leaves_frozen_layers_alone(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    recipe = QUICK.model_copy(update={"lora_rank": 4, "learning_rate": 1e-2, "freeze": 0.5})
    result = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=recipe)
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_gpt2_dir, result.model))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(".h.1." in name for name in changed)


def test_low_rank_training_is_merged(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    from transformers import AutoModelForCausalLM

    recipe = QUICK.model_copy(update={"lora_rank": 4, "learning_rate": 1e-2})
    result = train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=recipe)
    assert result.counts.num_trained < result.counts.num_parameters / 2
    assert result.counts.bits_per_byte < result.counts.base_bits_per_byte
    loaded: Any = AutoModelForCausalLM.from_pretrained(result.model, output_loading_info=True)
    report = loaded[1]
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not (result.model / "adapter_config.json").exists()


def test_a_fresh_model_gets_a_vocabulary_of_the_stories(tiny_corpus_dir: Path, tmp_path: Path):
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "model_type": "llama",
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "max_position_embeddings": 96,
                "vocab_size": 4096,
            }
        )
    )
    recipe = QUICK.model_copy(update={"context_length": None})
    result = train(tiny_corpus_dir, tmp_path / "model", init=str(config), recipe=recipe)
    assert result.counts.bits_per_byte < result.counts.base_bits_per_byte
    saved = json.loads((result.model / "config.json").read_text())
    assert saved["model_type"] == "llama"
    assert saved["vocab_size"] < 1024
    assert result.base is not None
    assert (result.base / "model.safetensors").is_file()


def test_minutes_bound_the_time_and_the_learning_rate_falls_to_zero(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # The estimate of the speed, on which the warm-up depends, would differ on a busy machine.
    monkeypatch.setattr("fabula.training.validation.expected_steps", lambda setup: 200.0)
    recipe = QUICK.model_copy(update={"num_epochs": 1e5, "patience": 0})
    reports: list[Progress] = []
    result = train(
        tiny_corpus_dir,
        tmp_path / "model",
        base=tiny_gpt2_dir,
        recipe=recipe,
        max_minutes=0.1,
        on_progress=reports.append,
    )
    rates = [row["learning_rate"] for row in rows(result) if "train_loss" in row]
    assert rates[-1] < 0.25 * max(rates)
    assert result.counts.num_steps < 1e4
    assert rates[0] < 0.5 * max(rates)  # it warms up, however long the start took
    last = [report for report in reports if not report.message][-1]
    assert (last.unit, last.total) == ("seconds", 6)
    assert last.done >= 3
    assert last.values["step"] == result.counts.num_steps


def test_it_stops_early_when_held_out_stories_get_worse(tiny_gpt2_dir: Path, tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus", TINY_STORIES[:2], ["zzz qqq xxx"] * 4)
    recipe = QUICK.model_copy(
        update={"num_epochs": 200, "num_validations": 50, "patience": 3, "learning_rate": 1e-2}
    )
    result = train(corpus, tmp_path / "model", base=tiny_gpt2_dir, recipe=recipe)
    assert result.counts.num_steps < 150
    validations = [row for row in rows(result) if "val_loss" in row]
    assert result.counts.val_loss == min(row["val_loss"] for row in validations)
    assert result.counts.best_step == validations[-4]["step"]


def test_killed_after_it_stopped_early_it_does_not_go_on(
    tiny_gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from fabula.training import loop

    corpus = write_corpus(tmp_path / "corpus", TINY_STORIES[:2], ["zzz qqq xxx"] * 4)
    recipe = QUICK.model_copy(
        update={"num_epochs": 200, "num_validations": 50, "patience": 3, "learning_rate": 1e-2}
    )
    whole = train(corpus, tmp_path / "whole", base=tiny_gpt2_dir, recipe=recipe)
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(loop, "write_model", lambda *_: (_ for _ in ()).throw(MemoryError))
        train(corpus, tmp_path / "killed", base=tiny_gpt2_dir, recipe=recipe)
    result = train(corpus, tmp_path / "killed", base=tiny_gpt2_dir, recipe=recipe)
    assert result.counts.num_steps == whole.counts.num_steps
    assert weights(result) == weights(whole)


@pytest.mark.parametrize(("rate", "expected"), [(1.0, "diverges"), (1.0, "lower|below")])
def test_a_loss_that_diverges_is_one_clear_line(
    rate: float, expected: str, tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    recipe = QUICK.model_copy(
        update={
            "learning_rate": rate,
            "warmup_steps": 0,
            "max_grad_norm": 0,
            "num_epochs": 200,
            "patience": 0,
        }
    )
    with pytest.raises(FabulaError, match=expected) as error:
        train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, recipe=recipe)
    assert "checkpoint" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_base_that_is_worse_than_a_uniform_guess_can_learn(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    """As a base of another language is."""
    from safetensors.torch import save_file

    base = tmp_path / "base"
    shutil.copytree(tiny_gpt2_dir, base)
    tensors = load_file(base / "model.safetensors")
    tensors["transformer.ln_f.weight"] *= 60
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    result = train(tiny_corpus_dir, tmp_path / "model", base=base, recipe=QUICK)
    losses = [json.loads(line) for line in result.log.open()]
    first, *_, last = (row["val_loss"] for row in losses if "val_loss" in row)
    uniform = math.log(load_tokenizer(base).vocab_size)
    assert last < first
    assert first > uniform + 2


def test_weights_that_are_not_numbers_are_one_clear_line(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    from safetensors.torch import save_file

    base = tmp_path / "base"
    shutil.copytree(tiny_gpt2_dir, base)
    tensors = load_file(base / "model.safetensors")
    tensors["transformer.ln_f.weight"][0] = float("nan")
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FabulaError, match="not numbers"):
        train(tiny_corpus_dir, tmp_path / "model", base=base, recipe=QUICK)


def torchrun(
    corpus: Path, out: Path, base: Path, recipe: Path, num_processes: int
) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={num_processes}",
    ]
    command += ["-m", "fabula", "train", str(corpus), "--out", str(out), "--base", str(base)]
    return subprocess.run(
        [*command, "--recipe", str(recipe), "--quiet"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_two_processes_train_as_one_does(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    recipe = QUICK.model_copy(update={"batch_tokens": 64 * 5, "num_epochs": 3})
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    alone = train(tiny_corpus_dir, tmp_path / "one", base=tiny_gpt2_dir, recipe=recipe)
    done = torchrun(tiny_corpus_dir, tmp_path / "two", tiny_gpt2_dir, tmp_path / "recipe.toml", 2)
    assert done.returncode == 0, done.stderr
    curves = []
    for folder in (alone.model, tmp_path / "two"):
        log = [json.loads(line) for line in (folder / "log.jsonl").open()]
        curves.append([row.get("train_loss", row.get("val_loss")) for row in log])
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
    assert largest_difference(alone.model, tmp_path / "two") < 1e-4


@pytest.mark.skipif(NUM_KILLS < 20, reason="takes a minute; FABULA_KILLS=20 runs it")
def test_one_of_two_processes_killed_and_all_restarted_ends_the_same(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    import psutil

    recipe = QUICK.model_copy(update={"batch_tokens": 64 * 5, "num_epochs": 20, "patience": 0})
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    alone = train(tiny_corpus_dir, tmp_path / "one", base=tiny_gpt2_dir, recipe=recipe)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [
        "--max-restarts=2",
        "-m",
        "fabula",
        "train",
        str(tiny_corpus_dir),
        "--out",
        str(tmp_path / "two"),
    ]
    command += ["--base", str(tiny_gpt2_dir), "--recipe", str(tmp_path / "recipe.toml"), "--quiet"]
    job = subprocess.Popen(command)
    while not list((tmp_path / "two.checkpoints").glob("*/step-0*[1-9]*")):
        assert job.poll() is None
        time.sleep(0.05)
    psutil.Process(job.pid).children()[-1].kill()
    assert job.wait(timeout=300) == 0
    counts = json.loads((tmp_path / "two" / "manifest.json").read_text())["counts"]
    assert counts["num_steps"] == alone.counts.num_steps
    assert counts["bits_per_byte"] == pytest.approx(alone.counts.bits_per_byte, rel=1e-4)


def test_the_command_says_what_it_did_and_where_things_are(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path, fabula: Command
):
    (tmp_path / "recipe.toml").write_text(QUICK.to_toml())
    words = ["train", tiny_corpus_dir, "--base", tiny_gpt2_dir, "--recipe", tmp_path / "recipe.toml"]
    words += ["--out", tmp_path / "model", "--progress", "plain"]
    first, second = fabula(*words), fabula(*words)
    assert first.returncode == second.returncode == 0, first.stderr
    assert "Bits per byte on held-out stories:" in first.stdout
    assert str(tmp_path / "model") in first.stdout
    assert "train_loss" in first.stderr
    assert "tokens/s" in first.stderr
    assert second.stdout.startswith("Nothing to do")
    wrong = fabula(*words, "--recipe", "defualt")
    assert wrong.returncode == 2
    assert "did you mean default?" in wrong.stderr


def test_with_a_time_limit_only_the_beginnings_of_long_stories_are_scored(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path
):
    tokenizer = load_tokenizer(tiny_gpt2_dir)
    story_format = story_format_by_rule(tokenizer)
    corpus = open_corpus(tiny_corpus_dir)

    def scored(most_tokens: int | None) -> ValidationStories:
        return validation_stories(corpus, tokenizer, story_format, "newline", 42, most_tokens)

    whole, cut = scored(None), scored(9)
    assert max(len(ids) - 1 for ids in whole.input_ids) > 9
    for ids, is_text, num_bytes, all_ids in zip(
        cut.input_ids, cut.is_text, cut.num_bytes, whole.input_ids, strict=True
    ):
        assert len(is_text) == len(ids) - 1 == min(9, len(all_ids) - 1)
        assert ids.tolist() == all_ids[: len(ids)].tolist()
        assert num_bytes == len(str(tokenizer.decode(ids[1:][is_text])).replace("\n", "").encode())

"""What a training does on a GPU, as far as that can be checked without one."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
import torch

from fabula.progress import silent
from fabula.training import setup as training_setup
from fabula.training.job import plan
from fabula.training.loss import as_tensors
from fabula.training.precision import Precision
from fabula.training.predict import with_batches_for
from fabula.training.recipe import Recipe
from fabula.training.setup import Setup, choose_micro_batch_size, prepare
from fabula.training.step import compute_gradients, update_weights
from fabula.training.workers import Workers

QUICK = Recipe(batch_tokens=64 * 8, context_length=64, learning_rate=1e-3, precision="fp32")
CUDA = torch.device("cuda")


def prepared(corpus: Path, base: Path, out: Path, recipe: Recipe) -> Setup:
    return prepare(plan(corpus, out, base=base, recipe=recipe), Workers(0, 1, torch.device("cpu")), silent)


@pytest.mark.parametrize(("has_bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_computes_in_bf16_if_it_can(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, dtype: torch.dtype
):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    precision = Precision.choose("auto", CUDA)
    assert precision.dtype == dtype
    assert precision.scaler.is_enabled() == (dtype == torch.float16)


GB = 10**9


@pytest.mark.parametrize(
    ("total", "size"),
    [(31 * GB // 10, 3), (100 * GB, 8), (2 * GB, 1)],
    ids=["memory decides", "the batch decides", "memory is short"],
)
def test_the_micro_batch_fills_the_memory_that_weights_and_adamw_leave(
    tiny_corpus_dir: Path,
    tiny_gpt2_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    total: int,
    size: int,
):
    """One window takes 1.5 GB with everything, two take 1.9: 0.8 of the rest holds so many times 0.4 GB."""
    setup = prepared(tiny_corpus_dir, tiny_gpt2_dir, tmp_path / "model", QUICK)
    peaks = iter([int(1.4 * GB), int(1.5 * GB), int(1.9 * GB)])  # without gradients at first
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: next(peaks))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (total - 2 * GB, total))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 2 * GB)
    monkeypatch.setattr(
        training_setup, "as_tensors", lambda batch, device: as_tensors(batch, torch.device("cpu"))
    )
    on_gpu = dataclasses.replace(setup, workers=Workers(0, 1, CUDA))
    assert choose_micro_batch_size(on_gpu) == size


def test_doctor_takes_the_batches_of_the_whole_corpus(
    tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path
):
    """It trains on the first stories only, and on a GPU the batches of a large model grow with the corpus."""
    setup = prepared(tiny_corpus_dir, tiny_gpt2_dir, tmp_path / "model", QUICK)
    large = dataclasses.replace(setup.sizes, num_parameters=135_000_000, context_length=512)
    job = dataclasses.replace(setup.job, recipe=Recipe())
    setup = dataclasses.replace(setup, job=job, sizes=large, workers=Workers(0, 1, CUDA))
    sizes = [with_batches_for(setup, num_windows).sizes for num_windows in (10, 400, 10_000)]
    assert [each.batch_size for each in sizes] == [1, 4, 8]
    assert [each.steps_per_epoch for each in sizes] == [-(-len(setup.windows) // size) for size in (1, 4, 8)]


@pytest.mark.skipif("FABULA_COMPILE" not in os.environ, reason="takes a minute; FABULA_COMPILE=1 runs it")
@pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None, reason="inductor needs a C++ compiler"
)
def test_compiled_it_has_the_same_losses(tiny_corpus_dir: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    curves = []
    for compiled in (False, True):
        recipe = QUICK.model_copy(update={"compile": compiled})
        setup = prepared(tiny_corpus_dir, tiny_gpt2_dir, tmp_path / f"{compiled}", recipe)
        curve = []
        for step in range(3):
            curve.append(compute_gradients(setup, step, 4, lambda: False).loss_sum)
            update_weights(setup, 1e-3)
        curves.append(curve)
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)

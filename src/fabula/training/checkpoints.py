"""Checkpoints: written atomically and checked when they are read; the previous one is kept.

A folder of them holds, for each of the last two, `step-00001234/` with the trained weights, the optimiser's state and
`state.json`; and `best-00001234/` with the weights that scored best. `state.json` holds a hash of each other file.
Weights and optimiser state are one file each or, of a sharded training, a folder with files from each process.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fabula.errors import FabulaError
from fabula.files import hash_file, read_json, write_json
from fabula.training.sharding import load_parts, save_parts, shared_folder, sizes_of
from fabula.training.weights import optimizer_tensors, set_optimizer_tensors, set_weights, trained_weights
from fabula.training.workers import Workers

NUM_KEPT = 2


@dataclass(frozen=True)
class State:
    """The state of a training, apart from its tensors.

    All random numbers follow from (seed, step), so no generator state needs to be saved.
    """

    step: int = 0
    seconds: float = 0.0
    first_step: float | None = None
    """Seconds that had passed when the first step began."""
    num_tokens: int = 0
    num_validations: int = 0
    """Validations done; the first is of the base model, before any step."""
    num_worse: int = 0
    """Consecutive validations that were worse than the one before and than the best."""
    best_step: int = 0
    best_val_loss: float = 0.0
    best_bits_per_byte: float = 0.0
    num_validation_stories: int = 0
    num_planned_validations: int = 0
    """Validations after the first one."""
    num_expected_steps: float = 0.0
    """Optimiser steps in all, as expected when the training began: fewer than planned where the time is limited."""
    micro_batch_size: int = 0
    """Windows that go through the model at once, as chosen when the training began."""
    loss_scale: float = 0.0
    loss_sum: float = 0.0
    """Nats since the last logged row, over `loss_tokens` targets."""
    loss_tokens: int = 0
    base_val_loss: float = 0.0
    base_bits_per_byte: float = 0.0
    last_val_loss: float = 0.0
    last_bits_per_byte: float = 0.0

    def changed(self, **changes: Any) -> "State":
        return replace(self, **changes)

    def validated(self, val_loss: float, bits_per_byte: float, *, num_validations: int) -> "State":
        """The state after a validation with this result, the last of `num_validations`."""
        is_base, is_best = (
            self.num_validations == 0,
            self.num_validations == 0 or val_loss < self.best_val_loss,
        )
        # The base model often stays best until the learning rate has fallen; that is no reason to stop.
        is_worse = not is_best and val_loss >= self.last_val_loss
        changed = self.changed(
            num_validations=num_validations,
            num_worse=self.num_worse + 1 if is_worse else 0,
            last_val_loss=val_loss,
            last_bits_per_byte=bits_per_byte,
        )
        if is_best:
            changed = changed.changed(
                best_step=self.step, best_val_loss=val_loss, best_bits_per_byte=bits_per_byte
            )
        if is_base:
            changed = changed.changed(base_val_loss=val_loss, base_bits_per_byte=bits_per_byte)
        return changed


class Checkpoints:
    """The checkpoints in `folder`.

    Args:
        workers: the processes that write and read them together: one that holds all weights, or all that hold a part of
            them. Each of them has to make the same calls, `newest` excepted.
    """

    def __init__(self, folder: Path, workers: Workers) -> None:
        self.folder, self.workers = folder, workers

    def save(self, state: State, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Write a checkpoint, then remove those that are no longer needed."""
        optimizer = optimizer_tensors(model, optimizers)
        tensors = {"weights": trained_weights(model), "optimizer": optimizer}
        self._write(self._path("step", state.step), tensors, asdict(state))
        if self.workers.is_first:
            self._prune()

    def save_best(self, step: int, model: nn.Module) -> None:
        """Write the weights that scored best so far."""
        self._write(self._path("best", step), {"weights": trained_weights(model)}, {})

    def restore(
        self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
    ) -> tuple[State, list[str]] | None:
        """Restore weights and optimisers from the newest undamaged checkpoint. Returns its state, and the names of newer
        ones that are damaged.

        None if there is no checkpoint. Raises FabulaError if all checkpoints are damaged.
        """
        damaged = []
        for step in sorted(self._steps("step"), reverse=True):
            folder = self._path("step", step)
            try:
                state = State(**self._check(folder))
                if state.best_step:
                    self._check(self._path("best", state.best_step))
                self._read_weights(model, folder)
                self._read_optimizers(model, optimizers, folder)
                return state, damaged
            except torch.OutOfMemoryError:  # the checkpoint is whole
                raise
            # The last two are about weights of other names or shapes.
            except (FabulaError, OSError, TypeError, KeyError, RuntimeError):
                damaged.append(folder.name)
        if damaged:
            raise FabulaError(
                f"every checkpoint is damaged, or another version of fabula made it ({', '.join(damaged)})",
                where=self.folder,
                hint="remove this folder to start again",
            )
        return None

    def restore_weights(self, model: nn.Module, kind: Literal["step", "best"], step: int) -> None:
        """Restore the weights of a checkpoint, or those that scored best, at `step`."""
        self._check(self._path(kind, step))
        self._read_weights(model, self._path(kind, step))

    def newest(self) -> Path | None:
        """The folder of the newest checkpoint."""
        steps = self._steps("step")
        return self._path("step", max(steps)) if steps else None

    def _path(self, kind: str, step: int) -> Path:
        return self.folder / f"{kind}-{step:08d}"

    def _steps(self, kind: str) -> list[int]:
        if not self.folder.is_dir():
            return []
        names = (re.fullmatch(rf"{kind}-(\d{{8,}})", path.name) for path in self.folder.iterdir())
        return [int(match[1]) for match in names if match]

    def _write(self, path: Path, tensors: dict[str, dict[str, torch.Tensor]], state: dict[str, Any]) -> None:
        """Write groups of tensors, and `state` with the hashes of all files."""
        with shared_folder(path, self.workers) as folder:
            for group, named in tensors.items():
                if self.workers.size > 1:
                    save_parts(named, folder / group)
                else:
                    whole = {name: tensor.cpu().contiguous() for name, tensor in named.items()}
                    save_file(whole, folder / f"{group}.safetensors")
            self.workers.barrier()
            files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.safetensors"))
            own = files[self.workers.rank :: self.workers.size]
            hashes = self.workers.merge({name: hash_file(folder / name) for name in own})
            if self.workers.is_first:
                write_json(folder / "state.json", {"state": state, "hashes": hashes})

    def _check(self, folder: Path) -> dict[str, Any]:
        """The state in a folder, if no file in it is damaged. Each process checks its share of the files."""
        try:
            sealed = read_json(folder / "state.json")
            names = list(sealed["hashes"])
            own = names[self.workers.rank :: self.workers.size]
            intact = [is_intact(folder / name, sealed["hashes"][name]) for name in own]
            if self.workers.sum([intact.count(False)])[0]:
                raise FabulaError("this checkpoint is damaged", where=folder)
            return sealed["state"]
        except (KeyError, TypeError, AttributeError):
            raise FabulaError("this file is damaged", where=folder / "state.json") from None

    def _read_weights(self, model: nn.Module, folder: Path) -> None:
        if (folder / "weights").is_dir():
            load_parts(trained_weights(model), folder / "weights", self.workers)
        else:
            set_weights(model, load_file(folder / "weights.safetensors"))

    def _read_optimizers(
        self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer], folder: Path
    ) -> None:
        if not (folder / "optimizer").is_dir():
            set_optimizer_tensors(model, optimizers, load_file(folder / "optimizer.safetensors"))
            return
        weights = trained_weights(model)
        tensors = {}
        for key, size in sizes_of(folder / "optimizer").items():
            weight = weights[key.partition(".")[2]]
            tensors[key] = torch.empty_like(weight) if size == weight.shape else torch.empty(size)
        load_parts(tensors, folder / "optimizer", self.workers)
        set_optimizer_tensors(model, optimizers, tensors)

    def _prune(self) -> None:
        steps = sorted(self._steps("step"))
        for step in steps[:-NUM_KEPT]:
            shutil.rmtree(self._path("step", step))
        wanted = set()
        for step in steps[-NUM_KEPT:]:
            try:
                wanted.add(read_json(self._path("step", step) / "state.json")["state"]["best_step"])
            except (FabulaError, KeyError, TypeError):
                continue  # a damaged one is noticed when it is read
        for step in self._steps("best"):
            if step not in wanted:
                shutil.rmtree(self._path("best", step))


def is_intact(file: Path, expected: str) -> bool:
    """Whether a file is there and has this hash."""
    return file.is_file() and hash_file(file) == expected

"""Checkpoints: written atomically and checked when they are read; the previous one is kept.

A folder of them holds, for each of the last two, `step-00001234/` with the trained weights, the optimiser's state and
`state.json`; and `best-00001234/` with the weights that scored best. `state.json` holds a hash of each other file.
"""

import re
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from fabula.errors import FabulaError
from fabula.files import PARTIAL, atomic_folder, hash_file, read_json, write_json

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
    """The checkpoints in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(
        self, state: State, weights: dict[str, torch.Tensor], optimizer: dict[str, torch.Tensor]
    ) -> None:
        """Write a checkpoint, then remove those that are no longer needed."""
        with atomic_folder(self._path("step", state.step)) as folder:
            save_file(weights, folder / "weights.safetensors")
            save_file(optimizer, folder / "optimizer.safetensors")
            self._seal(folder, asdict(state))
        self._prune()

    def save_best(self, step: int, weights: dict[str, torch.Tensor]) -> None:
        """Write the weights that scored best so far."""
        with atomic_folder(self._path("best", step)) as folder:
            save_file(weights, folder / "weights.safetensors")
            self._seal(folder, {})

    def load(self) -> tuple[State, dict[str, torch.Tensor], dict[str, torch.Tensor], list[str]] | None:
        """The newest undamaged checkpoint: state, weights, optimiser state, and the names of newer ones that are
        damaged.

        None if there is no checkpoint. Raises FabulaError if all checkpoints are damaged.
        """
        damaged = []
        for step in sorted(self._steps("step"), reverse=True):
            folder = self._path("step", step)
            try:
                state = State(**self._check(folder))
                if state.best_step:
                    self._check(self._path("best", state.best_step))
                weights = load_file(folder / "weights.safetensors")
                return state, weights, load_file(folder / "optimizer.safetensors"), damaged
            except (FabulaError, OSError, TypeError):
                damaged.append(folder.name)
        if damaged:
            raise FabulaError(
                f"every checkpoint is damaged ({', '.join(damaged)})",
                where=self.folder,
                hint="remove this folder to start again",
            )
        return None

    def load_best(self, step: int) -> dict[str, torch.Tensor]:
        """The weights that scored best, at `step`."""
        self._check(self._path("best", step))
        return load_file(self._path("best", step) / "weights.safetensors")

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

    @staticmethod
    def _seal(folder: Path, state: dict[str, Any]) -> None:
        hashes = {file.name: hash_file(file) for file in sorted(folder.glob("*.safetensors"))}
        write_json(folder / "state.json", {"state": state, "hashes": hashes})

    @staticmethod
    def _check(folder: Path) -> dict[str, Any]:
        try:
            sealed = read_json(folder / "state.json")
            for name, expected in sealed["hashes"].items():
                if hash_file(folder / name) != expected:
                    raise FabulaError("this file is damaged", where=folder / name)
            return sealed["state"]
        except (KeyError, TypeError, AttributeError):
            raise FabulaError("this file is damaged", where=folder / "state.json") from None

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
        for leftover in self.folder.glob(f"*{PARTIAL}"):
            shutil.rmtree(leftover, ignore_errors=True)

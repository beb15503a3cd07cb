"""Experiment trackers: the rows of the log are sent to a program that plots them. Each is installed separately."""

from importlib import import_module
from pathlib import Path
from typing import Any

from fabula.errors import FabulaError, did_you_mean
from fabula.install import install_command
from fabula.results import LogRow

TRACKERS = ("tensorboard", "trackio", "wandb")


class Tracker:
    """Sends rows of the training log to a tracker.

    `tensorboard` writes to `folder`; `trackio` and `wandb` keep their runs where their own settings put them (wandb: on
    its servers, if you are logged in there).
    """

    def __init__(self, name: str, folder: Path, run: str, config: dict[str, Any]) -> None:
        check_tracker(name)
        self._writer: Any = None
        self._module: Any = None
        if name == "tensorboard":
            self._writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
        else:
            self._module = import_module(name)
            self._module.init(project="fabula", name=run, config=config)

    def log(self, row: LogRow) -> None:
        """Send one row; its figures are plotted over its step."""
        figures = row.model_dump(exclude={"step"})
        if self._module is not None:
            self._module.log(figures, step=row.step)
        else:
            for name, value in figures.items():
                self._writer.add_scalar(name, value, row.step)

    def close(self) -> None:
        """Wait until the tracker has everything."""
        if self._module is not None:
            self._module.finish()
        else:
            self._writer.close()


def check_tracker(name: str) -> None:
    """Raise FabulaError if the tracker is unknown or not installed."""
    if name not in TRACKERS:
        raise FabulaError(f"unknown tracker {name!r}", where="--track", hint=did_you_mean(name, TRACKERS))
    try:
        import_module(name)
    except ImportError:
        raise FabulaError(f"{name} is not installed", hint=f"type: {install_command([name])}") from None

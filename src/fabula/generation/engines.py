"""The engines by name, and how "auto" chooses the fastest one for a model on this machine."""

import platform
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from fabula.errors import FabulaError, did_you_mean
from fabula.files import read_json
from fabula.generation.engine import Engine
from fabula.install import missing_extra
from fabula.models.find import locate_model
from fabula.progress import OnProgress, silent

GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "C:/Windows/System32/nvcuda.dll")
"""Driver files: without any of them torch has no GPU. They belong to NVIDIA or AMD on Linux, to a Windows host (WSL),
and to Windows itself."""


def load_engine(model: str | Path, engine: str = "auto", *, on_progress: OnProgress = silent) -> Engine:
    """Load a model into an engine.

    Args:
        model: as for `locate_model`.
        engine: one of `ENGINES`, or "auto" for the fastest that is installed and can run this model.

    Raises:
        FabulaError: there is no such model, or the engine is unknown, not installed, or cannot run this model.
    """
    if engine not in ("auto", *ENGINES):
        raise FabulaError(f"unknown engine {engine!r}", hint=did_you_mean(engine, ("auto", *ENGINES)))
    folder = locate_model(model)
    return ENGINES[_fastest(folder) if engine == "auto" else engine](folder, on_progress)


def _openvino(folder: Path, on_progress: OnProgress, bits: int = 8) -> Engine:
    if find_spec("openvino") is None:
        raise missing_extra("the openvino engine is not installed", "fast")
    from fabula.generation.openvino_engine import OpenVINOEngine

    return OpenVINOEngine(folder, bits=bits, on_progress=on_progress)


def _openvino_fp32(folder: Path, on_progress: OnProgress) -> Engine:
    return _openvino(folder, on_progress, bits=32)


def _transformers(folder: Path, _: OnProgress) -> Engine:
    from fabula.generation.transformers_engine import TransformersEngine

    return TransformersEngine(folder)


ENGINES: dict[str, Callable[[Path, OnProgress], Engine]] = {
    "openvino": _openvino,
    "openvino-fp32": _openvino_fp32,
    "transformers": _transformers,
}
"""The loader of each engine. An engine's libraries are imported only when it is loaded."""


def _fastest(folder: Path) -> str:
    """The engine that "auto" chooses for this model on this machine."""
    if _has_gpu() or find_spec("openvino") is None:
        return "transformers"
    from fabula.generation.openvino_engine import unsupported

    return "openvino" if unsupported(read_json(folder / "config.json")) is None else "transformers"


def _has_gpu() -> bool:
    """Whether torch can use a GPU. torch takes long to import, so it is asked only if there is a driver."""
    is_apple = sys.platform == "darwin" and platform.machine() == "arm64"
    if not is_apple and not any(Path(driver).exists() for driver in GPU_DRIVERS):
        return False
    from fabula.models.device import best_device

    return best_device().type != "cpu"

"""fabula turns a text file of stories into a language model that writes such stories, and proves what it learned.

    import fabula

    result = fabula.run("stories.txt", out="runs/mine")
    print(fabula.write(result.model, "Once upon a time,"))

Each command of the `fabula` program is one function of the same name here. The functions print nothing; they return
typed results and report through `on_progress`. They load on first use, so that `import fabula` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from fabula.corpus.clean import clean as clean
    from fabula.corpus.store import restore_story as restore
    from fabula.errors import FabulaError as FabulaError
    from fabula.evaluation.evaluate import evaluate as evaluate
    from fabula.evaluation.options import EvaluationOptions as EvaluationOptions
    from fabula.evaluation.options import TuningOptions as TuningOptions
    from fabula.evaluation.tune import tune as tune
    from fabula.exporting.export import export as export
    from fabula.generation.write import load as load
    from fabula.generation.write import stream as stream
    from fabula.generation.write import write as write
    from fabula.models.bases import list_bases as bases
    from fabula.pipeline.learning_curve import measure_learning_curve as learning_curve
    from fabula.pipeline.run import run as run
    from fabula.publishing.publish import publish as publish
    from fabula.report.compare import compare as compare
    from fabula.serving.serve import serve as serve
    from fabula.studio_server.serve import studio as studio
    from fabula.training.predict import predict_training as doctor
    from fabula.training.train import train as train

_HOME = {
    "EvaluationOptions": "fabula.evaluation.options",
    "TuningOptions": "fabula.evaluation.options",
    "FabulaError": "fabula.errors",
    "bases": "fabula.models.bases",
    "clean": "fabula.corpus.clean",
    "compare": "fabula.report.compare",
    "doctor": "fabula.training.predict",
    "evaluate": "fabula.evaluation.evaluate",
    "export": "fabula.exporting.export",
    "learning_curve": "fabula.pipeline.learning_curve",
    "load": "fabula.generation.write",
    "publish": "fabula.publishing.publish",
    "restore": "fabula.corpus.store",
    "run": "fabula.pipeline.run",
    "serve": "fabula.serving.serve",
    "stream": "fabula.generation.write",
    "studio": "fabula.studio_server.serve",
    "train": "fabula.training.train",
    "tune": "fabula.evaluation.tune",
    "write": "fabula.generation.write",
}
_NAME_THERE = {
    "bases": "list_bases",
    "doctor": "predict_training",
    "learning_curve": "measure_learning_curve",
    "restore": "restore_story",
}
"""Functions that have another name in their module."""


__all__ = [
    "EvaluationOptions",
    "FabulaError",
    "TuningOptions",
    "__version__",
    "bases",
    "clean",
    "compare",
    "doctor",
    "evaluate",
    "export",
    "learning_curve",
    "load",
    "publish",
    "restore",
    "run",
    "serve",
    "stream",
    "studio",
    "train",
    "tune",
    "write",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("fabula")
    if name not in _HOME:
        raise AttributeError(f"module 'fabula' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), _NAME_THERE.get(name, name))


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])

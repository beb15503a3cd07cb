"""fabula turns a text file of stories into a language model that writes such stories, and proves what it learned.

    import fabula

    result = fabula.run("stories.txt", out="runs/mine")
    for piece in fabula.write(result.model, "Once upon a time,"):
        ...

Each command of the `fabula` program is one function of the same name here. The functions print nothing; they return
typed results and report through `on_progress`. They load on first use, so that `import fabula` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from fabula.corpus.clean import clean as clean
    from fabula.errors import FabulaError as FabulaError
    from fabula.exporting.export import export as export
    from fabula.generation.write import write as write
    from fabula.pipeline.evaluate import evaluate as evaluate
    from fabula.pipeline.run import run as run
    from fabula.pipeline.tune import tune as tune
    from fabula.publishing.publish import publish as publish
    from fabula.report.compare import compare as compare
    from fabula.serving.serve import serve as serve
    from fabula.training.train import train as train

_HOME = {
    "FabulaError": "fabula.errors",
    "clean": "fabula.corpus.clean",
    "compare": "fabula.report.compare",
    "evaluate": "fabula.pipeline.evaluate",
    "export": "fabula.exporting.export",
    "publish": "fabula.publishing.publish",
    "run": "fabula.pipeline.run",
    "serve": "fabula.serving.serve",
    "train": "fabula.training.train",
    "tune": "fabula.pipeline.tune",
    "write": "fabula.generation.write",
}

__all__ = [
    "FabulaError",
    "__version__",
    "clean",
    "compare",
    "evaluate",
    "export",
    "publish",
    "run",
    "serve",
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
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])

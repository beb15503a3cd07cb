"""The records about a model, in its folder and in the folder of its run."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from fabula.errors import FabulaError
from fabula.files import MANIFEST, PARTIAL, hash_file, read_json
from fabula.models.check import weight_files
from fabula.models.find import locate_model
from fabula.results import (
    CORPUS_RECORD,
    EXPORT,
    EXPORTS,
    METRICS,
    RECIPE_FILE,
    RUN,
    SAMPLES,
    CorpusManifest,
    Evaluation,
    ExportRecord,
    ModelEvaluation,
    RunRecord,
    Sample,
    TrainingManifest,
    read_samples,
)


def corpus_of(model: str | Path, option: str) -> Path:
    """The corpus in the run folder that contains a model.

    Args:
        model: folder of a model or of a run.
        option: how the user can name a corpus instead, for the error.

    Raises:
        FabulaError: there is no such model, or it is not in a run folder with a corpus.
    """
    folder = locate_model(model)
    corpus = folder.resolve().parent / "corpus"
    if not (corpus / MANIFEST).is_file():
        raise FabulaError(
            "this model is not in a run folder with a corpus", where=folder, hint=f"name its corpus: {option}"
        )
    return corpus


@dataclass(frozen=True, slots=True)
class ModelRecords:
    """The records of a model and of the run that made it; None or empty if there is no such file.

    Attributes:
        folder: the model's.
        name: the run's, or the folder's.
        config: the model's `config.json`, as transformers reads it.
        training: the manifest that training left.
        has_recipe: whether the recipe is in the model's folder.
        metrics: the evaluation of the run.
        samples: the stories that this model wrote for its evaluation.
        corpus: the manifest of the corpus.
        corpus_folder: the corpus, if it is in the run's folder.
        exports: by format, one record for each export next to the model that was made from exactly these weights.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    training: TrainingManifest | None
    has_recipe: bool
    metrics: Evaluation | None
    samples: list[Sample]
    corpus: CorpusManifest | None
    corpus_folder: Path | None
    run: RunRecord | None
    exports: list[ExportRecord]

    @classmethod
    def of(cls, folder: str | Path) -> "ModelRecords":
        """The records of a model: from its folder, and from the run's folder around it.

        Raises:
            FabulaError: there is no model, or a record is damaged.
        """
        folder = Path(folder)
        around = folder.resolve().parent
        home = around if (around / RUN).is_file() and folder.name == "model" else folder
        run = RunRecord.load_optional(home / RUN)
        metrics = Evaluation.load_optional(home / METRICS)
        # An evaluation lists the fine-tuned model last.
        own = [
            row for row in read_samples(home / SAMPLES) if metrics and row.model == metrics.models[-1].name
        ]
        corpus_folder = around / "corpus" if CorpusManifest.find(around / "corpus") is not None else None
        corpus = CorpusManifest.find(folder, CORPUS_RECORD)
        if corpus is None and corpus_folder is not None:
            corpus = CorpusManifest.find(corpus_folder)
        return cls(
            folder=folder,
            name=run.name if run else folder.resolve().name,
            config=read_json(folder / "config.json"),
            training=TrainingManifest.find(folder),
            has_recipe=(folder / RECIPE_FILE).is_file(),
            metrics=metrics,
            samples=own,
            corpus=corpus,
            corpus_folder=corpus_folder,
            run=run,
            exports=_published_exports(folder) or exports_of(folder),
        )

    @classmethod
    def readable(cls, folder: str | Path) -> tuple["ModelRecords", str]:
        """The records of a model, or only the place of its corpus if another version of fabula wrote a record that this one
        cannot read.

        Returns:
            The records, and a sentence about what could not be read; "" if all could.

        Raises:
            FabulaError: there is no model.
        """
        try:
            return cls.of(folder), ""
        except FabulaError as error:
            folder = Path(folder)
            is_run = folder.name == "model"
            corpus, has_corpus = folder.resolve().parent / "corpus", False
            with suppress(FabulaError):
                has_corpus = CorpusManifest.find(corpus) is not None
            none = cls(
                folder=folder,
                name=(folder.resolve().parent if is_run else folder.resolve()).name,
                config=read_json(folder / "config.json"),
                training=None,
                has_recipe=False,
                metrics=None,
                samples=[],
                corpus=None,
                corpus_folder=corpus if has_corpus else None,
                run=None,
                exports=[],
            )
            return (
                none,
                f"the records of this model cannot be read, so the page shows none of them ({error.what})",
            )

    @property
    def base(self) -> str | None:
        """Name of the model that training began with, or the last part of its folder's path; None if it was not
        recorded."""
        if self.training and "init" in self.training.inputs:
            return None  # it began with random weights
        named = self.run.arguments.base if self.run else None
        if not named:
            return None
        is_folder = named.startswith((".", "/", "~")) or named.count("/") > 1 or Path(named).is_dir()
        return PurePath(named.replace("\\", "/")).name if is_folder or "\\" in named else named

    @property
    def tuned(self) -> ModelEvaluation | None:
        """The evaluation of this model, which is the last in `metrics`."""
        return self.metrics.models[-1] if self.metrics else None

    @property
    def before(self) -> ModelEvaluation | None:
        """The evaluation of the model that training began with."""
        return self.metrics.models[0] if self.metrics and len(self.metrics.models) > 1 else None

    @property
    def num_parameters(self) -> int | None:
        if self.training:
            return self.training.counts.num_parameters
        return self.tuned.num_parameters if self.tuned else None


def weights_mark(folder: Path) -> list[str]:
    """Identifies the weights of a model."""
    return [hash_file(file) for file in weight_files(folder)]


def exports_of(folder: Path) -> list[ExportRecord]:
    """The records of the exports next to a model, by format; exports of other weights are left out."""
    records = [
        ExportRecord.load(path)
        for path in folder.resolve().parent.glob(f"*/{EXPORT}")
        if not path.parent.name.endswith(PARTIAL)
    ]
    if not records:
        return []
    mark = weights_mark(folder)
    own = [record for record in records if record.weights == mark]
    return sorted(own, key=lambda record: (record.format, record.quantization))


def _published_exports(folder: Path) -> list[ExportRecord]:
    path = folder / EXPORTS
    if not path.is_file():
        return []
    values = read_json(path)
    if not isinstance(values, list):
        raise FabulaError("this is not a list of exports", where=path)
    return [ExportRecord.of(value, path) for value in values]

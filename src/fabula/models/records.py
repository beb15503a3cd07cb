"""What is on record about a model, in its folder and in that of its run."""

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
    """The corpus in the run folder that a model lies in.

    Args:
        model: folder of a model or of a run.
        option: how the user names a corpus instead, for the error.

    Raises:
        FabulaError: no such model, or it lies in no run with a corpus.
    """
    folder = locate_model(model)
    corpus = folder.resolve().parent / "corpus"
    if not (corpus / MANIFEST).is_file():
        raise FabulaError(
            "this model lies in no run folder with a corpus", where=folder, hint=f"name its corpus: {option}"
        )
    return corpus


@dataclass(frozen=True, slots=True)
class ModelRecords:
    """The records of a model and of the run that made it; None or empty where there is no such file.

    Attributes:
        folder: the model's.
        name: the run's, or the folder's.
        config: the model's `config.json`, as transformers reads it.
        training: the manifest that training left.
        has_recipe: whether the recipe lies beside the weights.
        metrics: the evaluation of the run.
        samples: the stories that this model wrote in its evaluation.
        corpus: the manifest of the corpus.
        corpus_folder: the corpus, where it lies in the run's folder.
        exports: one record for each export of these very weights that lies beside the model, by format.
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
            FabulaError: no model, or a record that is damaged.
        """
        folder = Path(folder)
        around = folder.resolve().parent
        home = around if (around / RUN).is_file() and folder.name == "model" else folder
        run = RunRecord.load_optional(home / RUN)
        metrics = Evaluation.load_optional(home / METRICS)
        # The model that was tuned is the last one that an evaluation compares.
        own = [
            row for row in read_samples(home / SAMPLES) if metrics and row.model == metrics.models[-1].name
        ]
        corpus_folder = around / "corpus" if (around / "corpus" / MANIFEST).is_file() else None
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

    @property
    def base(self) -> str | None:
        """The model that training began with: its name, of a folder the last part; None where that is not on record."""
        if self.training and "init" in self.training.inputs:
            return None  # it began with random weights
        named = self.run.arguments.base if self.run else None
        if not named:
            return None
        is_folder = named.startswith((".", "/", "~")) or named.count("/") > 1 or Path(named).is_dir()
        return PurePath(named.replace("\\", "/")).name if is_folder or "\\" in named else named

    @property
    def tuned(self) -> ModelEvaluation | None:
        """The evaluation of this model."""
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
    """What tells the weights of one model from those of another."""
    return [hash_file(file) for file in weight_files(folder)]


def exports_of(folder: Path) -> list[ExportRecord]:
    """The records of the exports beside a model, by format; those of other weights are left out."""
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

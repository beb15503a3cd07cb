"""The models of an evaluation: their folders, the files that determine their figures, and the scoring of texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fabula.config import read_toml
from fabula.errors import FabulaError
from fabula.evaluation.likelihood import ScoredText, TextScores, score_texts, sum_scores
from fabula.files import hash_file
from fabula.models.check import MODEL_FILES
from fabula.progress import OnProgress, silent
from fabula.results import LOG, RECIPE_FILE, TrainingLog, TrainingManifest, TrainingSummary

if TYPE_CHECKING:
    from fabula.generation.engine import Engine
    from fabula.models.story_format import StoryFormat


def model_folder(model: str | Path) -> Path:
    """The folder of a model; a name is looked up, which needs the heavy libraries."""
    folder = Path(model)
    if (folder / "config.json").is_file():
        return folder
    from fabula.models.find import find_model

    return find_model(model)


def unique_names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names, with as many parents as tell them apart; the model of a run is named after the run."""
    folders = [folder.resolve().parent if folder.resolve().name == "model" else folder for folder in folders]
    for depth in range(1, 10):
        names = ["/".join(folder.resolve().parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [f"{folder.name} {number}" for number, folder in enumerate(folders, 1)]


def hashes_of(folder: Path) -> dict[str, str]:
    """Hash of each file of a model that decides what it predicts and writes; its log and its manifest do not."""
    patterns = (*MODEL_FILES, RECIPE_FILE)
    return {
        file.name: hash_file(file)
        for file in sorted(folder.iterdir())
        if any(file.match(pattern) for pattern in patterns)
    }


def training_of(folder: Path) -> TrainingSummary | None:
    """The record of a model's training; None for a model that fabula did not train."""
    manifest = TrainingManifest.find(folder)
    if manifest is None:
        return None
    counts, log = manifest.counts, TrainingLog.load(folder / LOG)
    last = log.steps[-1] if log.steps else None
    return TrainingSummary(
        num_steps=counts.num_steps,
        num_tokens=counts.num_tokens,
        num_epochs=last.epoch * counts.num_steps / last.step if last else 0.0,
        best_step=counts.best_step,
        seconds=log.seconds,
    )


def markup_of(folder: Path) -> str:
    """The markup of stories in a model's training, from its recipe; "newline" if there is no recipe."""
    recipe = folder / RECIPE_FILE
    return read_toml(recipe).get("markup", "newline") if recipe.is_file() else "newline"


@dataclass(frozen=True, slots=True)
class Scorer:
    """A loaded model that scores texts.

    Attributes:
        context_length: tokens in a window.
        stride: tokens from one window to the next.
    """

    model: Any
    tokenizer: Any
    story_format: "StoryFormat"
    markup: str
    context_length: int
    stride: int
    on_progress: OnProgress

    @classmethod
    def load(cls, folder: Path, on_progress: OnProgress = silent) -> Self:
        """Load the model in a folder, with the windows that it is scored in by default: its own context, at most 2,048
        tokens, advanced by half of it."""
        from fabula.models.device import best_device
        from fabula.models.load import fuse_activations, load_model
        from fabula.models.memory import keep_freed_memory
        from fabula.models.scoring import default_context_length
        from fabula.models.story_format import find_story_format
        from fabula.tokens.tokenizer import load_tokenizer

        keep_freed_memory()
        model = load_model(folder, device=best_device())
        fuse_activations(model)
        tokenizer = load_tokenizer(folder)
        context_length = default_context_length(model)
        return cls(
            model=model,
            tokenizer=tokenizer,
            story_format=find_story_format(folder, tokenizer, model),
            markup=markup_of(folder),
            context_length=context_length,
            stride=max(1, context_length // 2),
            on_progress=on_progress,
        )

    def with_windows(self, context_length: int | None, stride: int | None) -> Self:
        """The same model with other windows; None for the model's context, and for half a window.

        Raises:
            FabulaError: a stride as long as the window, or longer: tokens at its head would have no left context.
        """
        context_length = context_length or self.context_length
        stride = stride or max(1, context_length // 2)
        if stride >= context_length:
            raise FabulaError(
                f"a stride of {stride:,} tokens leaves no context in windows of {context_length:,}",
                hint="choose a smaller --stride",
            )
        return replace(self, context_length=context_length, stride=stride)

    def score_tokens(self, texts: Sequence[str], prompts: Sequence[str] | None = None) -> list[ScoredText]:
        """The cost of each token of each text; each text is scored as a separate story, after its prompt if it has one."""
        return score_texts(
            self.model,
            self.tokenizer,
            texts,
            self.story_format,
            markup=self.markup,
            context_length=self.context_length,
            stride=self.stride,
            prompts=prompts,
            on_progress=self.on_progress,
        )

    def score(self, texts: Sequence[str], prompts: Sequence[str] | None = None) -> TextScores:
        """The scores of texts; each text is scored as a separate story, after its prompt if it has one."""
        return sum_scores(self.score_tokens(texts, prompts))


@dataclass
class LoadedModels:
    """The engine and the scorer that were loaded last, so that stages which follow each other with the same model load it
    once. It holds one of each: more would fill the memory with models that nothing uses any more."""

    on_progress: OnProgress = silent
    _engine: "tuple[Path, str, Engine] | None" = field(default=None, repr=False)
    _scorer: tuple[Path, Scorer] | None = field(default=None, repr=False)

    def engine(self, folder: Path, name: str = "auto") -> "Engine":
        """The engine of this name (see `load_engine`) with the model in a folder."""
        if self._engine is None or self._engine[:2] != (folder, name):
            from fabula.generation.engines import load_engine

            self._engine = None  # its memory is free before the next one is loaded
            self._engine = folder, name, load_engine(folder, name, on_progress=self.on_progress)
        return self._engine[2]

    def scorer(self, folder: Path) -> Scorer:
        """The scorer with the model in a folder."""
        if self._scorer is None or self._scorer[0] != folder:
            self._scorer = None
            self._scorer = folder, Scorer.load(folder, self.on_progress)
        return self._scorer[1]

    def release(self) -> None:
        """Free the memory."""
        self._engine = self._scorer = None

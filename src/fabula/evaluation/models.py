"""The models that are judged: where they are, what decides their figures, and how they score texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fabula.config import read_toml
from fabula.evaluation.likelihood import TextScores, score_texts
from fabula.files import hash_file
from fabula.models.check import MODEL_FILES
from fabula.progress import OnProgress, silent
from fabula.results import LOG, RECIPE_FILE, TrainingLog, TrainingManifest, TrainingSummary

if TYPE_CHECKING:
    from fabula.models.story_format import StoryFormat


def model_folder(model: str | Path) -> Path:
    """The folder of a model; a name is looked up, which needs the heavy libraries."""
    folder = Path(model)
    if (folder / "config.json").is_file():
        return folder
    from fabula.models.find import find_model

    return find_model(model)


def unique_names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names, with as many parents as tell them apart."""
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
    """What is on record of a model's training; None for a model that fabula did not train."""
    manifest = TrainingManifest.find(folder)
    if manifest is None:
        return None
    counts = manifest.counts
    return TrainingSummary(
        num_steps=counts.num_steps,
        num_tokens=counts.num_tokens,
        best_step=counts.best_step,
        seconds=TrainingLog.load(folder / LOG).seconds,
    )


def markup_of(folder: Path) -> str:
    """How a model saw stories in training: as its recipe says, or as they are where there is none."""
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
    def load(
        cls,
        folder: Path,
        *,
        context_length: int | None = None,
        stride: int | None = None,
        on_progress: OnProgress = silent,
    ) -> Self:
        """Load the model in a folder. None stands for the model's own context, at most 2,048, and for half of it."""
        import torch

        from fabula.models.load import fuse_activations, load_model
        from fabula.models.memory import keep_freed_memory
        from fabula.models.scoring import default_context_length
        from fabula.models.story_format import find_story_format
        from fabula.tokens.tokenizer import load_tokenizer

        keep_freed_memory()
        model = load_model(folder, device="cuda" if torch.cuda.is_available() else None)
        fuse_activations(model)
        tokenizer = load_tokenizer(folder)
        context_length = context_length or default_context_length(model)
        return cls(
            model=model,
            tokenizer=tokenizer,
            story_format=find_story_format(folder, tokenizer, model),
            markup=markup_of(folder),
            context_length=context_length,
            stride=stride or max(1, context_length // 2),
            on_progress=on_progress,
        )

    def score(self, texts: Sequence[str]) -> TextScores:
        """The scores of texts, each as a story of its own."""
        return score_texts(
            self.model,
            self.tokenizer,
            texts,
            self.story_format,
            markup=self.markup,
            context_length=self.context_length,
            stride=self.stride,
            on_progress=self.on_progress,
        )

    def bits_per_byte(self, texts: Sequence[str]) -> float | None:
        """Of all texts together; None where they hold no text."""
        scores = self.score(texts)
        return scores.bits_per_byte if scores.num_bytes.sum() else None

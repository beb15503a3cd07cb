"""Evaluation: models side by side on the same held-out stories, and on what they write themselves."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fabula.config import Record, read_toml
from fabula.corpus.store import Corpus, open_corpus
from fabula.defaults import NUM_SAMPLES, SAMPLE_TOKENS, SEED
from fabula.errors import FabulaError
from fabula.evaluation.likelihood import Likelihood, TextScores, score_texts, summarise_scores
from fabula.evaluation.memorisation import Copying, Memorisation, find_copies, measure_memorisation
from fabula.evaluation.writing import WritingMeasures, measure_story, measure_writing
from fabula.files import (
    Manifest,
    fingerprint,
    hash_file,
    library_versions,
    read_json,
    write_json,
    write_jsonl,
)
from fabula.models.load import MODEL_FILES
from fabula.models.records import LOG, METRICS, RECIPE_FILE, SAMPLES, read_rows
from fabula.progress import OnProgress, Progress, silent
from fabula.story import Story

if TYPE_CHECKING:
    from fabula.generation.draft import WrittenStory
    from fabula.generation.settings import SamplingSettings

OPENING_WORDS = 12
"""Words of a held-out story that a model is given to go on from."""

OPENING = re.compile(rf"\s*\S+(?:\s+\S+){{{OPENING_WORDS - 1}}}(?=\s)")

MAX_HUMAN_STORIES = 500
"""Held-out stories that are measured as writing, at most."""


class HeldOut(Record):
    """The stories that the models were scored on."""

    split: str
    num_stories: int
    num_clusters: int
    """Groups of near-duplicates; the unit that is resampled for the intervals."""
    num_words: int
    num_bytes: int
    """UTF-8 bytes without newlines."""


class Writing(Record):
    """What stories are like and what they copy: those of a model, or of people."""

    measures: WritingMeasures
    memorisation: Memorisation


class ModelEvaluation(Record):
    """All figures of one model."""

    name: str
    num_parameters: int
    context_length: int
    """Tokens in a window, when held-out stories are scored."""
    stride: int
    """Tokens from one window to the next."""
    training: dict[str, Any] | None = None
    """`num_steps`, `num_tokens` (story tokens that were targets) and `seconds`, for a model that fabula trained."""
    likelihood: Likelihood
    notebook_loss: float
    """Validation loss as the notebook counted it, markers and padding included (see `baseline/loss.py`)."""
    writing: Writing | None
    bits_per_byte_of_own_stories: float | None
    """Under the model itself. Far below the next figure, it writes what is too likely."""
    bits_per_byte_of_human_stories: float | None
    """Under the model, of held-out stories cut to the same length."""

    @property
    def perplexity_gap(self) -> float | None:
        """How much less surprising, in bits per byte, people's stories are to the model than its own: 0 at best."""
        if self.bits_per_byte_of_own_stories is None or self.bits_per_byte_of_human_stories is None:
            return None
        return self.bits_per_byte_of_own_stories - self.bits_per_byte_of_human_stories


class Evaluation(Record):
    """What `metrics.json` holds."""

    fingerprint: str
    """Of all that the figures depend on."""
    held_out: HeldOut
    models: list[ModelEvaluation]
    """The first one is what the others are compared with."""
    human: Writing | None
    """Held-out stories under the measures of writing."""
    settings: dict[str, Any] | None
    """The sampling settings of all stories."""
    opening_words: int
    """Words of a held-out story that every other written story goes on from; the rest begin from nothing."""
    versions: dict[str, str]


def evaluate(
    models: Sequence[str | Path],
    corpus: str | Path,
    *,
    names: Sequence[str] | None = None,
    split: str = "validation",
    out: str | Path | None = None,
    num_samples: int = NUM_SAMPLES,
    max_new_tokens: int = SAMPLE_TOKENS,
    settings: "SamplingSettings | None" = None,
    seed: int = SEED,
    context_length: int | None = None,
    stride: int | None = None,
    max_stories: int | None = None,
    engine: str = "auto",
    on_progress: OnProgress = silent,
) -> Evaluation:
    """Score models on held-out stories, let them write, and compare what they write with what people wrote.

    Done before with the same models, corpus and arguments, it reads the result back from `out`.

    Args:
        models: folders or names of base models. The others are compared with the first one.
        corpus: a folder that `clean` made.
        names: what to call the models; None for the names of their folders.
        split: which stories of the corpus to score.
        out: a folder to write `metrics.json` and `samples.jsonl` into; None writes nothing.
        num_samples: stories that each model writes: by turns from the opening of a held-out story and from nothing,
            with the same prompts and seeds for all models. 0 leaves writing out.
        max_new_tokens: the longest of these stories.
        settings: how tokens are drawn; None for what the last model's `generation_config.json` states.
        seed: of the first story; the next one has the next seed.
        context_length: tokens in a window when stories are scored; None for each model's own, at most 1,024.
        stride: tokens from one window to the next; None for half of the window.
        max_stories: score no more held-out stories than these; None for all.
        engine: what writes; see `fabula.write`.

    Raises:
        FabulaError: no such model or corpus, or no stories in `split`.
    """
    if not models:
        raise FabulaError("no model to evaluate", hint="name at least one")
    if names is not None and len(names) != len(models):
        raise FabulaError(f"{len(models)} models need as many names, not {len(names)}")
    source = open_corpus(corpus)
    stories = held_out_stories(source, split, max_stories)
    folders = [model_folder(model) for model in models]
    names = list(names) if names is not None else unique_names(folders)
    versions = library_versions("torch", "transformers", "tokenizers", "numpy")
    arguments = {
        "names": names,
        "split": split,
        "num_samples": num_samples,
        "max_new_tokens": max_new_tokens,
        "settings": None if settings is None else settings.model_dump(mode="json"),
        "seed": seed,
        "context_length": context_length,
        "stride": stride,
        "max_stories": max_stories,
        "engine": engine,
    }
    mark = fingerprint([source.fingerprint, [hashes_of(folder) for folder in folders], arguments, versions])
    if out is not None and (done := finished_evaluation(Path(out), mark)) is not None:
        return done

    from fabula.generation.settings import SamplingSettings
    from fabula.tokens.tokenizer import load_tokenizer

    settings = (settings or SamplingSettings.of_model(folders[-1])).with_changes(
        max_new_tokens=max_new_tokens
    )
    written: list[list[WrittenStory]] = []
    human: list[HumanStory] = []
    if num_samples:
        from fabula.generation.engines import load_engine
        from fabula.generation.write import write_stories

        human = cut_stories(stories[:MAX_HUMAN_STORIES], load_tokenizer(folders[-1]), max_new_tokens)
        prompts = choose_prompts(human, num_samples)
        for folder, name in zip(folders, names, strict=True):
            on_progress(Progress("evaluate", message=f"{name} writes {num_samples} stories"))
            seeds = range(seed, seed + num_samples)
            loaded = load_engine(folder, engine, on_progress=on_progress)
            written.append(
                write_stories(loaded, prompts, settings=settings, seeds=seeds, on_progress=on_progress)
            )
    scored = []
    for index, (folder, name) in enumerate(zip(folders, names, strict=True)):
        on_progress(Progress("evaluate", message=f"{name} reads {len(stories)} held-out stories"))
        scored.append(
            score_model(
                folder,
                held_out=[story.text for story in stories],
                own=[story.prompt + story.text for story in written[index]] if written else [],
                human=[story.opening + story.text for story in human],
                context_length=context_length,
                stride=stride,
                on_progress=on_progress,
            )
        )
    likelihoods = summarise_scores(
        [scores.held_out for scores in scored],
        [story.num_words for story in stories],
        [story.cluster or story.id for story in stories],
    )
    writing, copying = measure_sets(
        [[(story.text, story.ended) for story in human]]
        + [[(story.text, story.finish_reason == "end") for story in group] for group in written],
        source,
        on_progress,
    )
    evaluation = Evaluation(
        fingerprint=mark,
        held_out=HeldOut(
            split=split,
            num_stories=len(stories),
            num_clusters=len({story.cluster or story.id for story in stories}),
            num_words=sum(story.num_words for story in stories),
            num_bytes=likelihoods[0].num_bytes,
        ),
        models=[
            ModelEvaluation(
                name=name,
                num_parameters=scores.num_parameters,
                context_length=scores.context_length,
                stride=scores.stride,
                training=training_of(folder),
                likelihood=likelihood,
                notebook_loss=scores.notebook_loss,
                writing=writing[index + 1] if written else None,
                bits_per_byte_of_own_stories=scores.own,
                bits_per_byte_of_human_stories=scores.human,
            )
            for index, (folder, name, scores, likelihood) in enumerate(
                zip(folders, names, scored, likelihoods, strict=True)
            )
        ],
        human=writing[0] if written else None,
        settings=settings.model_dump(mode="json") if written else None,
        opening_words=OPENING_WORDS,
        versions=versions,
    )
    if out is not None:
        rows = (
            [
                {"model": name, **story.model_dump(mode="json"), **asdict(copies)}
                for name, group, group_copies in zip(names, written, copying[1:], strict=True)
                for story, copies in zip(group, group_copies, strict=True)
            ]
            if written
            else []
        )
        Path(out).mkdir(parents=True, exist_ok=True)
        write_jsonl(Path(out) / SAMPLES, rows)
        write_json(Path(out) / METRICS, evaluation.model_dump(mode="json"))
    return evaluation


def held_out_stories(corpus: Corpus, split: str, max_stories: int | None) -> list[Story]:
    """The stories of a split in the order of their ids, which is as good as random and does not change."""
    stories = sorted(corpus.stories(split), key=lambda story: story.id)[:max_stories]
    if not stories:
        raise FabulaError(
            f"this corpus has no {split!r} stories",
            where=corpus.path,
            hint="a corpus of one story cannot be split",
        )
    return stories


def model_folder(model: str | Path) -> Path:
    """The folder of a model; a name is looked up, which needs the heavy libraries."""
    folder = Path(model)
    if (folder / "config.json").is_file():
        return folder
    from fabula.models.load import find_model

    return find_model(model)


def hashes_of(folder: Path) -> dict[str, str]:
    """Hash of each file of a model that decides what it predicts and writes; its log and its manifest do not."""
    patterns = (*MODEL_FILES, RECIPE_FILE)
    return {
        file.name: hash_file(file)
        for file in sorted(folder.iterdir())
        if any(file.match(pattern) for pattern in patterns)
    }


def training_of(folder: Path) -> dict[str, Any] | None:
    """What training left on record: steps, story tokens, seconds; None for a model that fabula did not train."""
    manifest = Manifest.find(folder)
    if manifest is None or manifest.stage != "train":
        return None
    seconds = max((row["seconds"] for row in read_rows(folder / LOG)), default=None)
    return {name: manifest.counts.get(name) for name in ("num_steps", "num_tokens")} | {"seconds": seconds}


def unique_names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names, with as many parents as tell them apart."""
    for depth in range(1, 10):
        names = ["/".join(folder.resolve().parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [f"{folder.name} {number}" for number, folder in enumerate(folders, 1)]


def finished_evaluation(out: Path, mark: str) -> Evaluation | None:
    """The evaluation in `out`, if it is whole and of the same inputs."""
    try:
        done = Evaluation.parse(read_json(out / METRICS))
    except (FabulaError, TypeError, ValueError):
        return None
    return done if done.fingerprint == mark and (out / SAMPLES).is_file() else None


@dataclass(frozen=True, slots=True)
class HumanStory:
    """A held-out story in the shape of a written one: `text` goes on from `opening` and is cut where a model would be.

    Attributes:
        ended: whether the story's own end is in `text`.
    """

    opening: str
    text: str
    ended: bool


def cut_stories(stories: Sequence[Story], tokenizer: Any, max_new_tokens: int) -> list[HumanStory]:
    """Cut stories after `max_new_tokens` tokens behind their opening of `OPENING_WORDS` words."""
    cut = []
    for story in stories:
        match = OPENING.match(story.text)
        opening = match.group() if match else ""
        rest = story.text[len(opening) :]
        offsets = tokenizer(rest, add_special_tokens=False, return_offsets_mapping=True, verbose=False)[
            "offset_mapping"
        ]
        ended = len(offsets) < max_new_tokens  # one more is the token that ends the story
        cut.append(HumanStory(opening, rest if ended else rest[: offsets[max_new_tokens - 1][1]], ended))
    return cut


def choose_prompts(stories: Sequence[HumanStory], num_samples: int) -> list[str]:
    """By turns an opening, a new one each time while there are any, and nothing."""
    openings = [story.opening for story in stories if story.opening] or [""]
    return ["" if index % 2 else openings[index // 2 % len(openings)] for index in range(num_samples)]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """One model's scores; `own` and `human` are bits per byte, or None where there is no text."""

    num_parameters: int
    context_length: int
    stride: int
    held_out: TextScores
    notebook_loss: float
    own: float | None
    human: float | None


def score_model(
    folder: Path,
    *,
    held_out: Sequence[str],
    own: Sequence[str],
    human: Sequence[str],
    context_length: int | None,
    stride: int | None,
    on_progress: OnProgress,
) -> ModelScores:
    """Load a model and score all texts with it."""
    import torch

    from fabula.baseline.loss import notebook_loss
    from fabula.models.load import fuse_activations, load_model
    from fabula.models.memory import keep_freed_memory
    from fabula.models.scoring import default_context_length
    from fabula.tokens.tokenizer import load_tokenizer

    keep_freed_memory()
    model = load_model(folder, device="cuda" if torch.cuda.is_available() else None)
    fuse_activations(model)
    tokenizer = load_tokenizer(folder)
    context_length = context_length or default_context_length(model)
    stride = stride or max(1, context_length // 2)

    def score(texts: Sequence[str]) -> TextScores:
        return score_texts(
            model,
            tokenizer,
            texts,
            markup=markup_of(folder),
            context_length=context_length,
            stride=stride,
            on_progress=on_progress,
        )

    def bits_per_byte(texts: Sequence[str]) -> float | None:
        scores = score(texts)
        return scores.bits_per_byte if scores.num_bytes.sum() else None

    return ModelScores(
        num_parameters=model.num_parameters(),
        context_length=context_length,
        stride=stride,
        held_out=score(held_out),
        notebook_loss=notebook_loss(model, tokenizer, held_out),
        own=bits_per_byte(own),
        human=bits_per_byte(human),
    )


def markup_of(folder: Path) -> str:
    """How a model saw stories in training: as its recipe says, or as they are where there is none."""
    recipe = folder / RECIPE_FILE
    return read_toml(recipe).get("markup", "newline") if recipe.is_file() else "newline"


def measure_sets(
    sets: Sequence[Sequence[tuple[str, bool]]], corpus: Corpus, on_progress: OnProgress
) -> tuple[list[Writing], list[list[Copying]]]:
    """Measure sets of stories (text, ended by itself) at the same number of words, and find what they copy."""
    if not all(sets):
        return [], []
    texts = [[text for text, _ in stories] for stories in sets]
    measured = [[measure_story(text, ended) for text, ended in stories] for stories in sets]
    num_words = min(sum(len(story.words) for story in group) for group in measured)
    found = iter(
        find_copies(
            [text for group in texts for text in group],
            lambda: corpus.stories("train"),
            on_progress=on_progress,
        )
    )
    copying = [list(islice(found, len(group))) for group in texts]
    writing = [
        Writing(
            measures=measure_writing(stories, num_words=num_words),
            memorisation=measure_memorisation(group, copies),
        )
        for stories, group, copies in zip(measured, texts, copying, strict=True)
    ]
    return writing, copying

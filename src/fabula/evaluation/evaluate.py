"""Evaluation: compare models on the same held-out stories and on the stories that they write."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fabula.corpus.store import Corpus, open_corpus
from fabula.errors import FabulaError
from fabula.evaluation.known_words import KnownWords
from fabula.evaluation.likelihood import TextScores, sum_scores, summarise_scores
from fabula.evaluation.memorisation import Copying, find_copied_passages, measure_memorisation
from fabula.evaluation.models import LoadedModels, hashes_of, model_folder, training_of, unique_names
from fabula.evaluation.options import EvaluationOptions
from fabula.evaluation.others import PASSAGE_CHARS, Passage, find_others, is_english, why_missing
from fabula.evaluation.overused import overused_phrases
from fabula.evaluation.recitation import count_recited
from fabula.evaluation.stories import (
    MAX_HUMAN_STORIES,
    OPENING_WORDS,
    HumanStory,
    choose_prompts,
    cut_stories,
    held_out_stories,
)
from fabula.evaluation.style import StyleScores, judge_style, tell_apart
from fabula.evaluation.verdict import judge
from fabula.evaluation.voice import measure_voice
from fabula.evaluation.writing import measure_story, measure_writing
from fabula.files import fingerprint, library_versions
from fabula.formatting import count_stories
from fabula.generation.settings import SamplingSettings
from fabula.progress import OnProgress, Progress, silent
from fabula.results import (
    METRICS,
    SAMPLES,
    Estimate,
    Evaluation,
    EvaluationFigures,
    HeldOutSummary,
    ModelEvaluation,
    OverusedPhrase,
    Sample,
    Style,
    Writing,
    WrittenStory,
    write_samples,
)
from fabula.story import Story

MAX_STYLE_STORIES = 300
"""Number of training stories for the style classifier."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that determines the figures.

    Attributes:
        folders: of the models, by their names, in order.
        stories: the held-out stories.
        settings: how tokens are drawn, if that was asked for.
    """

    folders: dict[str, Path]
    corpus: Corpus
    stories: list[Story]
    settings: SamplingSettings | None
    options: EvaluationOptions
    versions: dict[str, str]

    @property
    def fingerprint(self) -> str:
        settings = self.settings.model_dump(mode="json") if self.settings else None
        arguments = {
            "names": list(self.folders),
            "settings": settings,
            **self.options.model_dump(mode="json"),
        }
        hashes = [hashes_of(folder) for folder in self.folders.values()]
        return fingerprint([self.corpus.fingerprint, hashes, arguments, self.versions])


@dataclass(frozen=True, slots=True)
class WrittenStories:
    """The stories that the models wrote, and people's stories in the same form.

    Attributes:
        settings: how tokens were drawn.
        by_model: in the order of the models.
    """

    settings: SamplingSettings
    human: list[HumanStory]
    by_model: list[list[WrittenStory]]


def evaluate(
    models: Sequence[str | Path],
    corpus: str | Path,
    *,
    names: Sequence[str] | None = None,
    out: str | Path | None = None,
    settings: SamplingSettings | None = None,
    options: EvaluationOptions | None = None,
    loaded: LoadedModels | None = None,
    on_progress: OnProgress = silent,
) -> Evaluation:
    """Score models on held-out stories, generate stories with them, and compare these with people's stories.

    The stories that they write begin alternately with the opening of a held-out story and with nothing, and are written
    to its prompt if it has one; all models get the same prompts and seeds. Where `out` holds the result of the same models, corpus and options, it is read back.

    Args:
        models: folders or names of base models. The others are compared with the first one.
        corpus: a folder that `clean` made.
        names: what to call the models; None for the names of their folders.
        out: a folder to write `metrics.json` and `samples.jsonl` into; None writes nothing.
        settings: how tokens are drawn; None for what the last model's folder states.
        options: None for the defaults.
        loaded: models that may be loaded already.

    Raises:
        FabulaError: no such model or corpus, or no stories in the split.
    """
    plan = make_plan(models, corpus, names, settings, options or EvaluationOptions())
    mark = plan.fingerprint
    if out is not None and (done := finished_evaluation(Path(out), mark)) is not None:
        return done
    loaded = loaded or LoadedModels(on_progress)
    written = write_samples_of(plan, loaded, on_progress) if plan.options.num_samples else None
    evaluation, samples = measure(plan, mark, written, loaded, on_progress)
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        write_samples(Path(out) / SAMPLES, samples)
        evaluation.save(Path(out) / METRICS)
    return evaluation


def make_plan(
    models: Sequence[str | Path],
    corpus: str | Path,
    names: Sequence[str] | None,
    settings: SamplingSettings | None,
    options: EvaluationOptions,
) -> Plan:
    """Find the models and the held-out stories.

    Raises:
        FabulaError: as for `evaluate`.
    """
    if not models:
        raise FabulaError("no model to evaluate", hint="name at least one")
    if names is not None and len(names) != len(models):
        raise FabulaError(f"{len(models)} models need {len(models)} names, not {len(names)}")
    if names is not None and len(set(names)) < len(names):
        raise FabulaError(f"two models have the same name ({', '.join(names)})")
    source = open_corpus(corpus)
    stories = held_out_stories(source, options.split, options.max_stories)
    folders = [model_folder(model) for model in models]
    return Plan(
        folders=dict(zip(names if names is not None else unique_names(folders), folders, strict=True)),
        corpus=source,
        stories=stories,
        settings=settings,
        options=options,
        versions=library_versions("torch", "transformers", "tokenizers", "numpy"),
    )


def finished_evaluation(out: Path, mark: str) -> Evaluation | None:
    """The evaluation in `out`, if it is whole and of the same inputs."""
    try:
        done = Evaluation.load(out / METRICS)
    except FabulaError:
        return None
    return done if done.fingerprint == mark and (out / SAMPLES).is_file() else None


def write_samples_of(plan: Plan, loaded: LoadedModels, on_progress: OnProgress) -> WrittenStories:
    """Generate stories with each model, beginning with the last one, which is still loaded after tuning."""
    from fabula.generation.write import write_stories
    from fabula.tokens.tokenizer import load_tokenizer

    options = plan.options
    last = list(plan.folders.values())[-1]
    settings = (plan.settings or SamplingSettings.of_model(last)).with_changes(
        max_new_tokens=options.max_new_tokens,
        whole_sentences=False,  # people's stories are cut at the same number of tokens
    )
    human = cut_stories(plan.stories[:MAX_HUMAN_STORIES], load_tokenizer(last), options.max_new_tokens)
    openings, story_prompts = choose_prompts(human, options.num_samples)
    by_model = []
    for name, folder in reversed(plan.folders.items()):
        on_progress(Progress("evaluate", message=f"{name} writes {options.num_samples} stories"))
        by_model.append(
            write_stories(
                loaded.engine(folder, options.engine),
                openings,
                settings=settings,
                seeds=range(options.seed, options.seed + options.num_samples),
                story_prompts=story_prompts,
                on_progress=on_progress,
            )
        )
    return WrittenStories(settings, human, by_model[::-1])


def measure(
    plan: Plan, mark: str, written: WrittenStories | None, loaded: LoadedModels, on_progress: OnProgress
) -> tuple[Evaluation, list[Sample]]:
    """Score held-out and generated stories, and find the passages that the generated ones copy."""
    others, famous = find_others(plan.corpus, plan.stories)
    others = others[: plan.options.num_others if len(plan.folders) > 1 else 0]
    scored: list[ModelScores] = []
    for index, (name, folder) in reversed(list(enumerate(plan.folders.items()))):
        on_progress(
            Progress("evaluate", message=f"{name} reads {count_stories(len(plan.stories), 'held-out')}")
        )
        own = written.by_model[index] if written else []
        human = written.human if written else []
        scored.insert(0, score_model(plan, loaded, folder, own, human, others))
    human, models, samples = measure_written(plan, written, on_progress)
    style = judge_style_of(plan, others, written)
    figures = EvaluationFigures(
        fingerprint=mark,
        held_out=summarise_held_out(plan, scored[0], famous),
        models=evaluate_models(plan, scored, [passage.author for passage in others], models, style),
        human=human,
        style=Style(author=style.author, others=style.others) if style else None,
        voice_missing=None
        if others or len(plan.folders) == 1
        else why_missing(plan.stories, plan.options.num_others),
        settings=written.settings if written else None,
        opening_words=OPENING_WORDS,
        versions=plan.versions,
    )
    return Evaluation(**dict(figures), verdict=judge(figures)), samples


@dataclass(frozen=True, slots=True)
class MeasuredStories:
    """What one model's stories are like."""

    writing: Writing | None = None
    told_from_people: Estimate | None = None
    overused: tuple[OverusedPhrase, ...] = ()


def measure_written(
    plan: Plan, written: WrittenStories | None, on_progress: OnProgress
) -> tuple[Writing | None, list[MeasuredStories], list[Sample]]:
    """What people's stories and those of each model are like, and the models' stories with what they copy."""
    if written is None:
        return None, [MeasuredStories() for _ in plan.folders], []
    (human, *models), copying = measure_sets(
        [[(story.text, story.ended) for story in written.human]]
        + [[(story.text, story.finish_reason == "end") for story in group] for group in written.by_model],
        plan.corpus,
        on_progress,
    )
    samples = [
        Sample(model=name, longest=copies.longest, spans=copies.spans, **dict(story))
        for name, group, found in zip(plan.folders, written.by_model, copying[1:], strict=True)
        for story, copies in zip(group, found, strict=True)
    ]
    people = [story.text for story in written.human]
    measured = [
        MeasuredStories(
            writing,
            tell_apart([story.text for story in group], people),
            tuple(overused_phrases([story.text for story in group], plan.corpus.stories("train"))),
        )
        for writing, group in zip(models, written.by_model, strict=True)
    ]
    return human, measured, samples


def clusters_of(plan: Plan) -> list[str]:
    """The cluster of each held-out story."""
    return [story.cluster or story.id for story in plan.stories]


def summarise_held_out(plan: Plan, first: "ModelScores", famous: list[str]) -> HeldOutSummary:
    """The stories that the models were scored on; `first` are the scores of the first model."""
    return HeldOutSummary(
        split=plan.options.split,
        num_stories=len(plan.stories),
        num_available=plan.corpus.num_stories(plan.options.split),
        num_clusters=len(set(clusters_of(plan))),
        num_words=sum(story.num_words for story in plan.stories),
        num_bytes=int(first.held_out.num_bytes.sum()),
        num_characters=sum(len(story.text.replace("\n", "")) for story in plan.stories),
        is_english=is_english(plan.stories),
        famous_authors=famous,
        num_recited=first.num_recited,
    )


def evaluate_models(
    plan: Plan,
    scored: Sequence["ModelScores"],
    authors: Sequence[str],
    measured: Sequence[MeasuredStories],
    style: StyleScores | None,
) -> list[ModelEvaluation]:
    """All figures of each model.

    Args:
        authors: of the passages by others.
        measured: what each model's stories are like.
    """
    first, clusters = scored[0], clusters_of(plan)
    num_words = [story.num_words for story in plan.stories]
    likelihoods = summarise_scores([scores.held_out for scores in scored], num_words, clusters)
    voices = [
        measure_voice((first.author, first.others), (scores.author, scores.others), (clusters, authors))
        if authors and scores is not first
        else None
        for scores in scored
    ]
    return [
        ModelEvaluation(
            name=name,
            num_parameters=scores.num_parameters,
            context_length=scores.context_length,
            stride=scores.stride,
            training=training_of(folder),
            likelihood=likelihoods[index],
            notebook_loss=scores.notebook_loss,
            writing=measured[index].writing,
            voice=voices[index],
            style=style.sets[index] if style else None,
            told_from_people=measured[index].told_from_people,
            overused=measured[index].overused,
            bits_per_byte_of_own_stories=scores.own,
            bits_per_byte_of_human_stories=scores.human,
        )
        for index, ((name, folder), scores) in enumerate(zip(plan.folders.items(), scored, strict=True))
    ]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """One model's scores; `own` and `human` are bits per byte, or None where there is no text. `author` are the beginnings
    of held-out stories, and `others` those of stories by other authors. `num_recited` counts held-out stories."""

    num_parameters: int
    context_length: int
    stride: int
    held_out: TextScores
    notebook_loss: float | None
    own: float | None
    human: float | None
    author: TextScores
    others: TextScores
    num_recited: int


def score_model(
    plan: Plan,
    loaded: LoadedModels,
    folder: Path,
    own: Sequence[WrittenStory],
    human: Sequence[HumanStory],
    others: Sequence[Passage],
) -> ModelScores:
    """Score all texts with a model.

    People's stories are beginnings of held-out ones, so what these cost is known. The notebook's loss takes as long as
    everything else together: a shortened evaluation leaves it out.
    """
    from fabula.baseline.loss import notebook_loss

    options = plan.options
    scorer = loaded.scorer(folder).with_windows(options.context_length, options.stride)
    texts = [story.text for story in plan.stories]
    scored = scorer.score_tokens(texts, [story.prompt for story in plan.stories])
    lengths = [len(story.opening + story.text) for story in human]
    whole = options.max_stories is None
    return ModelScores(
        num_parameters=scorer.model.num_parameters(),
        context_length=scorer.context_length,
        stride=scorer.stride,
        held_out=sum_scores(scored),
        notebook_loss=notebook_loss(scorer.model, scorer.tokenizer, texts) if whole else None,
        own=scorer.score(
            [story.prompt + story.text for story in own], [story.settings.story_prompt for story in own]
        ).bits_per_byte,
        human=sum_scores(scored[: len(human)], lengths).bits_per_byte,
        author=sum_scores(scored, [PASSAGE_CHARS] * len(scored)),
        others=scorer.score([passage.text for passage in others]),
        num_recited=count_recited(scored),
    )


def judge_style_of(
    plan: Plan, others: Sequence[Passage], written: WrittenStories | None
) -> StyleScores | None:
    """Whether the models' stories have the author's style; None if that cannot be judged."""
    if not others or written is None:
        return None
    training = islice(plan.corpus.stories("train"), MAX_STYLE_STORIES)
    return judge_style(
        [story.text for story in training],
        [story.text for story in plan.stories],
        [(passage.author, passage.text) for passage in others],
        [[story.text for story in group] for group in written.by_model],
    )


def measure_sets(
    sets: Sequence[Sequence[tuple[str, bool]]], corpus: Corpus, on_progress: OnProgress
) -> tuple[list[Writing], list[list[Copying]]]:
    """Measure sets of stories (text, ended by itself) at the same number of words, and find what they copy."""
    texts = [[text for text, _ in stories] for stories in sets]
    measured = [[measure_story(text, ended) for text, ended in stories] for stories in sets]
    num_words = min(sum(len(story.words) for story in group) for group in measured)
    found = iter(
        find_copied_passages(
            [text for group in texts for text in group],
            lambda: corpus.stories("train"),
            on_progress=on_progress,
        )
    )
    copying = [list(islice(found, len(group))) for group in texts]
    known = KnownWords.of_corpus(corpus)
    writing = [
        Writing(
            measures=measure_writing(stories, known, num_words=num_words),
            memorisation=measure_memorisation(group, copies),
        )
        for stories, group, copies in zip(measured, texts, copying, strict=True)
    ]
    return writing, copying

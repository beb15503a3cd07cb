"""The model card: its metadata for the hub, and its text. Both are made only from the run's records."""

from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from jinja2 import Environment, PackageLoader, StrictUndefined

from fabula.formatting import shorten
from fabula.models.bases import SHORT_NAMES
from fabula.models.records import ModelRecords
from fabula.report.facts import describe, state_settings
from fabula.results import Sample

NUM_SAMPLES = 2
SAMPLE_CHARS = 1_200

HELD_OUT = "Held-out stories"


def hub_name(base: str | None) -> str | None:
    """The name on the hub of a base model, or None where it has none that can be known."""
    name = SHORT_NAMES.get(base or "", base or "")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        return None
    try:
        validate_repo_id(name)
    except HFValidationError:
        return None
    return name


def hub_dataset(stories: str | tuple[str, ...] | None) -> str | None:
    """The stories' name on the hub, if they came from the hub."""
    if isinstance(stories, str) and stories.startswith("hub:"):
        return stories.removeprefix("hub:")
    return None


def card_data(records: ModelRecords, licence: str, repo: str | None) -> ModelCardData:
    """The card's metadata. Fields without a record are left out."""
    dataset = hub_dataset(records.run.arguments.stories if records.run else None)
    results = eval_results(records, dataset)
    return ModelCardData(
        license=licence,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["fabula", "stories"],
        base_model=hub_name(records.base),
        datasets=[dataset] if dataset else None,
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=(repo or records.name).rpartition("/")[2] if results else None,
        eval_results=results or None,
    )


def eval_results(records: ModelRecords, dataset: str | None) -> list[EvalResult]:
    """The figures of `metrics.json` as the hub's model-index; none if they are not evidence."""
    if records.tuned is None or records.metrics is None or not records.metrics.verdict.is_evidence:
        return []
    corpus = records.training.inputs.get("corpus") if records.training else None
    likelihood = records.tuned.likelihood
    figures = [
        ("bits_per_byte", "Bits per byte", likelihood.bits_per_byte),
        ("perplexity", "Perplexity per token", likelihood.perplexity_per_token),
        ("word_perplexity", "Perplexity per word", likelihood.perplexity_per_word),
    ]
    if writing := records.tuned.writing:
        figures += [
            ("copied_share", "Share copied from training stories", writing.memorisation.copied_share),
            ("ended_share", "Share of stories that end by themselves", writing.measures.ended_share),
        ]
    return [
        EvalResult(
            task_type="text-generation",
            task_name="Text generation",
            dataset_type=dataset or "stories",
            dataset_name=HELD_OUT,
            dataset_revision=None if dataset else corpus,
            dataset_split=records.metrics.held_out.split,
            metric_type=kind,
            metric_name=name,
            metric_value=figure.value,
        )
        for kind, name, figure in figures
    ]


def render_card(
    records: ModelRecords, *, licence: str, corpus_licence: str, repo: str | None, space: str | None
) -> str:
    """The whole card: YAML head and Markdown text."""
    environment = Environment(
        loader=PackageLoader("fabula.publishing"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "quoted": quoted, "settings": state_settings, "story": story}
    text = environment.get_template("card.md").render(
        name=(repo or records.name).rpartition("/")[2],
        repo=repo or ".",
        space=space,
        base=hub_name(records.base) or records.base,
        sections=describe(records),
        samples=records.samples[:NUM_SAMPLES],
        licence=licence,
        corpus_licence=corpus_licence,
        has_recipe=records.has_recipe,
    )
    return f"---\n{card_data(records, licence, repo).to_yaml().strip()}\n---\n\n{text}"


def story(sample: Sample) -> str:
    """The beginning of a story that the model wrote, as quoted text."""
    return quoted(shorten(sample.prompt + sample.text, SAMPLE_CHARS))


def cell(text: str) -> str:
    """Text that stays in one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def quoted(text: str) -> str:
    """Text as a fenced block; what a model wrote must not be read as Markdown or HTML."""
    fence = "`" * max(3, 1 + max((len(run) for run in text.split() if set(run) == {"`"}), default=0))
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text.strip()}\n{fence}"

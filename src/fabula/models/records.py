"""What is on record about a model: all that its page and its card say comes from here, and nothing else does."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from fabula.config import read_toml
from fabula.errors import FabulaError
from fabula.files import MANIFEST, PARTIAL, hash_file, read_json
from fabula.models.load import ATTRIBUTION, TINY, weight_files

# The files of a run, and of a model that training made.
RUN = "run.json"
METRICS = "metrics.json"
SAMPLES = "samples.jsonl"
TUNING = "tuning.json"
LOG = "log.jsonl"
RECIPE_FILE = "recipe.toml"
CORPUS_RECORD = "corpus.json"
"""Name of the corpus's manifest where it lies beside a model that was published without its corpus."""

EXPORT = "export.json"
"""What `fabula export` measured, in the folder of an export."""

EXPORTS = "exports.json"
"""The same of all exports of a model, where it was published without them."""

MAX_OWN_OPENINGS = 3
MAX_OPENINGS = 6

WHOLE_SENTENCES = re.compile(r".*[.!?…][”\"’')]*(?=\s|$)")

OPENINGS = (
    "Once upon a time,",
    "The letter arrived eleven years late.",
    "Nobody in the village had ever opened the blue door,",
    "On the last night of the fair",
    "When the tide went out, it left behind",
    "“You were never meant to find this,” she said,",
)


@dataclass(frozen=True, slots=True)
class ModelRecords:
    """The files of a model and of the run that made it; None or empty where there is no such file.

    Attributes:
        folder: the model's.
        name: the run's, or the folder's.
        config: `config.json`.
        training: the manifest that `fabula train` left.
        recipe: `recipe.toml`.
        log: the rows of `log.jsonl`.
        metrics: `metrics.json` of the run.
        samples: the rows of `samples.jsonl` that this model wrote.
        corpus: the manifest of the corpus.
        corpus_folder: the corpus, where it lies in the run's folder.
        run: `run.json`.
        exports: the `export.json` of each export of these very weights that lies beside the model.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    training: dict[str, Any] | None
    recipe: dict[str, Any] | None
    log: list[dict[str, Any]]
    metrics: dict[str, Any] | None
    samples: list[dict[str, Any]]
    corpus: dict[str, Any] | None
    corpus_folder: Path | None
    run: dict[str, Any] | None
    exports: list[dict[str, Any]]

    @classmethod
    def of(cls, folder: str | Path) -> "ModelRecords":
        """The records of a model: from its folder, and from the run's folder around it.

        Raises:
            FabulaError: no model, or a record that is damaged.
        """
        folder = Path(folder)
        around = folder.resolve().parent
        places = [folder, around] if (around / RUN).is_file() and folder.name == "model" else [folder]
        run = _first_json(places, RUN)
        metrics = _first_json(places, METRICS)
        samples = next(
            (list(read_rows(place / SAMPLES)) for place in places if (place / SAMPLES).is_file()), []
        )
        # The model that was tuned is the last one that an evaluation compares.
        last = metrics["models"][-1]["name"] if metrics and metrics.get("models") else None
        corpus_folder = around / "corpus" if (around / "corpus" / MANIFEST).is_file() else None
        return cls(
            folder=folder,
            name=(run or {}).get("name") or folder.resolve().name,
            config=read_json(folder / "config.json"),
            training=_first_json([folder], MANIFEST),
            recipe=read_toml(folder / RECIPE_FILE) if (folder / RECIPE_FILE).is_file() else None,
            log=list(read_rows(folder / LOG)),
            metrics=metrics,
            samples=[row for row in samples if row.get("model") == last],
            corpus=_first_json([folder], CORPUS_RECORD)
            or (read_json(corpus_folder / MANIFEST) if corpus_folder else None),
            corpus_folder=corpus_folder,
            run=run,
            exports=_first_json([folder], EXPORTS) or exports_of(folder),
        )

    @property
    def base(self) -> str | None:
        """The model that training began with: its name, of a folder the last part; None where that is not on record."""
        if self.training and "init" in self.training["inputs"]:
            return None  # it began with random weights
        named = ((self.run or {}).get("arguments") or {}).get("base")
        if named is None:
            return None
        is_folder = named.startswith((".", "/", "~")) or named.count("/") > 1 or Path(named).is_dir()
        return PurePath(named.replace("\\", "/")).name if is_folder or "\\" in named else named

    @property
    def tuned(self) -> Mapping[str, Any] | None:
        """The evaluation of this model."""
        return self.metrics["models"][-1] if self.metrics and self.metrics.get("models") else None

    @property
    def before(self) -> Mapping[str, Any] | None:
        """The evaluation of the model that training began with."""
        return self.metrics["models"][0] if self.metrics and len(self.metrics.get("models", [])) > 1 else None

    @property
    def num_parameters(self) -> int | None:
        counts = (self.training or {}).get("counts", {})
        return counts.get("num_parameters") or (self.tuned or {}).get("num_parameters")

    def openings(self) -> list[str]:
        """A few beginnings to go on from: those of held-out stories that the model was tested with, then common ones."""
        prompts = (
            row["prompt"].strip().partition("\n")[0] for row in self.samples if row.get("prompt", "").strip()
        )
        # An opening stops after a number of words; where a sentence ends before that, the rest is left out.
        own = dict.fromkeys(
            match.group() if (match := WHOLE_SENTENCES.match(prompt)) else prompt for prompt in prompts
        )
        return [*list(own)[:MAX_OWN_OPENINGS], *OPENINGS][:MAX_OPENINGS]


def weights_mark(folder: Path) -> list[str]:
    """What tells the weights of one model from those of another."""
    return [hash_file(file) for file in weight_files(folder)]


def exports_of(folder: Path) -> list[dict[str, Any]]:
    """The records of the exports beside a model, by format; those of other weights are left out."""
    records = [
        read_json(path)
        for path in folder.resolve().parent.glob(f"*/{EXPORT}")
        if not path.parent.name.endswith(PARTIAL)
    ]
    if not records:
        return []
    mark = weights_mark(folder)
    own = [record for record in records if record.get("weights") == mark]
    return sorted(own, key=lambda record: (record["format"], record["quantization"]))


def _first_json(places: list[Path], name: str) -> Any:
    return next((read_json(place / name) for place in places if (place / name).is_file()), None)


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON Lines file, one after the other; none where there is no file.

    Raises:
        FabulaError: a row is no JSON object (with its line).
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise FabulaError("this row is not a JSON object", where=path, line=number)
            yield row


def describe(records: ModelRecords) -> list[dict[str, Any]]:
    """What a reader wants to know of a model: sections of facts, each a label and a value, all from the records."""
    sections = [
        {"title": "The model", "facts": _model_facts(records)},
        {"title": "What it was trained on", "facts": _corpus_facts(records.corpus)},
        {"title": "How well it knows such stories", "facts": _likelihood_facts(records)},
        {"title": "What it writes", "facts": _writing_facts(records)},
        {"title": "In other programs", "facts": export_facts(records.exports)},
    ]
    return [section for section in sections if section["facts"]]


def page_data(
    records: ModelRecords, settings: dict[str, Any], limits: dict[str, Any], *, copies: bool
) -> dict[str, Any]:
    """What the page needs to know of a model, as JSON.

    Args:
        settings: the model's own sampling settings.
        limits: `max_prompt_chars` and `max_new_tokens` at least.
        copies: whether copied passages can be found.
    """
    return {
        "name": records.name,
        "settings": settings,
        "limits": limits,
        "openings": records.openings(),
        "about": describe(records),
        "copies": copies,
    }


def _name_base(base: str | None) -> str:
    if base == TINY:
        return f"{TINY}, the small model that comes with fabula (CC-BY-4.0; {ATTRIBUTION} names whose stories it read)"
    return base or "a base model that is not on record"


def _model_facts(records: ModelRecords) -> list[list[str]]:
    facts = [["Architecture", records.config.get("model_type", "")]]
    if records.num_parameters:
        facts.append(["Parameters", f"{records.num_parameters / 1e6:,.1f} million"])
    context = records.config.get("n_positions") or records.config.get("max_position_embeddings")
    if context:
        facts.append(["Context", f"{context:,} tokens; of a longer story it sees only the end"])
    if records.training:
        init = records.training["inputs"].get("init")
        facts.append(
            [
                "Began as",
                f"random weights ({init})" if init else _name_base(records.base),
            ]
        )
        counts = records.training["counts"]
        if "num_steps" in counts:
            facts.append(["Training", f"{counts['num_steps']:,} steps, {counts['num_tokens']:,} tokens"])
        versions = records.training["versions"]
        facts.append(["Made with", ", ".join(f"{name} {version}" for name, version in versions.items())])
    return facts


def _corpus_facts(corpus: Mapping[str, Any] | None) -> list[list[str]]:
    if corpus is None:
        return []
    counts = corpus["counts"]
    facts = []
    if splits := counts.get("splits"):
        shown = {"train": "{:,} to learn from", "validation": "{:,} held out to be tested on"}
        facts.append(
            ["Stories", ", ".join(shown.get(name, f"{{:,}} {name}").format(n) for name, n in splits.items())]
        )
    if words := counts.get("words_kept"):
        facts.append(["Words", f"{words:,}"])
    if removed := counts.get("words_removed"):
        facts.append(
            [
                "Taken out",
                f"{removed:,} words of notes that are not story, in {counts['num_removals']:,} places",
            ]
        )
    if dropped := counts.get("num_dropped"):
        facts.append(
            ["Left out", ", ".join(f"{number:,} stories ({why})" for why, number in dropped.items())]
        )
    return facts


def _likelihood_facts(records: ModelRecords) -> list[list[str]]:
    if records.tuned is None or records.metrics is None:
        return []
    held_out = records.metrics["held_out"]
    likelihood = records.tuned["likelihood"]
    facts = [
        ["Measured on", f"{held_out['num_stories']:,} stories that it was not trained on"],
        ["Bits per byte", estimate(likelihood["bits_per_byte"])],
    ]
    if records.before is not None:
        facts.append(["Before training", estimate(records.before["likelihood"]["bits_per_byte"])])
    facts.append(["Perplexity per token", estimate(likelihood["perplexity_per_token"], digits=1)])
    return facts


def _writing_facts(records: ModelRecords) -> list[list[str]]:
    if records.tuned is None or not records.tuned.get("writing"):
        return []
    measures, memorisation = (records.tuned["writing"][part] for part in ("measures", "memorisation"))
    people = (records.metrics or {}).get("human") or {}
    human_copying = people.get("memorisation", {}).get("copied_share")
    copied = f"{estimate(memorisation['copied_share'], percent=True)} of what it writes"
    if human_copying is not None:
        copied += f"; held-out stories by people: {estimate(human_copying, percent=True)}"
    return [
        ["Measured on", f"{measures['num_stories']:,} stories that it wrote"],
        ["Ended by themselves", estimate(measures["ended_share"], percent=True)],
        ["Caught in a loop", estimate(measures["looping_share"], percent=True)],
        ["Copied from training stories", copied],
        ["Longest copied passage", f"{memorisation['longest']:,} characters"],
    ]


FORMAT_NAMES = {"gguf": "GGUF", "ctranslate2": "CTranslate2", "onnx": "ONNX"}


def export_facts(exports: list[dict[str, Any]]) -> list[list[str]]:
    """What each export lost, as measured in the program that it is for."""
    return [
        [
            f"{FORMAT_NAMES[each['format']]}, {each['quantization']}",
            f"KL from the original {each['kl']:.5f} nats a token, the same likeliest token"
            f" at {100 * each['greedy_agreement']:.1f} %, bits per byte {each['bits_per_byte']:.4f}"
            f" {each['bits_per_byte_lost']:+.4f}; at {each['num_places']:,} places of {each['text']}",
        ]
        for each in exports
    ]


def estimate(figure: Mapping[str, float | None], *, digits: int = 3, percent: bool = False) -> str:
    """A figure with its 95 % interval, as text."""

    def show(value: float) -> str:
        return f"{100 * value:.1f} %" if percent else f"{value:,.{digits}f}"

    value, low, high = (figure.get(name) for name in ("value", "low", "high"))
    if value is None:
        return "not measured"
    return show(value) if low is None or high is None else f"{show(value)} ({show(low)} to {show(high)})"

"""One page over a run: `report.html`, from the files that the run left in its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabula.corpus.store import LEDGER
from fabula.errors import FabulaError
from fabula.files import MANIFEST, atomic_file, fingerprint, hash_path, library_versions, read_json
from fabula.models.records import LOG, METRICS, RECIPE_FILE, RUN, SAMPLES, TUNING, read_rows

REPORT = "report.html"
TEMPLATES = Path(__file__).parent / "templates"
HEAD_BYTES = 1000
"""The first bytes of a report say what it was made of."""

NUM_PAIRS = 4
"""Prompts of which the stories are shown."""

NUM_EXAMPLES = 3
"""Removals shown for each cleaning rule."""

EXAMPLE_CHARS = 220


def render(folder: str | Path) -> Path:
    """Write `report.html` into a run's folder, or one that `evaluate` wrote to. Parts without a file are left out.

    Where the report is there already and nothing that it shows has changed, it stays as it is.

    Returns:
        The report's path.

    Raises:
        FabulaError: the folder holds neither a run nor an evaluation, or one of its files is damaged.
    """
    folder = Path(folder)
    report = folder / REPORT
    made_of = fingerprint_of(folder)
    if report.is_file():
        with report.open("rb") as file:
            if f'content="{made_of}"'.encode() in file.read(HEAD_BYTES):
                return report
    page = environment().get_template("report.html").render(**gather(folder), made_of=made_of)
    with atomic_file(report) as file:
        file.write(page)
    return report


def fingerprint_of(folder: Path) -> str:
    """Of all that a report on `folder` is made of: its name, the files that `gather` reads, and the templates."""
    corpus, model = folder / "corpus", folder / "model"
    files = [
        *(folder / name for name in (RUN, METRICS, SAMPLES, TUNING)),
        *(model / name for name in (MANIFEST, LOG, RECIPE_FILE)),
        *(corpus / name for name in (MANIFEST, LEDGER)),
        TEMPLATES,
    ]
    hashes = [hash_path(path) if path.exists() else None for path in files]
    return fingerprint([folder.resolve().name, hashes, library_versions("matplotlib", "jinja2")])


def environment() -> Any:
    """Where the templates are; all that is put into them is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "code": code,
        "duration": duration,
        "interval": interval,
        "number": number,
        "percent": percent,
        "settings": state_settings,
    }
    return templates


def gather(folder: Path) -> dict[str, Any]:
    """All that the template shows."""
    metrics = optional_json(folder / METRICS)
    run = optional_json(folder / RUN)
    if metrics is None and run is None:
        raise FabulaError(
            "this folder holds neither a run nor an evaluation",
            where=folder,
            hint="make one with: fabula run",
        )
    tuning = optional_json(folder / TUNING)
    log = list(read_rows(folder / "model" / LOG))
    samples = list(read_rows(folder / SAMPLES))
    recipe = folder / "model" / RECIPE_FILE
    names = [model["name"] for model in metrics["models"]] if metrics else []
    pairs, sources = pair_samples(samples, names)
    return {
        "name": (run or {}).get("name") or folder.resolve().name,
        "run": run,
        "metrics": metrics,
        "cleaning": summarise_cleaning(folder / "corpus"),
        "training": summarise_training(log),
        "figures": draw(metrics, log) | draw_tuning(tuning),
        "pairs": pairs,
        "sources": sources,
        "tuning": tuning,
        "recipe": recipe.read_text(encoding="utf-8") if recipe.is_file() else None,
        "measures": MEASURES,
        "nearest": nearest_to_people(metrics),
        "gaps": perplexity_gaps(metrics),
        "memories": [
            author["memorisation"]
            for author in (
                [model["writing"] for model in metrics["models"]] + [metrics["human"]] if metrics else []
            )
            if author
        ],
        "colours": colours(len(names)),
        "verdict": verdict(metrics),
        "highlights": highlights(metrics),
        "provenance": provenance(folder, run, metrics),
    }


def optional_json(path: Path) -> Any:
    return read_json(path) if path.exists() else None


@dataclass(slots=True)
class RuleSummary:
    """What one cleaning rule took out."""

    rule: str
    description: str
    num_removals: int
    num_words: int
    examples: list[dict[str, Any]] = field(default_factory=list)


def summarise_cleaning(corpus: Path) -> dict[str, Any] | None:
    """Counts from the corpus's manifest, rule by rule, with the first removals of each."""
    manifest = optional_json(corpus / MANIFEST)
    if manifest is None:
        return None
    from fabula.corpus.boilerplate import RULES

    counts = manifest["counts"]
    rules = {
        rule: RuleSummary(rule, RULES.get(rule, ""), number, counts["words_by_rule"][rule])
        for rule, number in counts["removals_by_rule"].items()
    }
    dropped: dict[str, list[dict[str, Any]]] = {reason: [] for reason in counts["num_dropped"]}
    for row in read_rows(corpus / LEDGER):
        examples = (
            rules[row["rule"]].examples if row.get("rule") in rules else dropped.get(row.get("dropped", ""))
        )
        if examples is not None and len(examples) < NUM_EXAMPLES:
            examples.append(row | {"text": shorten(row["text"] or "")})
    return {
        "counts": counts,
        "rules": sorted(rules.values(), key=lambda rule: -rule.num_words),
        "dropped": dropped,
    }


def shorten(text: str) -> str:
    """The beginning of a text, in one paragraph."""
    text = " ".join(text.split())
    return text if len(text) <= EXAMPLE_CHARS else text[:EXAMPLE_CHARS].rsplit(" ", 1)[0] + " …"


def summarise_training(log: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A few figures of the training log."""
    steps = rows_with(log, "train_loss")
    checks = rows_with(log, "bits_per_byte")
    if not steps and not checks:
        return None
    speeds = sorted(row["tokens_per_second"] for row in steps if "tokens_per_second" in row)
    last = [*steps, *checks]
    return {
        "num_steps": max(row["step"] for row in last),
        "seconds": max(row["seconds"] for row in last),
        "tokens_per_second": speeds[len(speeds) // 2] if speeds else None,
        "best": min(checks, key=lambda row: row["bits_per_byte"]) if checks else None,
    }


def rows_with(log: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """The rows with a field, one a step (the last), by step: a resumed run logs some steps again."""
    return [row for _, row in sorted({row["step"]: row for row in log if name in row}.items())]


def smooth(values: Sequence[float], share: float = 0.1) -> list[float]:
    """Running means over a share of all values."""
    reach = max(1, round(len(values) * share) // 2)
    return [
        sum(near) / len(near)
        for near in (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    ]


def draw(metrics: Mapping[str, Any] | None, log: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The drawings that there is something to draw for."""
    from fabula.report.figures import Bar, Curve, draw_curves, draw_intervals

    figures = {}
    steps, checks = rows_with(log, "train_loss"), rows_with(log, "bits_per_byte")
    curves = []
    if len(steps) > 1:
        x, y = [row["step"] for row in steps], [row["train_loss"] for row in steps]
        curves += [
            Curve(x, y, "", "base", faint=True),
            Curve(x, smooth(y), "training", "base", markers=False),
        ]
    if len(checks) > 1:
        x = [row["step"] for row in checks]
        curves.append(Curve(x, [row["val_loss"] for row in checks], "held-out stories", "tuned"))
        figures["bits_per_byte"] = draw_curves(
            [Curve(x, [row["bits_per_byte"] for row in checks], "held-out stories", "tuned")],
            "Bits per byte of held-out stories over the steps of training",
            "steps",
        )
    if curves:
        figures["loss"] = draw_curves(curves, "Loss in nats per token over the steps of training", "steps")
    if metrics:
        figures["likelihood"] = draw_intervals(
            [
                Bar(model["name"], **model["likelihood"]["bits_per_byte"], colour=colour)
                for model, colour in zip(metrics["models"], colours(len(metrics["models"])), strict=True)
            ],
            "Bits per byte of held-out stories, with 95 % intervals",
            "bits per byte (fewer is better)",
        )
    return figures


def draw_tuning(tuning: Mapping[str, Any] | None) -> dict[str, Any]:
    """The sweep of the settings, where there was one."""
    if tuning is None:
        return {}
    from fabula.report.figures import Point, draw_map, draw_sweep

    def points(x: str, y: str) -> list[Point]:
        found = []
        for index, candidate in enumerate(tuning["candidates"]):
            values = {**candidate["figures"], "distance": candidate["distance"]}
            if values[x] is not None and values[y] is not None:
                within = candidate["copied_share"] <= tuning["copied_limit"]
                chosen = index == tuning["chosen"]
                found.append(Point(values[x], values[y], candidate["sampler"], within, chosen))
        return found

    samplers = list(dict.fromkeys(candidate["sampler"] for candidate in tuning["candidates"]))
    figures = {
        "sweep": draw_sweep(
            points("distance", "distance"),
            samplers,
            "Distance from people of each settings tried, by sampler",
            "distance from people, in standard deviations",
        )
    }
    people = tuning["human"]["compression_ratio"], tuning["human"]["repeated_4grams"]
    if None not in people:
        figures["map"] = draw_map(
            points("compression_ratio", "repeated_4grams"),
            people,
            "Sameness of the settings tried and of people",
            ("compression ratio", "repeated 4-grams"),
        )
    return figures


def colours(number: int) -> list[str]:
    """Names of the colours of so many models."""
    from fabula.report.figures import SERIES

    return [SERIES[index % len(SERIES)] for index in range(number)]


def pair_samples(
    samples: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Stories to the same prompt and seed side by side, and the sources of what they copied, numbered from 1."""
    shades = dict(zip(names, colours(len(names)), strict=True))
    sources: list[dict[str, Any]] = []
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in samples:
        groups.setdefault((row["prompt"], row["seed"]), []).append(row)
    pairs = []
    for (prompt, seed), rows in list(groups.items())[:NUM_PAIRS]:
        stories = []
        for row in sorted(rows, key=lambda row: names.index(row["model"]) if row["model"] in names else 0):
            segments, position = [], 0
            for span in row["spans"]:
                segments.append((row["text"][position : span["start"]], None))
                sources.append({**span, "passage": row["text"][span["start"] : span["end"]]})
                segments.append((row["text"][span["start"] : span["end"]], len(sources)))
                position = span["end"]
            segments.append((row["text"][position:], None))
            colour = shades.get(row["model"], "muted")
            stories.append({**row, "segments": segments, "colour": colour})
        pairs.append({"prompt": prompt, "seed": seed, "stories": stories})
    return pairs, sources


def verdict(metrics: Mapping[str, Any] | None) -> list[str]:
    """What the figures say, in a sentence or two."""
    if metrics is None:
        return []
    first, *others = metrics["models"]
    held_out = f"the {number(metrics['held_out']['num_stories'])} stories that were held out"
    if not others:
        figure = number(first["likelihood"]["bits_per_byte"]["value"], 3)
        return [f"{first['name']} needs {figure} bits for each byte of {held_out}."]
    last = others[-1]
    before, after = (model["likelihood"]["bits_per_byte"]["value"] for model in (first, last))
    change = last["likelihood"]["bits_per_byte_difference"]
    fewer = "fewer" if after < before else "more"
    lines = [
        f"On {held_out}, {last['name']} needs {number(after, 3)} bits per byte where {first['name']} needs"
        f" {number(before, 3)}: {percent(abs(1 - after / before), 0)} {fewer}."
    ]
    if change["low"] is None:
        lines.append("Too few stories were held out to say how sure that is.")
    elif change["low"] <= 0 <= change["high"]:
        lines.append("The difference may be chance: its 95 % interval includes zero.")
    return lines


@dataclass(frozen=True, slots=True)
class Highlight:
    """One of the few figures at the top."""

    figure: str
    meaning: str


def highlights(metrics: Mapping[str, Any] | None) -> list[Highlight]:
    """The last model's figures that answer what people ask first."""
    if metrics is None:
        return []
    last, human = metrics["models"][-1], metrics["human"]
    scores = last["likelihood"]["bits_per_byte"]
    found = [
        Highlight(
            number(scores["value"], 3),
            f"bits per byte of held-out stories ({interval(scores) or 'no interval'})",
        )
    ]
    if human:
        own, people = last["writing"], human
        found += [
            Highlight(
                percent(own["measures"]["looping_share"]["value"], 0),
                f"of its stories get stuck in a loop (people: {percent(people['measures']['looping_share']['value'], 0)})",
            ),
            Highlight(
                percent(own["measures"]["ended_share"]["value"], 0),
                f"end by themselves within the length (people: {percent(people['measures']['ended_share']['value'], 0)})",
            ),
            Highlight(
                percent(own["memorisation"]["copied_share"]["value"]),
                "of its text is copied from training stories"
                f" (people: {percent(people['memorisation']['copied_share']['value'])})",
            ),
        ]
    return found


def value_of(figure: Any) -> float | None:
    """The value of an estimate or of a bare figure."""
    return figure["value"] if isinstance(figure, Mapping) else figure


def nearest_to_people(metrics: Mapping[str, Any] | None) -> dict[str, int | None]:
    """For each measure of writing, which model comes nearest to people; None where none or several do."""
    if metrics is None or metrics["human"] is None or len(metrics["models"]) < 2:
        return dict.fromkeys((measure.name for measure in MEASURES), None)
    nearest: dict[str, int | None] = {}
    for measure in MEASURES:
        people = value_of(metrics["human"]["measures"][measure.name])
        values = [value_of(model["writing"]["measures"][measure.name]) for model in metrics["models"]]
        away = [abs(value - people) if value is not None and people is not None else None for value in values]
        known = sorted(distance for distance in away if distance is not None)
        alone = len(known) == len(away) and known[0] < known[1]
        nearest[measure.name] = away.index(known[0]) if alone else None
    return nearest


def perplexity_gaps(metrics: Mapping[str, Any] | None) -> list[float | None]:
    """Each model's own stories less people's, in bits per byte."""
    pairs = [
        (model["bits_per_byte_of_own_stories"], model["bits_per_byte_of_human_stories"])
        for model in (metrics["models"] if metrics else [])
    ]
    return [None if own is None or human is None else own - human for own, human in pairs]


def provenance(
    folder: Path, run: Mapping[str, Any] | None, metrics: Mapping[str, Any] | None
) -> list[tuple[str, str]]:
    """What else one must know to repeat the run: versions and hashes."""
    rows = []
    versions = {**(metrics or {}).get("versions", {}), **(run or {}).get("versions", {})}
    if versions:
        rows.append(
            ("Versions", ", ".join(f"{name} {version}" for name, version in sorted(versions.items())))
        )
    for part in ("corpus", "model"):
        manifest = optional_json(folder / part / MANIFEST)
        if manifest:
            rows.append((f"Fingerprint of {part}", manifest["fingerprint"]))
            rows += [
                (f"Hash of {role}, as {part} read it", digest) for role, digest in manifest["inputs"].items()
            ]
    if metrics:
        rows.append(("Fingerprint of the evaluation", metrics["fingerprint"]))
    return rows


@dataclass(frozen=True, slots=True)
class Measure:
    """How a measure of writing is shown."""

    name: str
    label: str
    meaning: str
    kind: str


MEASURES = (
    Measure("looping_share", "Stories that loop", "get stuck and say one thing over and over", "percent"),
    Measure(
        "repeated_4grams", "Repeated phrases", "four-word phrases that stood in the story before", "percent"
    ),
    Measure(
        "ended_share",
        "Stories that end",
        "by themselves, at the end of a sentence, within the length",
        "percent",
    ),
    Measure("mean_words", "Words", "in a story, up to the length allowed", "0"),
    Measure("distinct_2", "Different word pairs", "by all word pairs", "percent"),
    Measure("distinct_3", "Different word triples", "by all word triples", "percent"),
    Measure(
        "compression_ratio", "Compression ratio", "how much smaller the text packs: more is more alike", "2"
    ),
    Measure("zipf_slope", "Zipf slope", "how word frequencies fall off with rank", "2"),
)


def number(value: float | None, digits: int = 0) -> str:
    """ "12,345", or a dash."""
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}\u00a0%".replace("-", "−")


def interval(estimate: Mapping[str, float | None], kind: str = "3") -> str:
    """The bounds of an estimate: "1.20 to 1.31", or nothing where there are none."""
    low, high = estimate["low"], estimate["high"]
    if low is None or high is None:
        return ""
    show = percent if kind == "percent" else lambda value: number(value, int(kind))
    return f"{show(low)} to {show(high)}"


def duration(seconds: float) -> str:
    """ "8 s", "2 min", "3 h 07 min"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def state_settings(settings: Mapping[str, Any]) -> str:
    """The settings that do something, for the reader: "temperature 0.8, top_p 0.9"."""
    off = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
    parts = [f"temperature {settings['temperature']:g}"]
    parts += [f"{name} {settings[name]:g}" for name, value in off.items() if settings[name] != value]
    return ", ".join(parts)


def code(text: str) -> Any:
    """Text with what stands between backticks set as code."""
    from markupsafe import Markup

    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 and index < len(parts) - 1 else part
        for index, part in enumerate(parts)
    )

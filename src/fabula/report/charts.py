"""The charts of the pages."""

from collections.abc import Sequence

from markupsafe import Markup

from fabula.report.figures import (
    SERIES,
    Bar,
    Curve,
    Point,
    draw_curves,
    draw_intervals,
    draw_map,
    draw_sweep,
)
from fabula.results import Candidate, Estimate, Evaluation, LearningCurve, TrainingLog, Tuning


def colours(number: int) -> list[str]:
    """Names of the colours for this number of models."""
    return [SERIES[index % len(SERIES)] for index in range(number)]


def chart_training(log: TrainingLog) -> dict[str, Markup]:
    """Training and validation loss, and bits per byte, where there are two points or more."""
    charts = {}
    curves = []
    if len(log.steps) > 1:
        x, y = [row.step for row in log.steps], [row.train_loss for row in log.steps]
        curves += [
            Curve(x, y, "", "base", faint=True),
            Curve(x, smooth(y), "training loss", "base", markers=False),
        ]
    if len(log.validations) > 1:
        x = [row.step for row in log.validations]
        curves.append(Curve(x, [row.val_loss for row in log.validations], "validation loss", "tuned"))
        charts["bits_per_byte"] = draw_curves(
            [Curve(x, [row.bits_per_byte for row in log.validations], "held-out stories", "tuned")],
            "Learning curve: bits per byte of held-out stories over the steps of training",
            "training steps",
            "bits per byte",
        )
    if curves:
        charts["loss"] = draw_curves(
            curves,
            "Training and validation loss over the steps of training",
            "training steps",
            "nats per token",
        )
    return charts


def smooth(values: Sequence[float], share: float = 0.1) -> list[float]:
    """Running means over a share of all values."""
    reach = max(1, round(len(values) * share) // 2)
    return [
        sum(near) / len(near)
        for near in (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    ]


def bar(label: str, estimate: Estimate, colour: str) -> Bar:
    """An estimate as a row of an interval plot."""
    return Bar(label, estimate.value, estimate.low, estimate.high, colour)


def chart_likelihood(evaluation: Evaluation) -> Markup:
    """Bits per byte of all models."""
    models = evaluation.models
    return draw_intervals(
        [
            bar(model.name, model.likelihood.bits_per_byte, colour)
            for model, colour in zip(models, colours(len(models)), strict=True)
        ],
        "Bits per byte of held-out stories, with 95 % intervals",
        "bits per byte (lower is better)",
    )


def chart_learning_curve(curve: LearningCurve) -> Markup:
    """Bits per byte over the number of training stories, and what is expected of twice as many. The intervals are those of
    the differences from the last training, drawn around its value."""
    *_, last = curve.points
    value, doubling = last.bits_per_byte.value, curve.doubling
    differences = [point.difference for point in curve.points]
    measured = Curve(
        [point.num_stories for point in curve.points],
        [point.bits_per_byte.value for point in curve.points],
        "measured",
        "tuned",
        intervals=[
            (value + each.low, value + each.high)
            if each and each.low is not None and each.high is not None
            else None
            for each in differences
        ],
    )
    expected = Curve(
        [last.num_stories, 2 * last.num_stories],
        [value, value - doubling.value],
        "expected of twice as many",
        "base",
        intervals=[
            None,
            None
            if doubling.low is None or doubling.high is None
            else (value - doubling.high, value - doubling.low),
        ],
    )
    return draw_curves(
        [measured, expected],
        "Bits per byte of held-out stories over the number of training stories",
        "training stories",
        "bits per byte",
    )


def chart_tuning(tuning: Tuning) -> dict[str, Markup]:
    """The settings that were tried, by their distance from people and between two of the measures."""

    def point(candidate: Candidate, x: float, y: float) -> Point:
        within = candidate.copied_share <= tuning.copied_limit
        return Point(x, y, candidate.sampler, within, candidate is tuning.best)

    candidates = tuning.candidates
    charts = {
        "sweep": draw_sweep(
            [point(each, each.distance, each.distance) for each in candidates],
            list(dict.fromkeys(each.sampler for each in candidates)),
            "Distance from people of each settings tried, by sampler",
            "distance from people, in standard deviations",
        )
    }
    people = tuning.human.compression_ratio, tuning.human.repeated_4grams
    if people[0] is not None and people[1] is not None:
        charts["map"] = draw_map(
            [
                point(each, each.figures.compression_ratio, 100 * each.figures.repeated_4grams)
                for each in candidates
                if each.figures.compression_ratio is not None and each.figures.repeated_4grams is not None
            ],
            (people[0], 100 * people[1]),
            "Repetition with the settings tried, and by people",
            ("compression ratio", "repeated 4-grams, %"),
        )
    return charts

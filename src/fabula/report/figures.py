"""SVG plots that use the colours and fonts of the page, so that one drawing works in light mode, dark mode and print."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

SERIES = ("base", "tuned", "third", "fourth", "people")
"""Colours of models in their order. A colour is a variable of the page's style sheet."""

WIDTH = 346
"""Units: narrow enough for the type to stay readable on a phone."""

FONT_SIZE = 11
"""Units, as all lengths here."""

ROW = 36
"""The height of a row of a plot with rows."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a plot: its points, its label, and its colour. `intervals` are the bounds at each point, or None where there
    are none."""

    x: Sequence[float]
    y: Sequence[float]
    label: str
    colour: str
    faint: bool = False
    markers: bool = True
    intervals: Sequence[tuple[float, float] | None] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of an interval plot."""

    label: str
    value: float
    low: float | None
    high: float | None
    colour: str


@dataclass(frozen=True, slots=True)
class Point:
    """One of the settings that were tried: its position, its row, whether it is within the limits, and whether it was
    chosen."""

    x: float
    y: float
    row: str
    within: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps the values from `low` to `high` to positions from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int, integer: bool = False) -> list[tuple[float, str]]:
        """Round values on the axis with their labels: `most` or fewer, in steps of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        step = max(step, 1.0) if integer else step
        digits = max(0, -math.floor(round(math.log10(step), 9)))
        indices = range(math.ceil(round(self.low / step, 9)), math.floor(round(self.high / step, 9)) + 1)
        return [(index * step, f"{index * step:,.{digits}f}".replace("-", "−")) for index in indices]


def cover(values: Iterable[float], margin: float) -> tuple[float, float]:
    """The range of the finite values, widened by a share of it on both sides."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = margin * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def width_of(text: str) -> float:
    """About the width of a text; the page chooses the font."""
    return 0.58 * FONT_SIZE * len(text)


class Plot:
    """A drawing in the making: its axes and its elements so far. Points that are not finite are left out."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], height: float, left: float, top: float = 8
    ) -> None:
        self.x = Axis(*x, left, WIDTH - 14)
        self.y = Axis(*y, height - 38, top)
        self.height = height
        self.elements: list[Markup] = []

    def line(
        self, points: Iterable[tuple[float, float]], colour: str, width: float, opacity: float = 1
    ) -> None:
        path = " ".join(
            f"{self.x.at(x):.1f},{self.y.at(y):.1f}"
            for x, y in points
            if math.isfinite(x) and math.isfinite(y)
        )
        self.elements.append(
            Markup(
                '<polyline points="{}" style="fill: none; stroke: var(--{}); stroke-width: {}; opacity: {}; '
                'stroke-linecap: round; stroke-linejoin: round"/>'
            ).format(path, colour, width, opacity)
        )

    def dot(
        self, x: float, y: float, radius: float, colour: str, opacity: float = 1, hollow: float = 0
    ) -> None:
        """A disc, or a ring with a line of the width `hollow`."""
        if not (math.isfinite(x) and math.isfinite(y)):
            return
        style = (
            f"fill: none; stroke: var(--{colour}); stroke-width: {hollow}"
            if hollow
            else f"fill: var(--{colour})"
        )
        self.elements.append(
            Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" style="{}; opacity: {}"/>').format(
                self.x.at(x), self.y.at(y), radius, style, opacity
            )
        )

    def text(
        self, x: float, y: float, text: str, anchor: str = "middle", colour: str = "muted", turn: int = 0
    ) -> None:
        """A text at a position of the drawing, with a border in the paper's colour that keeps lines off it."""
        self.elements.append(
            Markup(
                '<text x="{x:.1f}" y="{y:.1f}" font-size="{}" text-anchor="{}" transform="rotate({} {x:.1f} {y:.1f})" '
                'style="fill: var(--{}); stroke: var(--paper); stroke-width: 4; paint-order: stroke">{}</text>'
            ).format(FONT_SIZE, anchor, turn, colour, text, x=x, y=y)
        )

    def grid_x(self, label: str, lines: bool = True, integer: bool = False) -> None:
        """The labels of the horizontal axis, and lines along them."""
        for value, tick in self.x.ticks(4 if self.x.high >= 10_000 else 7, integer):
            if lines:
                self.line([(value, self.y.low), (value, self.y.high)], "line", 0.8)
            self.text(self.x.at(value), self.y.start + 15, tick)
        self.line([(self.x.low, self.y.low), (self.x.high, self.y.low)], "line", 0.8)
        self.text((self.x.start + self.x.end) / 2, self.height - 6, label)

    def grid_y(self, label: str) -> None:
        """The same for the vertical axis."""
        for value, tick in self.y.ticks(7):
            self.line([(self.x.low, value), (self.x.high, value)], "line", 0.8)
            self.text(self.x.start - 6, self.y.at(value) + 4, tick, "end")
        self.text(10, (self.y.start + self.y.end) / 2, label, turn=-90)

    def legend(self, labels: Sequence[tuple[str, str]]) -> None:
        """Labels with their colours above the plot, where no curve can cross them."""
        for (label, colour), (x, line) in zip(labels, legend_places(labels), strict=True):
            y = 10 + 16 * line
            self.elements.append(
                Markup('<circle cx="{:.1f}" cy="{}" r="4" style="fill: var(--{})"/>').format(
                    x + 4, y - 4, colour
                )
            )
            self.text(x + 13, y, label, "start", "ink")

    def finish(self, title: str) -> Markup:
        """The drawing as an inline SVG element with `title` as its text alternative."""
        return Markup('<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
            WIDTH, self.height, title, Markup("").join(self.elements)
        )


def legend_places(labels: Sequence[tuple[str, str]]) -> list[tuple[float, int]]:
    """The position of each label in a legend, and its line."""
    places, x, line = [], 0.0, 0
    for label, _ in labels:
        width = 28 + width_of(label)
        if x and x + width > WIDTH:
            x, line = 0.0, line + 1
        places.append((x, line))
        x += width
    return places


def new_plane(
    x: tuple[float, float], y: tuple[float, float], height: float, labels: Sequence[tuple[str, str]]
) -> Plot:
    """A plot with two axes of numbers, with room for the labels of the vertical one and for a legend."""
    num_lines = legend_places(labels)[-1][1] + 1 if labels else 0
    ticks = Axis(*y, 0, 1).ticks(7)
    left = 28 + max(width_of(tick) for _, tick in ticks)
    plot = Plot(x, y, height + 16 * num_lines, left, 10 + 16 * num_lines)
    plot.legend(labels)
    return plot


def draw_curves(curves: Sequence[Curve], title: str, x_label: str, y_label: str) -> Markup:
    """Lines over steps."""
    bounds = [value for curve in curves for interval in curve.intervals if interval for value in interval]
    plot = new_plane(
        cover([x for curve in curves for x in curve.x], 0.05),
        cover([*bounds, *(y for curve in curves for y in curve.y)], 0.05),
        187,
        [(curve.label, curve.colour) for curve in curves if curve.label] if len(curves) > 1 else [],
    )
    plot.grid_y(y_label)
    plot.grid_x(x_label, lines=False, integer=all(isinstance(x, int) for curve in curves for x in curve.x))
    for curve in curves:
        for x, interval in zip(curve.x, curve.intervals, strict=False):
            if interval is not None:
                plot.line([(x, value) for value in interval], curve.colour, 5, 0.35)
        points = list(zip(curve.x, curve.y, strict=True))
        plot.line(points, curve.colour, *((1, 0.55) if curve.faint else (2.2, 1)))
        if curve.markers and not curve.faint and len(points) < 40:
            for x, y in points:
                plot.dot(x, y, 2.6, curve.colour)
    return plot.finish(title)


def new_rows(labels: Sequence[str], x: tuple[float, float], x_label: str) -> Plot:
    """A plot with a row for each label, which stands above the row; row 0 is the highest."""
    plot = Plot(x, (len(labels) - 0.3, -0.7), 50 + ROW * len(labels), 8)
    plot.grid_x(x_label)
    for row, label in enumerate(labels):
        plot.text(8, plot.y.at(row) - 11, label, "start", "ink")
    return plot


def draw_intervals(bars: Sequence[Bar], title: str, x_label: str) -> Markup:
    """A dot for each value and a line over its 95 % interval."""
    values = [value for bar in bars for value in (bar.value, bar.low, bar.high) if value is not None]
    plot = new_rows([bar.label for bar in bars], cover(values, 0.12), x_label)
    for row, bar in enumerate(bars):
        if bar.low is not None and bar.high is not None:
            plot.line([(bar.low, row), (bar.high, row)], bar.colour, 5, 0.35)
        plot.dot(bar.value, row, 4.5, bar.colour)
    return plot.finish(title)


def draw_sweep(points: Sequence[Point], rows: Sequence[str], title: str, x_label: str) -> Markup:
    """A dot for each setting and a row for each sampler; a dot is hollow if it exceeds the limit, and ringed if it
    was chosen."""
    _, high = cover([0, *(point.x for point in points)], 0.05)
    plot = new_rows(
        [row.replace("_", "-" if row.startswith(("top", "min")) else " ") for row in rows], (0, high), x_label
    )
    for point in points:
        row = rows.index(point.row)
        plot.dot(point.x, row, 4.5, "tuned", 1 if point.chosen else 0.55, hollow=0 if point.within else 1.2)
        if point.chosen:
            plot.dot(point.x, row, 8, "base", hollow=2)
    return plot.finish(title)


def draw_map(
    points: Sequence[Point], people: tuple[float, float], title: str, labels: tuple[str, str]
) -> Markup:
    """The position of each setting, and of people, with respect to two measures."""
    plot = new_plane(
        cover([people[0], *(point.x for point in points)], 0.12),
        cover([people[1], *(point.y for point in points)], 0.12),
        230,
        [("settings", "tuned"), ("chosen", "base"), ("people", "people")],
    )
    plot.grid_y(labels[1])
    plot.grid_x(labels[0])
    for point in points:
        plot.dot(point.x, point.y, 4, "tuned", 1 if point.chosen else 0.5)
        if point.chosen:
            plot.dot(point.x, point.y, 7.5, "base", hollow=2)
    plot.dot(*people, 5.5, "people")
    return plot.finish(title)

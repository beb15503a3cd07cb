"""SVG plots that use the colours and fonts of the page, so that one drawing works in light mode, dark mode and print."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Matplotlib writes these into the drawing; `to_svg` puts the page's variables in their place.
COLOURS = {
    "ink": "#010203",
    "muted": "#020304",
    "line": "#030405",
    "paper": "#040506",
    "base": "#050607",
    "tuned": "#060708",
    "people": "#070809",
    "third": "#08090a",
    "fourth": "#090a0b",
}
SERIES = ("base", "tuned", "third", "fourth", "people")
"""Colours of models in their order."""

WIDTH = 4.8
"""Inches: narrow enough for the type to stay readable on a phone."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a plot: its points, its label, and a name from `COLOURS`. `intervals` are the bounds at each point, or None
    where there are none."""

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


def new_figure(height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    return figure, axes


def style(axes: "Axes") -> None:
    """Remove the frame, mute the ticks, and draw a light grid along the values."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(COLOURS["line"])
    axes.tick_params(colors=COLOURS["muted"], labelsize=11, length=0, pad=5)
    axes.xaxis.label.set(color=COLOURS["muted"], fontsize=11)
    axes.set_axisbelow(True)


def to_svg(figure: "Figure", title: str) -> Markup:
    """The drawing as an inline SVG element with `title` as its text alternative."""
    import io

    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # every drawing has a figure_1; nothing refers to it
    for name, sentinel in COLOURS.items():
        svg = svg.replace(sentinel, f"var(--{name})")
    size = re.search(r'viewBox="([^"]+)"', svg)
    assert size is not None
    head = Markup('<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{}" role="img" aria-label="{}">')
    return Markup(re.sub(r"<svg[^>]*>", lambda _: head.format(size.group(1), title), svg, count=1))


def draw_curves(curves: Sequence[Curve], title: str, x_label: str, y_label: str) -> Markup:
    """Lines over steps."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_figure(2.6)
    for curve in curves:
        axes.plot(
            curve.x,
            curve.y,
            color=COLOURS[curve.colour],
            linewidth=1 if curve.faint else 2.2,
            alpha=0.55 if curve.faint else 1,
            marker="o" if curve.markers and not curve.faint and len(curve.x) < 40 else None,
            markersize=4,
            label=curve.label or None,
            solid_capstyle="round",
        )
        for x, bounds in zip(curve.x, curve.intervals, strict=False):
            if bounds is not None:
                axes.plot([x, x], bounds, color=COLOURS[curve.colour], linewidth=5, alpha=0.35)
    style(axes)
    if all(isinstance(x, int) for curve in curves for x in curve.x):
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))  # no half steps
    axes.grid(axis="y", color=COLOURS["line"], linewidth=0.8)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label, color=COLOURS["muted"], fontsize=11)
    if len(curves) > 1:
        add_legend(axes)
    return to_svg(figure, title)


def add_legend(axes: "Axes") -> None:
    """Put the legend above the plot, where no curve can cross it."""
    box: Any = axes.legend(frameon=False, fontsize=11, loc="lower left", bbox_to_anchor=(0, 1), ncols=2,
                           handlelength=1.4, borderaxespad=0.2, columnspacing=1.2)  # fmt: skip
    for text in box.get_texts():
        text.set_color(COLOURS["ink"])


def draw_intervals(bars: Sequence[Bar], title: str, x_label: str) -> Markup:
    """A dot for each value and a line over its 95 % interval."""
    figure, axes = new_figure(0.75 + 0.42 * len(bars))
    for row, bar in enumerate(reversed(bars)):
        colour = COLOURS[bar.colour]
        if bar.low is not None and bar.high is not None:
            axes.plot(
                [bar.low, bar.high], [row, row], color=colour, linewidth=5, alpha=0.35, solid_capstyle="round"
            )
        axes.plot([bar.value], [row], marker="o", markersize=8, color=colour, linestyle="none")
    style(axes)
    axes.grid(axis="x", color=COLOURS["line"], linewidth=0.8)
    axes.set_yticks(range(len(bars)), [bar.label for bar in reversed(bars)])
    axes.tick_params(axis="y", labelcolor=COLOURS["ink"], labelsize=12)
    axes.set_ylim(-0.6, len(bars) - 0.4)
    axes.margins(x=0.12)
    axes.set_xlabel(x_label)
    return to_svg(figure, title)


def draw_sweep(points: Sequence[Point], rows: Sequence[str], title: str, x_label: str) -> Markup:
    """A dot for each setting and a row for each sampler; a dot is hollow if it exceeds the limit, and ringed if it
    was chosen."""
    figure, axes = new_figure(0.75 + 0.42 * len(rows))
    for point in points:
        row = len(rows) - 1 - rows.index(point.row)
        axes.plot(
            [point.x],
            [row],
            marker="o",
            markersize=9,
            linestyle="none",
            color=COLOURS["tuned"],
            markerfacecolor=COLOURS["tuned"] if point.within else "none",
            alpha=1 if point.chosen else 0.55,
        )
        if point.chosen:
            axes.plot([point.x], [row], marker="o", markersize=16, linestyle="none", color=COLOURS["base"],
                      markerfacecolor="none", markeredgewidth=2)  # fmt: skip
    style(axes)
    axes.grid(axis="x", color=COLOURS["line"], linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row.replace("_", " ") for row in reversed(rows)])
    axes.tick_params(axis="y", labelcolor=COLOURS["ink"], labelsize=12)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlim(left=0)
    axes.set_xlabel(x_label)
    return to_svg(figure, title)


def draw_map(
    points: Sequence[Point], people: tuple[float, float], title: str, labels: tuple[str, str]
) -> Markup:
    """The position of each setting, and of people, with respect to two measures."""
    figure, axes = new_figure(3.2)
    for point in points:
        axes.plot([point.x], [point.y], marker="o", markersize=8, linestyle="none", color=COLOURS["tuned"],
                  alpha=1 if point.chosen else 0.5)  # fmt: skip
        if point.chosen:
            axes.plot([point.x], [point.y], marker="o", markersize=15, linestyle="none", color=COLOURS["base"],
                      markerfacecolor="none", markeredgewidth=2, label="chosen")  # fmt: skip
    axes.plot(*[[value] for value in people], marker="D", markersize=10, linestyle="none",
              color=COLOURS["people"], label="people")  # fmt: skip
    add_legend(axes)
    style(axes)
    axes.grid(color=COLOURS["line"], linewidth=0.8)
    axes.margins(0.12)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1], color=COLOURS["muted"], fontsize=11)
    return to_svg(figure, title)

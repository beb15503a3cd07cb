"""The plots: whole, on the drawing, without colours of their own, and the same at each call."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.report.figures import (
    WIDTH,
    Axis,
    Bar,
    Curve,
    Point,
    cover,
    draw_curves,
    draw_intervals,
    draw_map,
    draw_sweep,
)

values = st.floats(-1e9, 1e9).map(lambda value: round(value, 6))


def check(svg: str) -> ElementTree.Element:
    """All positions lie on the drawing, and every colour is one of the page's."""
    root = ElementTree.fromstring(svg)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert width == WIDTH
    for element in root:
        points = element.get("points", "")
        pairs = [tuple(map(float, pair.split(","))) for pair in points.split()]
        for names in (("x", "y"), ("cx", "cy")):
            if names[0] in element.attrib:
                pairs.append(tuple(float(element.attrib[name]) for name in names))
        assert all(-1 <= x <= width + 1 and -1 <= y <= height + 1 for x, y in pairs)
        assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", element.attrib["style"])) <= {
            "none",
            *(
                f"var(--{name})"
                for name in ("ink", "muted", "line", "paper", "base", "tuned", "people", "third")
            ),
        }
    return root


def num(root: ElementTree.Element, tag: str) -> int:
    return len(root.findall(tag))


@given(st.lists(st.tuples(values, values), min_size=1, max_size=50))
def test_curves_stay_on_the_drawing(points: list[tuple[float, float]]):
    x, y = [list(each) for each in zip(*points, strict=True)]
    svg = draw_curves([Curve(x, y, "a", "base"), Curve(x, y, "b", "tuned")], "title", "steps", "nats")
    check(svg)
    assert svg == draw_curves([Curve(x, y, "a", "base"), Curve(x, y, "b", "tuned")], "title", "steps", "nats")


@given(st.lists(st.tuples(values, values, values), min_size=1, max_size=8))
def test_intervals_stay_on_the_drawing(rows: list[tuple[float, float, float]]):
    bars = [Bar("model", sorted(row)[1], min(row), max(row), "third") for row in rows]
    root = check(draw_intervals([*bars, Bar("without", 1.0, None, None, "people")], "title", "bits"))
    assert num(root, "circle") == len(rows) + 1


@given(values, values, st.integers(1, 9), st.booleans())
def test_ticks_are_few_round_and_on_the_axis(one: float, other: float, most: int, integer: bool):
    axis = Axis(*cover([one, other], 0.05), 0, 100)
    ticks = axis.ticks(most, integer)
    assert len(ticks) <= most + 1
    assert len({label for _, label in ticks}) == len(ticks)
    assert all(-1e-6 <= axis.at(value) <= 100 + 1e-6 for value, _ in ticks)
    assert all(
        float(label.replace(",", "").replace("−", "-")) == pytest.approx(value) for value, label in ticks
    )
    assert not integer or all(value == int(value) for value, _ in ticks)


def test_a_step_is_never_half():
    assert [label for _, label in Axis(0.8, 3.2, 0, 1).ticks(7, integer=True)] == ["1", "2", "3"]
    assert [label for _, label in Axis(0.8, 3.2, 0, 1).ticks(7)] == ["1.0", "1.5", "2.0", "2.5", "3.0"]


def test_points_that_are_not_numbers_are_left_out():
    root = check(draw_curves([Curve([0, 1, 2], [1.0, math.nan, math.inf], "", "base")], "t", "steps", "nats"))
    assert num(root, "circle") == 1
    check(draw_curves([Curve([1, 2], [math.nan, math.nan], "", "base")], "t", "steps", "nats"))


def test_names_are_text():
    evil = "<script>alert('&')</script>\""
    root = check(draw_intervals([Bar(evil, 1.0, 0.5, 1.5, "base")], evil, evil))
    assert root.attrib["aria-label"] == evil
    assert [text.text for text in root.findall("text")].count(evil) == 2


def test_long_names_of_runs_take_a_line_each():
    curves = [Curve([0, 1], [1.0, 2.0], f"a run with a very long name, number {n}", "base") for n in range(3)]
    root = check(draw_curves(curves, "t", "minutes", "bits"))
    lines = {text.get("y") for text in root.findall("text") if "number" in str(text.text)}
    assert len(lines) == 3


def test_the_chosen_setting_is_ringed_and_one_beyond_the_limit_is_hollow():
    points = [
        Point(0.9, 0.1, "top_p", within=True, chosen=True),
        Point(1.4, 0.3, "min_p", within=False, chosen=False),
    ]
    for root in (
        check(draw_sweep(points, ["top_p", "min_p"], "t", "distance")),
        check(draw_map(points, (2.0, 0.2), "t", ("one", "other"))),
    ):
        assert sum("stroke: var(--base)" in circle.attrib["style"] for circle in root.findall("circle")) == 1
    hollow = [
        circle.attrib["style"]
        for circle in check(draw_sweep(points, ["top_p", "min_p"], "t", "distance")).findall("circle")
        if "fill: none; stroke: var(--tuned)" in circle.attrib["style"]
    ]
    assert len(hollow) == 1

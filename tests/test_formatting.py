"""Figures and texts as people read them."""

import pytest

from fabula.formatting import (
    format_duration,
    format_estimate,
    format_interval,
    format_number,
    format_percent,
    shorten,
)
from fabula.results import Estimate


def test_figures():
    assert (format_number(1234.5), format_number(-0.25, 2), format_number(None)) == ("1,234", "−0.25", "–")
    assert (format_percent(0.034), format_percent(-0.5, 0), format_percent(None)) == (
        "3.4\u00a0%",
        "−50\u00a0%",
        "–",
    )


def test_an_estimate_comes_with_its_interval():
    estimate = Estimate(value=0.5, low=0.25, high=1.5)
    assert format_interval(estimate, 1) == "0.2 to 1.5"
    assert format_estimate(estimate) == "0.500 (0.250 to 1.500)"
    assert format_estimate(estimate, percent=True) == "50.0\u00a0% (25.0\u00a0% to 150.0\u00a0%)"
    assert format_interval(Estimate(value=1.0)) == ""
    assert format_estimate(Estimate(value=1.0), 0) == "1"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8, "8 s"), (59.4, "59 s"), (125, "2 min 05 s"), (3599.6, "1 h 00 min"), (11_220, "3 h 07 min")],
)
def test_durations(seconds: float, text: str):
    assert format_duration(seconds) == text


def test_long_texts_are_cut_between_words():
    assert shorten("word " * 1000, 1200).endswith("word …")
    assert len(shorten("word " * 1000, 1200)) <= 1202
    assert shorten("short", 5) == "short"

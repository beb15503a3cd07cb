"""The figures of a learning curve: a law that is known, and noise."""

import numpy as np
import pytest

from fabula.evaluation.learning_curve import compare_scores, conclude, is_noise
from fabula.evaluation.likelihood import TextScores
from fabula.results import Estimate

NUM_STORIES = [10, 20, 40]


def scores_of(bits: list[float], noise: float, *, num_held_out: int = 30, seed: int = 0) -> list[TextScores]:
    """Scores with these means; the stories differ far more than the models do."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(500, 5000, num_held_out)
    hard = draw.normal(1, 0.2, num_held_out)
    return [
        TextScores(
            np.log(2) * sizes * each * hard * np.exp(noise * draw.standard_normal(num_held_out)), sizes, sizes
        )
        for each in bits
    ]


def clusters(number: int = 30) -> list[str]:
    return [str(index) for index in range(number)]


def test_a_power_law_is_found_and_extrapolated():
    law = [2.0 * number**-0.1 for number in NUM_STORIES]
    bits, differences, doubling = compare_scores(scores_of(law, 0.0), NUM_STORIES, clusters())
    saved = bits[-1].value * (1 - 2**-0.1)
    assert doubling.value == pytest.approx(saved)
    assert doubling.low == pytest.approx(saved, rel=0.2)
    assert differences[0].value == pytest.approx(bits[0].value - bits[2].value)
    assert differences[0].high - differences[0].low < (bits[0].high - bits[0].low) / 3  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    assert "Twice as many stories would save" in conclude(bits, NUM_STORIES, doubling)


def test_differences_by_chance_are_called_noise():
    called = 0
    for seed in range(20):
        scores = scores_of([1.5, 1.5, 1.5], 0.02, seed=seed)
        bits, _, doubling = compare_scores(scores, NUM_STORIES, clusters())
        if is_noise(bits, doubling):
            called += 1
            assert "within the noise" in conclude(bits, NUM_STORIES, doubling)
    assert called >= 16


def test_a_curve_that_goes_up_and_down_is_noise():
    flat = Estimate(value=0.01, low=0.005, high=0.015)
    assert is_noise([Estimate(value=each) for each in (1.5, 1.52, 1.48)], flat)
    assert not is_noise([Estimate(value=each) for each in (1.52, 1.5, 1.48)], flat)
    assert is_noise([Estimate(value=each) for each in (1.52, 1.5, 1.48)], Estimate(value=0.01))


def test_stories_that_make_it_worse_are_said_to():
    bits, _, doubling = compare_scores(scores_of([1.4, 1.5, 1.6], 0.001), NUM_STORIES, clusters())
    assert "made it worse" in conclude(bits, NUM_STORIES, doubling)
    assert "read only 45\u00a0% of them" in conclude(bits, NUM_STORIES, doubling, num_epochs=0.45)

"""How the minutes of a run are shared out."""

import json
import shutil

import pytest
from conftest import write_corpus
from hypothesis import given
from hypothesis import strategies as st

from fabula.corpus.options import ReadingOptions
from fabula.evaluation.options import EvaluationOptions
from fabula.generation.settings import SamplingSettings
from fabula.pipeline.budget import (
    FEWEST_SAMPLES,
    FEWEST_STORIES,
    Speeds,
    fit_sizes,
    measure_speeds,
    predict_seconds,
)
from fabula.pipeline.run import tune_and_evaluate
from fabula.progress import silent
from fabula.results import EvaluationSizes, RunArguments, RunRecord

SPEEDS = st.builds(Speeds, written=st.floats(1, 1e5), read=st.floats(1, 1e5))
STORIES = st.lists(st.integers(1, 100_000), min_size=1, max_size=60)


@given(st.floats(-10, 1e5), SPEEDS, STORIES)
def test_the_largest_evaluation_that_fits_is_chosen(seconds: float, speeds: Speeds, stories: list[int]):
    sizes = fit_sizes(seconds, speeds, stories)
    smallest = (FEWEST_SAMPLES, min(FEWEST_STORIES, len(stories)))
    assert sizes.num_samples >= smallest[0]
    assert smallest[1] <= sizes.max_stories <= len(stories)
    needed = predict_seconds(sizes, speeds, sum(stories[: sizes.max_stories]))
    assert needed <= seconds or (sizes.num_settings, sizes.num_samples, sizes.max_stories) == (0, *smallest)
    if seconds > 1e4 and min(speeds.written, speeds.read) > 1e4:
        assert sizes == EvaluationSizes(
            num_settings=3,
            num_samples=EvaluationOptions().num_samples,
            max_stories=len(stories),
            num_others=EvaluationOptions().num_others,
        )


@given(st.floats(0, 1e4), SPEEDS, STORIES)
def test_more_time_never_shrinks_the_evaluation(seconds: float, speeds: Speeds, stories: list[int]):
    less, more = fit_sizes(seconds, speeds, stories), fit_sizes(2 * seconds + 1, speeds, stories)
    assert (more.num_settings, more.num_samples, more.max_stories) >= (
        less.num_settings,
        less.num_samples,
        less.max_stories,
    )


def test_speeds_are_measured_on_the_model(tiny_gpt2_dir):
    speeds = measure_speeds(tiny_gpt2_dir, "Ada found a lamp. " * 20)
    assert speeds.written > 0
    assert speeds.read > 0


@pytest.mark.parametrize(
    ("num_settings", "num_people", "is_tuned"), [(0, 6, False), (1, 6, True), (1, 3, False)]
)
def test_a_run_is_evaluated_as_far_as_its_record_says(
    num_settings: int, num_people: int, is_tuned: bool, tiny_gpt2_dir, tmp_path
):
    """No tuning where no time is left for it, or too few stories to compare with."""
    people = [f"Ada found {number} lamps. Then she went home and slept." for number in range(num_people)]
    write_corpus(tmp_path / "corpus", ["A story of a fox. It ran."], people)
    shutil.copytree(tiny_gpt2_dir, tmp_path / "model")
    arguments = RunArguments(
        stories=None, base="tiny", recipe="default", seed=1, max_minutes=1, **dict(ReadingOptions())
    )
    sizes = EvaluationSizes(num_settings=num_settings, num_samples=4, max_stories=2, num_others=0)
    record = RunRecord(name="run", arguments=arguments, versions={}, evaluation=sizes)
    evaluation = tune_and_evaluate(tiny_gpt2_dir, tmp_path, record, silent)
    assert (tmp_path / "tuning.json").exists() == is_tuned
    assert evaluation.held_out.num_stories == 2
    if not is_tuned:
        assert SamplingSettings.of_model(tmp_path / "model").temperature == 0.8
    rows = (tmp_path / "samples.jsonl").read_text().splitlines()
    assert [json.loads(row)["model"] for row in rows] == ["base"] * 4 + ["tuned"] * 4

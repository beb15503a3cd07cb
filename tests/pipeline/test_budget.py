"""How the minutes of a run are divided between its stages."""

import json
import math
import shutil

import pytest
from conftest import write_corpus
from hypothesis import given
from hypothesis import strategies as st

from fabula.corpus.options import ReadingOptions
from fabula.corpus.store import open_corpus
from fabula.evaluation.models import LoadedModels
from fabula.evaluation.options import EvaluationOptions
from fabula.evaluation.tune import UNTUNED
from fabula.generation.settings import SamplingSettings
from fabula.pipeline.budget import (
    EVALUATION_SHARE,
    FEWEST_STORIES,
    SAMPLES,
    describe_plan,
    fit_sizes,
    measure_speeds,
    plan_run,
    seconds_by_stage,
)
from fabula.pipeline.clock import RunClock
from fabula.pipeline.run import tune_and_evaluate
from fabula.progress import Progress, silent
from fabula.results import EvaluationSizes, RunArguments, RunRecord, Speeds
from fabula.training.memory import memory_gb
from fabula.training.recipe import ModelSize, Recipe, load_recipe

SMOLLM2 = Speeds(
    load_seconds=2.0,
    step_seconds=0.025,
    tokens_per_second=400.0,
    tokens_per_byte=0.26,
    context_length=2048,
    num_parameters=134_515_008,
    num_embedded=28_311_552,
    model_type="llama",
)
SPEEDS = st.builds(
    lambda step, read: SMOLLM2.model_copy(update={"step_seconds": step, "tokens_per_second": read}),
    step=st.floats(1e-5, 10),
    read=st.floats(1, 1e5),
)
STORIES = st.lists(st.integers(1, 100_000), min_size=1, max_size=60)


def predict_seconds(sizes: EvaluationSizes, speeds: Speeds, stories: list[int]) -> float:
    return sum(seconds_by_stage(sizes, speeds, stories).values())


@given(st.floats(-10, 1e6), SPEEDS, STORIES)
def test_the_largest_evaluation_that_fits_is_chosen(seconds: float, speeds: Speeds, stories: list[int]):
    sizes = fit_sizes(seconds, speeds, stories)
    assert min(FEWEST_STORIES, len(stories)) <= sizes.max_stories <= len(stories)
    chosen = SAMPLES.index((sizes.num_settings, sizes.num_samples, sizes.max_new_tokens, sizes.num_others))
    if chosen < len(SAMPLES) - 1:
        assert predict_seconds(sizes, speeds, stories) <= seconds
    if chosen > 0:
        names = ("num_settings", "num_samples", "max_new_tokens", "num_others")
        larger = sizes.model_copy(update=dict(zip(names, SAMPLES[chosen - 1], strict=True)))
        assert predict_seconds(larger, speeds, stories) > seconds
    assert fit_sizes(math.inf, speeds, stories) == EvaluationSizes(
        num_settings=3,
        num_samples=EvaluationOptions().num_samples,
        max_new_tokens=EvaluationOptions().max_new_tokens,
        max_stories=len(stories),
        num_others=EvaluationOptions().num_others,
    )


@given(st.floats(0, 1e4), SPEEDS, STORIES)
def test_more_time_never_scores_fewer_stories(seconds: float, speeds: Speeds, stories: list[int]):
    less, more = fit_sizes(seconds, speeds, stories), fit_sizes(2 * seconds + 1, speeds, stories)
    assert more.max_stories >= less.max_stories


def test_speeds_are_measured_on_the_model(tiny_gpt2_dir):
    speeds = measure_speeds(tiny_gpt2_dir, "Ada found a lamp. " * 20, LoadedModels())
    assert min(speeds.step_seconds, speeds.tokens_per_second, speeds.load_seconds, speeds.tokens_per_byte) > 0
    assert 0 < speeds.num_embedded < speeds.num_parameters


@pytest.fixture
def corpus(tmp_path):
    texts = ["She found a lamp and went home. " * 40] * 10
    return open_corpus(write_corpus(tmp_path / "stories", texts * 8, texts))


class Memory:
    available = 64e9


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> type[Memory]:
    """The free memory of the machine, as a test sets it."""
    monkeypatch.setattr(Memory, "available", 64e9)
    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory)
    return Memory


def test_the_time_of_a_limited_run_is_divided_and_most_of_it_trains(corpus, memory):
    for minutes in (3, 6, 10):
        plan = plan_run(Recipe(num_epochs=3), minutes * 60, 15.0, SMOLLM2, corpus)
        assert sum(plan.seconds.values()) <= minutes * 60 * 1.001
        assert plan.train_minutes is not None
        assert plan.train_minutes * 60 >= plan.seconds["train"] - 0.01
        assert plan.seconds["tune"] + plan.seconds["evaluate"] <= EVALUATION_SHARE * minutes * 60 * 1.001
    assert 2 < plan.memory_gb < 3


def test_what_training_does_not_need_is_left_to_the_evaluation(corpus):
    fast = SMOLLM2.model_copy(
        update={"num_parameters": 3_451_008, "num_embedded": 1_500_000, "tokens_per_second": 2e4}
    )
    plan = plan_run(Recipe(), 600.0, 10.0, fast, corpus)
    assert plan.seconds["train"] < 60
    assert plan.seconds["tune"] > 20


def test_a_run_without_a_limit_is_predicted_too(corpus):
    plan = plan_run(Recipe(num_epochs=3), None, 10.0, SMOLLM2, corpus)
    assert plan.train_minutes is None
    assert plan.seconds["train"] > 300
    first, *rest = describe_plan(plan)
    assert first.startswith("about ")
    assert any("GB of memory" in line for line in rest)
    slow = plan_run(Recipe(), None, 10.0, SMOLLM2.model_copy(update={"tokens_per_second": 10.0}), corpus)
    assert any("--max-minutes" in line for line in describe_plan(slow))


def test_too_little_memory_is_said(corpus, memory):
    plan = plan_run(load_recipe("full"), None, 10.0, SMOLLM2, corpus)
    size = ModelSize(SMOLLM2.num_parameters, SMOLLM2.num_embedded, SMOLLM2.model_type)
    assert plan.memory_gb == memory_gb(load_recipe("full"), size)
    assert plan_run(Recipe(), None, 10.0, SMOLLM2, corpus).memory_gb < 3 < 4 < plan.memory_gb
    memory.available = 1e9
    assert "too little" in " ".join(describe_plan(plan))


def test_the_clock_says_how_far_the_whole_run_is():
    reports: list[Progress] = []
    clock = RunClock(reports.append)
    clock(Progress("clean", 1, 2))
    assert reports[-1].run_seconds is None
    clock.seconds = {"prepare": 5.0, "train": 60.0, "evaluate": 20.0, "report": 2.0}
    clock.begin("train")
    clock(Progress("tokenise", 1, 2))
    assert reports[-1].run_seconds_left == pytest.approx(82, abs=1)
    clock(Progress("train", 1, 2, seconds_left=100.0))
    assert reports[-1].run_seconds_left == pytest.approx(122, abs=1)
    clock.begin("report")
    clock(Progress("write", 1, 2))
    assert reports[-1].run_seconds_left == pytest.approx(2, abs=1)


@pytest.mark.parametrize(
    ("num_settings", "num_people", "is_tuned"), [(0, 6, False), (1, 6, True), (1, 3, False)]
)
def test_a_run_is_evaluated_as_far_as_its_record_says(
    num_settings: int, num_people: int, is_tuned: bool, tiny_gpt2_dir, tmp_path
):
    """There is no tuning if no time is left for it, or if there are too few stories to compare with."""
    people = [f"Ada found {number} lamps. Then she went home and slept." for number in range(num_people)]
    write_corpus(tmp_path / "corpus", ["A story of a fox. It ran."], people)
    shutil.copytree(tiny_gpt2_dir, tmp_path / "model")
    arguments = RunArguments(
        stories=None, base="tiny", recipe="default", seed=1, max_minutes=1, **dict(ReadingOptions())
    )
    sizes = EvaluationSizes(
        num_settings=num_settings, num_samples=4, max_new_tokens=20, max_stories=2, num_others=0
    )
    record = RunRecord(name="run", arguments=arguments, versions={}, evaluation=sizes)
    evaluation = tune_and_evaluate(tiny_gpt2_dir, tmp_path, record, LoadedModels(), RunClock(silent))
    assert (tmp_path / "tuning.json").exists() == is_tuned
    assert evaluation.held_out.num_stories == 2
    if not is_tuned:
        assert SamplingSettings.of_model(tmp_path / "model").temperature == UNTUNED.temperature
    rows = (tmp_path / "samples.jsonl").read_text().splitlines()
    assert [json.loads(row)["model"] for row in rows] == ["base"] * 4 + ["tuned"] * 4

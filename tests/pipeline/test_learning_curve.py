"""The learning curve of a run: trainings on parts of the stories, resumed and limited, and the stories that stand out."""

import json
import random
import shutil
from pathlib import Path

import pytest
from conftest import TINY_STORIES, tiny_story, write_corpus
from typer.testing import CliRunner

from fabula.cli.app import app, register
from fabula.corpus.store import open_corpus, restore_story
from fabula.errors import FabulaError
from fabula.evaluation.evaluate import evaluate
from fabula.evaluation.options import EvaluationOptions
from fabula.pipeline import learning_curve
from fabula.pipeline.learning_curve import WORK, measure_learning_curve
from fabula.progress import Progress
from fabula.report.render import render
from fabula.results import METRICS, RUN, Evaluation, LearningCurve, RunArguments, RunRecord
from fabula.training.recipe import Recipe
from fabula.training.train import train

RECIPE = Recipe(
    num_epochs=8, batch_tokens=256, context_length=64, num_validations=2, sample_tokens=0, learning_rate=0.01
)

SPANISH = (
    "Había una vez un pescador que vivía en una cabaña junto al mar con su mujer y tres hijos pequeños. Cada mañana"
    " salía antes del alba con su barca vieja y volvía cuando el sol ya caía sobre los tejados del pueblo. Un día"
    " encontró en la red una caja de madera cerrada con un candado que nadie pudo abrir."
)
MARKUP = '<div class="nav"><ul>' + "".join(
    f'<li id="n{number}"><a href="/page/{number * 37}?q=x">{number}</a></li>' for number in range(8)
)
NUMBERS = "\n".join(
    " ".join(str(random.Random(row).randrange(10**6)) for _ in range(7)) + f" {row * 7919}"
    for row in range(9)
)
STRANGE = [SPANISH, MARKUP, NUMBERS]


@pytest.fixture(scope="module")
def finished_run(tiny_gpt2_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a trained model and an evaluation; three of its training stories are none."""
    folder = tmp_path_factory.mktemp("curve") / "run"
    training = [tiny_story(number, 6 + number % 5) for number in range(100, 124)]
    corpus = write_corpus(folder / "corpus", [*training, *STRANGE], TINY_STORIES[:6])
    train(corpus, folder / "model", base=tiny_gpt2_dir, recipe=RECIPE)
    evaluate(
        [tiny_gpt2_dir, folder / "model"],
        corpus,
        names=["base", "tuned"],
        out=folder,
        options=EvaluationOptions(num_samples=0, num_others=0),
    )
    arguments = RunArguments(
        stories="s.txt", base=str(tiny_gpt2_dir), recipe="default", seed=42, max_minutes=None,
        format=None, column=None, split_at=None, encoding=None,
    )  # fmt: skip
    RunRecord(name="run", arguments=arguments, versions={}).save(folder / RUN)
    return folder


@pytest.fixture(scope="module")
def measured(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run with its learning curve."""
    folder = tmp_path_factory.mktemp("measured") / "run"
    shutil.copytree(finished_run, folder)
    measure_learning_curve(folder / "model")
    return folder


def curve_of(folder: Path) -> LearningCurve:
    curve = Evaluation.load(folder / METRICS).learning_curve
    assert curve is not None
    return curve


def test_the_trainings_see_as_many_tokens_of_fewer_stories(measured: Path):
    curve = curve_of(measured)
    assert [point.num_stories for point in curve.points] == [7, 13, 27]
    seen = [point.num_tokens for point in curve.points]
    assert max(seen) / min(seen) < 1.05
    assert [point.difference is None for point in curve.points] == [False, False, True]
    whole = Evaluation.load(measured / METRICS).models[-1].likelihood.bits_per_byte
    assert curve.points[-1].bits_per_byte.value == pytest.approx(whole.value, abs=1e-6)
    assert curve.num_held_out == 6
    assert not (measured / WORK).exists()


def test_stories_of_another_kind_are_named_and_no_others(measured: Path):
    found = curve_of(measured).unusual
    assert {restore_story(measured / "corpus", each.id[:12]) for each in found} == set(STRANGE)
    texts = {story.id: story.text for story in open_corpus(measured / "corpus").stories("train")}
    assert all(texts[each.id].startswith(each.first_line.removesuffix(" …")) for each in found)


def test_measured_again_it_does_nothing(measured: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(learning_curve, "train", None)
    before = (measured / METRICS).read_bytes()
    assert measure_learning_curve(measured / "model").learning_curve == curve_of(measured)
    assert (measured / METRICS).read_bytes() == before


def test_stopped_it_goes_on_and_ends_the_same(finished_run: Path, measured: Path, tmp_path: Path):
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    stages: list[str] = []

    def stop_in_the_half(progress: Progress) -> None:
        stages.append(progress.stage)
        if progress.stage == "half" and progress.done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_learning_curve(folder / "model", on_progress=stop_in_the_half)
    assert Evaluation.load(folder / METRICS).learning_curve is None
    trained: list[str] = []
    measure_learning_curve(
        folder / "model", on_progress=lambda progress: trained.append(f"{progress.stage} {progress.unit}")
    )
    assert "quarter steps" not in trained
    assert "half steps" in trained
    assert curve_of(folder) == curve_of(measured)


def test_with_a_limit_there_are_three_trainings_and_none_is_longer(finished_run: Path, tmp_path: Path):
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    said: list[str] = []
    measure_learning_curve(
        folder / "model", max_minutes=0.02, on_progress=lambda progress: said.append(progress.message)
    )
    assert any("3 trainings (quarter, half, all of the stories)" in message for message in said)
    curve = curve_of(folder)
    full = Evaluation.load(folder / METRICS).models[-1].training
    assert full is not None
    assert all(0 < point.num_tokens < 1.05 * full.num_tokens for point in curve.points)


def test_what_cannot_be_measured_is_one_clear_line(finished_run: Path, tiny_gpt2_dir: Path, tmp_path: Path):
    with pytest.raises(FabulaError, match="no evaluation to add the curve to"):
        measure_learning_curve(finished_run / "model", out=tmp_path)
    other = write_corpus(tmp_path / "other", TINY_STORIES[:20], TINY_STORIES[20:])
    with pytest.raises(FabulaError, match="not trained on this corpus"):
        measure_learning_curve(finished_run / "model", corpus=other)
    with pytest.raises(FabulaError, match="did not begin with this base"):
        measure_learning_curve(finished_run / "model", base="tiny")
    with pytest.raises(FabulaError, match="no record of how this model was trained"):
        measure_learning_curve(tiny_gpt2_dir, corpus=other, out=finished_run)


def test_the_command_and_the_report_show_it(measured: Path):
    register()
    result = CliRunner().invoke(app, ["evaluate", str(measured), "--learning-curve"])
    assert result.exit_code == 0, result.output
    assert "Would more stories help?" in result.stdout
    assert curve_of(measured).conclusion in result.stdout
    assert "Había una vez" in result.stdout
    assert "restore" in result.stdout
    page = render(measured).read_text(encoding="utf-8")
    assert "More stories" in page
    assert "Había una vez" in page
    result = CliRunner().invoke(app, ["evaluate", str(measured), "--learning-curve", "--json"])
    assert json.loads(result.stdout)["learning_curve"]["num_held_out"] == 6
    result = CliRunner().invoke(app, ["evaluate", str(measured), "--max-minutes", "5"])
    assert result.exit_code != 0

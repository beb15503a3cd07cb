"""What the terminal shows while a stage works."""

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.cli.terminal import ProgressMode, Terminal, say
from fabula.progress import Progress

NARROW = 80


def bars(capsys: pytest.CaptureFixture[str], *reports: Progress) -> list[str]:
    """The lines of the last picture that a terminal of 80 columns shows of these reports."""
    with Terminal(ProgressMode.bar) as terminal:
        for report in reports:
            terminal(report)
        assert terminal._bar is not None
        console = terminal._bar.console
        rendered = terminal._bar.get_renderable()
        with console.capture() as captured:
            console.print(rendered)
    capsys.readouterr()
    return captured.get().splitlines()


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROW))


def test_a_narrow_terminal_shows_a_bar_of_ten_cells_and_whole_words(capsys: pytest.CaptureFixture[str]):
    values = {"train_loss": 2.345678, "tokens_per_second": 5314.0, "validation_bits_per_byte": 1.234}
    (line,) = bars(capsys, Progress("train", 50, 100, "steps", values, seconds_left=3600))
    assert len(line) <= NARROW
    # Without colours the rest of the bar is blank; rich 14 has one more space before it.
    assert re.match("train {5,6}━{5} {5}", line)
    assert "50/100 steps" in line
    assert "1 h 00 min left" in line
    assert "…" not in line


def test_a_stage_that_another_one_follows_is_complete(capsys: pytest.CaptureFixture[str]):
    clean, train = bars(
        capsys, Progress("clean", 3, None, "stories"), Progress("train", 20, 100, "steps", seconds_left=5)
    )
    assert "100 %" in clean
    assert " 20 %" in train


@given(
    st.dictionaries(st.text("abc_", min_size=1, max_size=20), st.floats(0, 1e6), max_size=6),
    st.integers(20, 90),
)
def test_figures_fit_their_width_or_are_the_first_alone(values: dict[str, float], width: int):
    report = Progress("train", 50, 100, "steps", values)
    figures = Terminal(ProgressMode.none)._figures(report, 60.0, width)
    assert len(figures) <= width or figures == "50/100 steps"
    assert figures.startswith("50/100 steps")


def test_a_whole_run_is_one_bar(capsys: pytest.CaptureFixture[str]):
    (line,) = bars(
        capsys,
        Progress("train", 20, 100, "steps", run_seconds=60, run_seconds_left=240, seconds_left=100),
        Progress("evaluate", 1, 2, "stories", run_seconds=150, run_seconds_left=150),
    )
    assert line.startswith("evaluate ")
    assert " 50 %" in line
    assert "1/2 stories  run: 2 min 30 s left" in line


def test_a_message_stands_beside_its_stage_and_keeps_its_column(capsys: pytest.CaptureFixture[str]):
    with Terminal(ProgressMode.bar) as terminal:
        terminal(Progress("clean", 3, None, "stories", message="[bold]a note " + "word " * 20))
    lines = [line.rstrip() for line in capsys.readouterr().err.splitlines()]
    assert lines[0].startswith("clean     [bold]a note word")
    assert lines[1].startswith(" " * 10 + "word")
    assert all(len(line) <= NARROW for line in lines)


def test_plain_lines_of_a_run_say_what_is_left_of_it(capsys: pytest.CaptureFixture[str]):
    with Terminal(ProgressMode.plain) as terminal:
        terminal(Progress("train", 20, 100, "steps", run_seconds=60, run_seconds_left=240, seconds_left=100))
    assert capsys.readouterr().err == "train: 20/100 steps  run: 4 min 00 s left\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_sentence_is_broken_between_words_in_a_terminal_only(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    monkeypatch.setenv("COLUMNS", "80")
    sentence = "first     " + "The ferry left without her. " * 6 + "x" * 90
    say(sentence, " " * 10)
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(line.strip() for line in lines) == sentence
    assert len(lines) == (4 if is_terminal else 1)
    assert all(len(line) <= 80 for line in lines[:-1])

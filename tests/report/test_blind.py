"""Stories without names: which pairs are shown, what is kept, and what is said of the votes."""

from pathlib import Path

import pytest
from made_results import evaluation, sample

from fabula.cli.compare import ask
from fabula.report.blind import Ballot, show
from fabula.report.compare import compare, open_ballot
from fabula.results import write_samples

NAMES = ("first", "second", "third")


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three runs of eight stories each, of which the last two have no counterpart."""
    folders = [tmp_path / name for name in NAMES]
    for number, folder in enumerate(folders):
        folder.mkdir()
        evaluation(fingerprint=folder.name).save(folder / "metrics.json")
        rows = [sample(prompt="Once", seed=seed, text=f" {folder.name} {seed}.") for seed in range(6)]
        rows += [sample(seed=seed + 100 * (number + 1)) for seed in range(2)]
        write_samples(folder / "samples.jsonl", [*rows, sample(model="base", prompt="Once", seed=0)])
    return folders


def test_pairs_have_the_same_prompt_and_no_names(runs: list[Path], tmp_path: Path):
    ballot = open_ballot(runs[:2], tmp_path / "c.html")
    assert len(ballot.pairs) == 6
    assert ballot.path == tmp_path / "c.votes.jsonl"
    assert {pair.authors for pair in ballot.pairs} == {("first", "second"), ("second", "first")}
    for pair in ballot.pairs:
        assert pair.texts == tuple(f"Once {name} {pair.key[0]}." for name in pair.authors)
    assert show(ballot.pairs[0]).startswith("A\n\nOnce ")
    assert ballot == open_ballot(runs[:2], tmp_path / "c.html")
    assert len(open_ballot(runs).pairs) == 18


def test_votes_are_kept_counted_and_shown(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    page = tmp_path / "c.html"
    ballot = open_ballot(runs[:2], page)
    wanted = ["ab"[pair.authors.index("second")] for pair in ballot.pairs]
    answers = iter([*wanted[:2], "what?", "=", "q"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    ask(ballot)
    assert len(list(ballot.left())) == 3
    assert "second was preferred to first in 2 of 2 pairs (100.0\u00a0% (" in capsys.readouterr().out

    def no_more(_: str) -> str:
        raise EOFError

    answers = iter(wanted[3:])
    monkeypatch.setattr("builtins.input", lambda _: next(answers, None) or no_more(""))
    ask(open_ballot(runs[:2], page))
    assert list(ballot.left()) == []
    [said] = ballot.results()
    assert "second was preferred to first in 5 of 5 pairs" in said
    assert said.endswith("; no difference in 1): more often than by chance.")
    assert said.replace("&", "&amp;") in compare(runs[:2], out=page).read_text(encoding="utf-8")
    evaluation(fingerprint="another").save(runs[0] / "metrics.json")
    assert open_ballot(runs[:2], page).results() == []  # votes about an earlier model


def test_runs_without_a_common_prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    ballot = Ballot.of([(name, evaluation(), []) for name in NAMES], tmp_path / "votes.jsonl")
    ask(ballot)
    assert "no two stories" in capsys.readouterr().out
    assert ballot.results() == []

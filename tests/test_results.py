"""Results in files: what is written is read back, and what is damaged or of another kind is one clear error."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_results import corpus_counts, evaluation, sample, training_counts

from fabula.errors import FabulaError
from fabula.results import (
    CopiedSpan,
    CorpusManifest,
    Estimate,
    Evaluation,
    TrainingLog,
    TrainingManifest,
    TrainingRow,
    ValidationRow,
    Vote,
    add_vote,
    parse_log_row,
    read_samples,
    read_votes,
    write_samples,
)


def training_row(step: int, loss: float = 5.0, seconds: float = 0.0, speed: float = 900.0) -> TrainingRow:
    return TrainingRow(
        step=step, epoch=0.1, seconds=seconds, train_loss=loss, learning_rate=1e-3, tokens_per_second=speed
    )


def test_an_evaluation_is_read_back(tmp_path: Path):
    made = evaluation()
    made.save(tmp_path / "metrics.json")
    assert Evaluation.load(tmp_path / "metrics.json") == made
    assert made.models[-1].perplexity_gap == pytest.approx(-0.1)
    assert made.models[-1].model_copy(update={"bits_per_byte_of_own_stories": None}).perplexity_gap is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "this is not a JSON object"),
        ("{", "this is not valid JSON"),
        ("{}", "field 'fingerprint'"),
    ],
)
def test_a_file_that_is_not_an_evaluation_is_an_error(tmp_path: Path, content: str, words: str):
    path = tmp_path / "metrics.json"
    path.write_text(content)
    with pytest.raises(FabulaError, match=words) as caught:
        Evaluation.load_optional(path)
    assert str(path) in str(caught.value)
    path.unlink()
    assert Evaluation.load_optional(path) is None


def test_a_renamed_metric_is_an_error(tmp_path: Path):
    path = tmp_path / "metrics.json"
    value: Any = evaluation().model_dump(mode="json")
    value["models"][0]["bits_per_bite"] = 1.0
    path.write_text(json.dumps(value))
    with pytest.raises(FabulaError, match=r"unknown field 'models\.0\.bits_per_bite'"):
        Evaluation.load(path)


@given(text=st.text(), prompt=st.text(), before=st.text())
def test_samples_are_read_back(tmp_path_factory: pytest.TempPathFactory, text: str, prompt: str, before: str):
    path = tmp_path_factory.mktemp("samples") / "samples.jsonl"
    span = CopiedSpan(
        start=0, end=1, story_id="a", source=text, source_line=1, title="", source_start=0, before=before
    )
    made = [sample(), sample(model="base", prompt=prompt, text=text, spans=[span])]
    write_samples(path, made)
    assert read_samples(path) == made
    assert all(line.startswith(b'{"model": ') for line in path.read_bytes().rstrip(b"\n").split(b"\n"))
    write_samples(path, made, with_context=False)
    assert '"before"' not in path.read_text(encoding="utf-8")
    assert read_samples(path)[1].spans == [span.model_copy(update={"before": ""})]


def test_there_may_be_no_samples_and_no_log(tmp_path: Path):
    assert read_samples(tmp_path / "samples.jsonl") == []
    log = TrainingLog.load(tmp_path / "log.jsonl")
    assert (log.num_steps, log.seconds, log.best, log.tokens_per_second) == (0, None, None, None)


def test_a_resumed_trainings_steps_count_once():
    rows = [training_row(2), training_row(1, 6.0), training_row(2, 4.0, 7.5), training_row(1, 6.0, 3.0)]
    log = TrainingLog.of_rows(rows)
    assert [row.train_loss for row in log.steps] == [6.0, 4.0]
    assert (log.num_steps, log.seconds) == (2, 7.5)


def test_a_log_has_two_kinds_of_rows(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    validations = [
        ValidationRow(step=step, seconds=step, val_loss=3.0, bits_per_byte=bits)
        for step, bits in ((0, 2.5), (4, 1.5), (8, 1.75))
    ]
    rows = [validations[0], training_row(4, speed=100.0), training_row(8, speed=300.0), *validations[1:]]
    path.write_text("".join(json.dumps(row.model_dump()) + "\n" for row in rows))
    log = TrainingLog.load(path)
    assert log.validations == validations
    assert log.best == validations[1]
    assert log.tokens_per_second == 300
    assert parse_log_row(rows[1].model_dump()) == rows[1]
    path.write_text("{}\n")
    with pytest.raises(FabulaError, match=r"log\.jsonl:1: field 'step'"):
        TrainingLog.load(path)


def test_manifests_are_told_apart_by_what_they_count(tmp_path: Path):
    known: Any = {"fingerprint": "f", "inputs": {}, "config": {}, "versions": {}}
    made = CorpusManifest(stage="clean", counts=corpus_counts(), **known)
    made.write(tmp_path)
    assert CorpusManifest.find(tmp_path) == made
    assert TrainingManifest.find(tmp_path) is None
    TrainingManifest(stage="train", counts=training_counts(), **known).write(tmp_path)
    assert CorpusManifest.find(tmp_path) is None
    (tmp_path / "manifest.json").write_text("[1]")
    assert TrainingManifest.find(tmp_path) is None


def test_an_estimate_without_an_interval():
    assert Estimate.parse({"value": 1}) == Estimate(value=1.0, low=None, high=None)


def test_votes_are_kept_and_those_about_other_models_left_out(tmp_path: Path):
    path = tmp_path / "run" / "votes.jsonl"
    vote = Vote(
        question="person",
        authors=("people", "tuned"),
        passages=("story 3", "“Once”, seed 42"),
        chosen=0,
        fingerprint="a" * 16,
    )
    undecided = vote.model_copy(update={"chosen": None})
    for each in (vote, vote.model_copy(update={"fingerprint": "b" * 16}), undecided):
        add_vote(path, each)
    assert read_votes(path, vote.fingerprint) == [vote, undecided]
    assert read_votes(tmp_path / "none.jsonl", vote.fingerprint) == []
    path.write_text('{"chosen": 2}\n')
    with pytest.raises(FabulaError, match=r"votes\.jsonl:1"):
        read_votes(path, vote.fingerprint)

from pathlib import Path

import pytest
from made_results import corpus_counts

from fabula.errors import FabulaError
from fabula.files import MANIFEST
from fabula.models.records import ModelRecords, corpus_of
from fabula.results import RUN, CorpusManifest


def test_the_corpus_of_a_run_is_found_from_the_run_and_from_its_model(tmp_path: Path):
    model, corpus = tmp_path / "run" / "model", tmp_path / "run" / "corpus"
    for folder in (model, corpus):
        folder.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    with pytest.raises(FabulaError, match="not in a run folder with a corpus; name its corpus: --on CORPUS"):
        corpus_of(model, "--on CORPUS")
    (corpus / MANIFEST).write_text("{}")
    assert corpus_of(model, "--on CORPUS") == corpus
    assert corpus_of(tmp_path / "run", "--on CORPUS") == corpus


def test_records_of_another_version_leave_the_corpus_in_sight(tmp_path: Path):
    """So that the copy guard has the stories that it guards."""
    model, corpus = tmp_path / "model", tmp_path / "corpus"
    for folder in (model, corpus):
        folder.mkdir()
    (model / "config.json").write_text("{}")
    made = CorpusManifest(
        stage="clean", fingerprint="f" * 16, inputs={}, config={}, versions={}, counts=corpus_counts()
    )
    made.write(corpus)
    (tmp_path / RUN).write_text('{"of": "another version"}')
    records, problem = ModelRecords.readable(model)
    assert records.corpus_folder == corpus
    assert records.run is None
    assert "cannot be read" in problem
    (corpus / MANIFEST).write_text("{}")
    assert ModelRecords.readable(model)[0].corpus_folder is None

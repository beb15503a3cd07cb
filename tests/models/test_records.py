from pathlib import Path

import pytest

from fabula.errors import FabulaError
from fabula.files import MANIFEST
from fabula.models.records import corpus_of


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

"""The notebook runs from its first cell to its last, and carries no outputs but pictures."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "examples" / "stories.ipynb"


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    settings = next(cell for cell in notebook.cells if "MINUTES = 4.0" in cell.source)
    settings.source = settings.source.replace("MINUTES = 4.0", "MINUTES = 0.05").replace(
        '"smollm2-135m"', '"tiny"'
    )
    monkeypatch.setenv("MPLBACKEND", "agg")
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    written = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "bits per byte" in written
    assert (tmp_path / "my-first-model" / "model" / "model.safetensors").is_file()


def test_the_notebook_carries_no_outputs_but_pictures():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert set(output.get("data", {})) == {"image/png"}

"""The notebook runs from its first cell to its last, and its outputs name no place of a machine."""

import builtins
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "examples" / "stories.ipynb"


def text_of(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs
    )


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    settings = next(cell for cell in notebook.cells if "MINUTES =" in cell.source)
    settings.source = re.sub(r"MINUTES = [\d.]+", "MINUTES = 0.05", settings.source)
    settings.source = settings.source.replace('BASE = "smollm2-135m"', 'BASE = "tiny"')
    monkeypatch.setenv("MPLBACKEND", "agg")
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    written = text_of(notebook)
    assert "bits per byte" in written
    assert re.search(r"train: [\d,/]+ (?:steps|seconds)", written)  # the line of progress
    assert (tmp_path / "my-first-model" / "model" / "model.safetensors").is_file()


def test_the_notebook_says_where_to_get_fabula_where_it_is_missing():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    python = first.source.replace("%pip install --quiet {SOURCE}", "raise AssertionError")
    with pytest.raises(SystemExit, match="put where it comes from into SOURCE"):
        exec(python, {"__builtins__": vars(builtins) | {"__import__": no_fabula}})  # noqa: S102


def no_fabula(name: str, *arguments: object) -> None:
    raise ModuleNotFoundError(name)


def test_the_outputs_are_those_of_a_run_and_show_nothing_of_the_machine():
    shown = text_of(nbformat.read(NOTEBOOK, as_version=4))
    assert "bits per byte" in shown
    assert not re.search(r"/(?:home|root|tmp|Users|work)/", shown)

"""What a user has to type: the program's name, and the command that installs an extra."""

import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from fabula import install
from fabula.install import as_typed, install_command, missing_extra, missing_requirements, program

SCRIPT = Path(sys.executable).parent.resolve() / "fabula"


@pytest.mark.skipif(not SCRIPT.exists(), reason="fabula is not installed as a script here")
@pytest.mark.parametrize("is_on_path", [True, False])
def test_the_program_is_named_as_the_users_shell_finds_it(
    is_on_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(SCRIPT.parent) if is_on_path else str(tmp_path))
    assert program() == ("fabula" if is_on_path else str(SCRIPT))
    if not is_on_path:
        monkeypatch.chdir(SCRIPT.parent.parent)
        assert program() == str(SCRIPT.relative_to(SCRIPT.parent.parent))
    shown = subprocess.run([*shlex.split(program()), "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("fabula ")


def test_another_program_is_told_to_run_the_module(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest"])
    assert shlex.split(program()) == [sys.executable, "-m", "fabula"]


def test_commands_in_a_text_are_named_as_typed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(install, "program", lambda: ".venv/bin/fabula")
    text = "make one with: fabula clean STORIES; the folder runs/fabula run is fabula's"
    assert (
        as_typed(text)
        == "make one with: .venv/bin/fabula clean STORIES; the folder runs/fabula run is fabula's"
    )


def test_only_what_an_extra_lacks_is_installed(monkeypatch: pytest.MonkeyPatch):
    def version(name: str) -> str:
        if name in ("openvino", "uvicorn"):
            raise PackageNotFoundError(name)
        return {"pyyaml": "6.0.2", "starlette": "1.7"}[name]

    monkeypatch.setattr(install, "version", version)
    (requirement,) = missing_requirements("serve")
    assert requirement.startswith("uvicorn<") or requirement.startswith("uvicorn>")
    error = str(missing_extra("the page needs a web server", "serve", where="--port"))
    assert error == f"--port: the page needs a web server; type: {install_command([requirement])}"
    assert shlex.split(install_command([requirement]))[-1] == requirement


def test_a_package_of_an_extra_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(install, "version", lambda name: "0.1")
    (requirement,) = missing_requirements("export", ["onnx"])
    assert requirement.startswith("onnx")


def test_of_an_extra_only_the_packages_that_are_needed_are_named(monkeypatch: pytest.MonkeyPatch):
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(install, "version", version)
    assert len(missing_requirements("export")) > 4
    (requirement,) = missing_requirements("export", ["onnxscript"])
    assert requirement.startswith("onnxscript")
    assert requirement in str(missing_extra("it needs onnxscript", "export", packages=["onnxscript"]))
    assert "for this system" in str(missing_extra("it needs a package", "export", packages=["nowhere"]))

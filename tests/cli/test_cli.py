"""The command line itself: help, versions, mistyped words, and how errors and interruptions end."""

import subprocess
import sys

import pytest

import fabula
from fabula.cli.app import app, memory_problem


def command(*arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "fabula", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "120", **environment},
        check=False,
    )


def test_version():
    result = command("--version")
    assert (result.returncode, result.stdout) == (0, f"fabula {fabula.__version__}\n")


def test_no_arguments_show_help():
    result = command()
    assert result.returncode == 0
    for name in ("run", "clean", "train", "evaluate", "write"):
        assert name in result.stdout
    assert command("help").stdout == result.stdout
    assert command("help", "write").stdout == command("write", "--help").stdout


def test_help_fits_a_narrow_terminal():
    result = command(COLUMNS="80")
    assert "..." not in result.stdout.partition("Commands:")[2]  # no summary is cut
    result = command("write", "--help", COLUMNS="80")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert "--dry-allowed-length" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["run", "--bse", "gpt2"], "did you mean --base?"),
        (["run", "--quiett"], "did you mean --quiet?"),
        (["run", "--recipee=seed"], "did you mean --recipe?"),
        (["write", "m", "--temprature", "1"], "did you mean --temperature?"),
        (["write", "m", "--temp", "1"], "did you mean --temperature?"),
        (["write", "m", "--max-length", "9"], "did you mean --max-new-tokens?"),
        (["train", "c", "--output", "m"], "did you mean --out?"),
        (["runn", "stories.txt"], "no such command: runn; did you mean run?"),
        (["clean"], "missing argument"),
        (["train", "c", "--batch", "8"], "add --recipe default,batch_tokens=..."),
        (["train", "c", "--epochs", "3"], "it is a field of the recipe: add --recipe default,num_epochs=..."),
        (["run", "--recipe", "default,lr=1e-4"], "unknown field 'lr'; did you mean learning_rate?"),
        (["run", "--weight-decay", "0"], "add --recipe default,weight_decay=..."),
    ],
)
def test_a_mistyped_word_is_refused_with_a_suggestion(arguments: list[str], suggestion: str):
    result = command(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("fabula: error: ")
    assert suggestion in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["serve", "m", "--port", "abc"], "--port = 'abc' must be a whole number"),
        (["serve", "m", "--port", "65536"], "--port = '65536' must be at most 65535"),
        (["write", "m", "--seed", "1.5"], "--seed = '1.5' must be a whole number"),
        (["run", "--max-minutes", "soon"], "--max-minutes = 'soon' must be a number"),
        (["clean", "s.txt", "--copies", "maybe"], "one of 'drop', 'keep', 'ignore'; `"),
        (["run", "--base"], "fabula: error: option '--base' requires an argument"),
    ],
)
def test_a_bad_value_is_refused_in_plain_words(arguments: list[str], problem: str, tmp_path):
    result = command(*arguments)
    assert result.returncode == 2
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_error_is_one_line_and_debug_shows_the_traceback(tmp_path):
    missing = tmp_path / "none.txt"
    result = command("run", str(missing), "--out", str(tmp_path / "run"))
    assert result.returncode == 2
    assert result.stderr.startswith(f"fabula: error: {missing}: ")
    assert "Traceback" not in result.stderr
    assert "Traceback" in command("run", str(missing), "--out", str(tmp_path / "run"), "--debug").stderr


CHECKPOINTING = "gradient_checkpointing=true"


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("run stories.txt", f"--recipe default,{CHECKPOINTING}"),
        ("train corpus --recipe mine.toml", f"--recipe mine.toml,{CHECKPOINTING}"),
        (f"train corpus --recipe full,{CHECKPOINTING}", "a shorter context_length"),
        ("write model", "a smaller model"),
    ],
)
def test_a_lack_of_memory_names_what_helps(words: str, advice: str):
    assert memory_problem("CUDA out of memory", words.split()).startswith(
        f"the GPU is out of memory; try {advice}"
    )
    assert memory_problem("", words.split()).startswith(f"this machine is out of memory; try {advice}")


def test_the_shared_options_may_come_before_or_after_the_command(tmp_path):
    missing = str(tmp_path / "none.txt")
    out = ["--out", str(tmp_path / "run")]
    for arguments in (["--debug", "run", missing, *out], ["run", missing, *out, "--debug"]):
        assert "Traceback" in command(*arguments).stderr


def test_every_command_is_a_function_of_the_package():
    names = [command.callback.__name__ for command in app.registered_commands if command.callback]
    assert set(names) <= set(fabula.__all__)
    assert all(callable(getattr(fabula, name)) for name in fabula.__all__ if name != "__version__")
    with pytest.raises(AttributeError, match="no attribute 'cleen'"):
        fabula.cleen  # noqa: B018

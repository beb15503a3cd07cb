"""What Windows and macOS lack or do otherwise, imitated on the system that runs the tests. Neither has been tried itself."""

import io
import os
import pkgutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fabula
from fabula import files, stopping
from fabula.cli.app import prepare_stream
from fabula.errors import FabulaError
from fabula.install import quote_command

MODULES = [
    module.name
    for module in pkgutil.walk_packages(fabula.__path__, "fabula.")
    if not module.name.endswith("__main__")
]

WITHOUT = """
import builtins, sys
import numpy, pandas, psutil, pyarrow.parquet, torch, transformers, lxml.etree  # import what they like

MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
plain_import = builtins.__import__

def import_as_on_windows(name, globals=None, locals=None, fromlist=(), level=0):
    if name in MODULES and str((globals or {}).get("__name__")).startswith("fabula"):
        raise ModuleNotFoundError(f"{globals['__name__']} imports {name}")
    return plain_import(name, globals, locals, fromlist, level)

builtins.__import__ = import_as_on_windows
for name in sys.argv[1:]:
    plain_import(name)
print(len(sys.argv) - 1)
"""


def test_no_module_imports_what_windows_lacks():
    """Functions and signals that Windows lacks are found by the type checker (`.ci/run`)."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *MODULES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) == len(MODULES) > 100


@pytest.mark.parametrize("num_refusals", [1, 4])
def test_a_rename_is_tried_again_while_windows_refuses_it(
    num_refusals: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    left = [num_refusals]
    replace = os.replace

    def refuse(path: Path, target: Path) -> None:
        if left[0]:
            left[0] -= 1
            raise PermissionError(13, "The process cannot access the file", str(path))
        replace(path, target)

    waits: list[float] = []
    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(files.time, "sleep", waits.append)
    files.write_json(tmp_path / "a.json", {"a": 1})
    assert len(waits) == num_refusals
    left[0] = num_refusals
    with files.atomic_folder(tmp_path / "folder") as folder:
        (folder / "file").write_text("x", encoding="utf-8")
    assert files.read_json(tmp_path / "a.json") == {"a": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "folder"]


def test_a_rename_that_is_refused_for_good_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(13, "The process cannot access the file", str(path))

    files.write_json(tmp_path / "a.json", {"a": 1})
    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    with pytest.raises(PermissionError):
        files.write_json(tmp_path / "a.json", {"a": 2})
    assert files.read_json(tmp_path / "a.json") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_whose_new_one_cannot_take_its_place_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = tmp_path / "folder"
    with files.atomic_folder(place) as folder:
        (folder / "file").write_text("old", encoding="utf-8")
    replace = os.replace

    def refuse(path: Path, target: Path) -> None:
        if path.name.endswith(".partial") and not path.name.endswith(".old.partial"):
            raise PermissionError(13, "The process cannot access the file", str(path))
        replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError), files.atomic_folder(place) as folder:
        (folder / "file").write_text("new", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (place / "file").read_text(encoding="utf-8") == "old"


def test_no_folder_is_opened_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "open", lambda *arguments: pytest.fail("Windows cannot open a folder"))
    files.fsync_folder(tmp_path)


STORY = "“Nein”, sagte der Fuchs … 狐狸 🦊"


@pytest.mark.parametrize(
    ("is_console", "expected"), [(True, "?Nein?, sagte der Fuchs ? ?? ?"), (False, STORY)]
)
def test_a_windows_console_shows_question_marks_and_a_file_is_utf_8(
    is_console: bool, expected: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "platform", "win32")
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp437")
    monkeypatch.setattr(stream, "isatty", lambda: is_console)
    prepare_stream(stream)
    stream.write(STORY)
    stream.flush()
    assert raw.getvalue().decode("cp437" if is_console else "utf-8") == expected


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252", "cp932"])
def test_a_console_of_any_encoding_shows_the_whole_of_a_command(encoding: str, tmp_path: Path):
    stories = tmp_path / "狐狸.txt"
    stories.write_text(
        "".join(f"<sos> {STORY} {number} {'word ' * 60}<eos>\n" for number in range(9)), encoding="utf-8"
    )
    command = [sys.executable, "-m", "fabula", "clean", str(stories), "--out", str(tmp_path / "corpus")]
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "corpus" / "manifest.json").is_file()
    assert "9" in done.stdout.decode(encoding)


def test_a_path_of_windows_is_no_address():
    from fabula.corpus.remote import is_url

    assert not is_url(r"C:\Users\me\stories.txt")
    assert not is_url("C:/Users/me/stories.txt")
    assert not is_url(r"\\server\share\stories.txt")


def test_commands_are_quoted_for_the_shell_of_the_system(monkeypatch: pytest.MonkeyPatch):
    words = ["fabula", "run", r"C:\My stories\a.txt"]
    assert quote_command(words) == r"fabula run 'C:\My stories\a.txt'"
    monkeypatch.setattr(sys, "platform", "win32")
    assert quote_command(words) == r'fabula run "C:\My stories\a.txt"'


@pytest.mark.parametrize("number", stopping.STOP_SIGNALS)
def test_each_signal_asks_a_training_to_stop_and_is_restored(number: signal.Signals):
    """In a process of its own: only the main thread gets signals, and pytest may run tests in another one."""
    code = """if True:
        import signal, sys
        from fabula.training.interrupt import Interrupt
        number = int(sys.argv[1])
        before = signal.getsignal(number)
        with Interrupt() as interrupt:
            signal.raise_signal(number)
            assert interrupt.asked
            assert signal.getsignal(number) == before
        assert signal.getsignal(number) == before
    """
    subprocess.run([sys.executable, "-c", code, str(int(number))], check=True)


def test_a_process_is_asked_to_stop_as_its_system_does(monkeypatch: pytest.MonkeyPatch):
    sent: list[int] = []

    class Recorder:
        def send_signal(self, sig: int, /) -> None:
            sent.append(sig)

    stopping.ask_to_stop(Recorder())
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(signal, "CTRL_BREAK_EVENT", 1, raising=False)
    stopping.ask_to_stop(Recorder())
    assert sent == [signal.SIGTERM, 1]


def test_apples_gpu_is_used_in_float32(monkeypatch: pytest.MonkeyPatch):
    import torch

    from fabula.generation import engines
    from fabula.models.device import best_device, device_name
    from fabula.training.precision import Precision

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    device = best_device()
    assert (device.type, device_name(device)) == ("mps", "Apple GPU (MPS)")
    precision = Precision.choose("auto", device)
    assert precision.dtype == torch.float32
    assert precision.scale() == 0
    assert Precision.choose("bf16", device).dtype == torch.bfloat16
    with pytest.raises(
        FabulaError, match="precision: fp16 does not train on Apple's GPU; choose bf16 or fp32"
    ):
        Precision.choose("fp16", device)
    monkeypatch.setattr(engines.sys, "platform", "darwin")
    monkeypatch.setattr(engines.platform, "machine", lambda: "arm64")
    assert engines._has_gpu()


def test_nothing_computes_in_float64_which_apples_gpu_lacks(
    tmp_path: Path, tiny_corpus_dir: Path, tiny_gpt2_dir: Path
):
    """All tensors of a training and of a writing, on the processor: where a float64 is made, MPS would raise."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    made: set[str] = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **kwargs or {})
            if any(
                isinstance(each, torch.Tensor) and each.dtype == torch.float64 for each in tree_leaves(result)
            ):
                made.add(str(func))
            return result

    with Watch():
        trained = fabula.train(tiny_corpus_dir, tmp_path / "model", base=tiny_gpt2_dir, max_minutes=0.02)
        fabula.write(trained.model, "Once", engine="transformers", max_new_tokens=8)
    conversions = (
        "_to_copy",
        "to",
        "detach",
        "resolve_conj",
        "resolve_neg",
    )  # of losses that are on the processor
    assert not [name for name in made if name.split(".")[1] not in conversions]

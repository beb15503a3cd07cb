"""Files are written atomically, and settings are refused with a helpful line."""

import json
import multiprocessing
import os
import stat
import sys
from pathlib import Path

import pytest
from pydantic import Field

from fabula.config import Record
from fabula.errors import FabulaError
from fabula.files import Manifest, atomic_file, atomic_folder, fingerprint, hash_path, sole_owner, write_json


class Oven(Record):
    heat: float = Field(default=220.0, ge=50, le=300, description="Degrees Celsius.")
    loaves: int | None = Field(default=None, description="How many loaves.")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(target) as file:
        file.write("new")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path):
    target = tmp_path / "corpus"
    with atomic_folder(target) as folder:
        (folder / "one").write_text("1")
    with pytest.raises(ZeroDivisionError), atomic_folder(target) as folder:
        (folder / "two").write_text("2")
        raise ZeroDivisionError
    assert os.listdir(target) == ["one"]
    with atomic_folder(target) as folder:
        (folder / "three").write_text("3")
    assert os.listdir(target) == ["three"]
    assert os.listdir(tmp_path) == ["corpus"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_all_files_of_a_folder_can_be_read_by_whom_the_folder_can(tmp_path: Path):
    with atomic_folder(tmp_path / "model") as folder:
        (folder / "weights").touch(mode=0o600)
        (folder / "config").touch()
    modes = [stat.S_IMODE((tmp_path / "model" / name).stat().st_mode) for name in ("weights", "config")]
    assert modes[0] == modes[1]


def test_a_folder_is_found_again_after_a_kill_between_the_two_renames(tmp_path: Path):
    (tmp_path / "corpus.old.partial").mkdir()
    (tmp_path / "corpus.old.partial" / "one").write_text("1")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "corpus"):
        raise ZeroDivisionError
    assert os.listdir(tmp_path / "corpus") == ["one"]


def test_fingerprints_follow_content_not_order(tmp_path: Path):
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    (tmp_path / "x").write_text("1")
    before = hash_path(tmp_path)
    (tmp_path / "x").write_text("2")
    assert hash_path(tmp_path) != before


def test_a_damaged_manifest_counts_as_none(tmp_path: Path):
    manifest = Manifest(stage="clean", fingerprint="f", inputs={}, config={}, counts={}, versions={})
    manifest.write(tmp_path)
    assert Manifest.find(tmp_path) == manifest
    text = (tmp_path / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text[: len(text) // 2])
    assert Manifest.find(tmp_path) is None


def test_invalid_json_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "m.json", {"loss": float("nan")})
    assert os.listdir(tmp_path) == []


def hold(folder: str, held, release) -> None:
    with sole_owner(Path(folder)):
        held.set()
        release.wait(30)


def test_a_second_process_is_told_and_turned_away(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(tmp_path), held, release))
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(FabulaError, match="another fabula is at work"), sole_owner(tmp_path):
            pass
    finally:
        release.set()
        other.join(30)
    with sole_owner(tmp_path):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heet = 200", "unknown field 'heet'; did you mean heat?"),
        ("heat = 900", "field 'heat' = 900 must be at most 300"),
        ("heat = 'warm'", "field 'heat' = 'warm' must be a number"),
        ("heat = ", "this is not valid TOML"),
    ],
)
def test_bad_settings_name_the_field_and_the_file(tmp_path: Path, text: str, message: str):
    path = tmp_path / "oven.toml"
    path.write_text(text)
    with pytest.raises(FabulaError) as caught:
        Oven.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_settings_come_back_from_toml(tmp_path: Path):
    path = tmp_path / "oven.toml"
    for oven in (Oven(), Oven.parse({"heat": 180.5, "loaves": 3})):
        path.write_text(oven.to_toml())
        assert Oven.read(path) == oven
    assert "# Degrees Celsius." in Oven().to_toml()
    assert json.loads(Oven().model_dump_json()) == {"heat": 220.0, "loaves": None}

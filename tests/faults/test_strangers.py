"""Malicious and damaged models."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fabula.errors import FabulaError
from fabula.models.load import load_model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attn_implementation": "somebody/kernel"}, "code that does not come with fabula"),
        ({"n_layer": 3000}, "n_layer = 3,000, and the files hold"),
        ({"architectures": "GPT2LMHeadModel"}, "not a list of names"),
        ({"model_type": ["gpt2"]}, "unknown architecture"),
    ],
)
def test_a_configuration_is_refused_before_it_is_followed(
    tiny_gpt2_dir: Path, tmp_path: Path, changes: dict[str, Any], message: str
):
    model = Path(shutil.copytree(tiny_gpt2_dir, tmp_path / "model"))
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(FabulaError, match=message):
        load_model(model)


def test_adapters_and_links_lead_nowhere(tiny_gpt2_dir: Path, tmp_path: Path):
    model = Path(shutil.copytree(tiny_gpt2_dir, tmp_path / "model"))
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere"}')
    with pytest.raises(FabulaError, match="holds both a model and an adapter"):
        load_model(model)
    (model / "adapter_config.json").unlink()
    (model / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    (model / "tokenizer.json").symlink_to(tmp_path / "tokenizer.json")
    with pytest.raises(FabulaError, match="link to a place outside"):
        load_model(model)


def test_flipped_bits():
    script = Path(__file__).with_name("flips.py")
    done = subprocess.run(
        [sys.executable, str(script), "--count", "30", "--seed", "5"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(done.stdout)
    assert counts["refused"] + counts["works"] == 30
    assert counts["grown_mb"] < 300

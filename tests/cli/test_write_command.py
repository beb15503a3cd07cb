"""`fabula write` through the real command."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Command
from transformers import GPT2Config, GPT2LMHeadModel

from fabula.generation.write import write_drafts
from fabula.tokens.tokenizer import end_of_text_id, train_tokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "model"
    tokenizer = train_tokenizer(["Once upon a time there was a fox."] * 4, 300, context_length=32)
    torch.manual_seed(1)
    end = end_of_text_id(tokenizer)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=32,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=end,
        eos_token_id=end,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_one_story_streams_and_its_seed_repeats_it(model: Path, fabula: Command):
    arguments = ("Once upon a time", "--max-new-tokens", "40", "--seed", "5", "--engine", "transformers")
    streamed = fabula("write", model, *arguments)
    assert streamed.returncode == 0, streamed.stderr
    assert streamed.stdout.startswith("Once upon a time")
    assert "seed 5" in streamed.stderr
    # The folder of a run can be given for its model.
    row = json.loads(fabula("write", model.parent, *arguments, "--json").stdout)
    assert streamed.stdout == row["prompt"] + row["text"] + "\n"
    assert (row["seed"], row["settings"]["max_new_tokens"], row["engine"]) == (5, 40, "transformers")
    assert row["finish_reason"] in ("end", "length")


def test_a_terminal_gets_no_control_characters_and_a_file_gets_all(
    model: Path, fabula: Command, monkeypatch: pytest.MonkeyPatch
):
    prompt = "Once\x1b[31m upon\x07\ta time\n"
    arguments = (prompt, "--max-new-tokens", "5", "--engine", "transformers")
    assert fabula("write", model, *arguments).stdout.startswith(prompt)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for how in ("--stream", "--no-stream"):
        assert fabula("write", model, *arguments, how).stdout.startswith("Once[31m upon\ta time\n")


def test_prompts_from_a_file_in_batches(model: Path, tmp_path: Path, fabula: Command):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Once\n\nA fox – “so”\n", encoding="utf-8")
    arguments = ("--prompts", prompts, "-n", "2", "--max-new-tokens", "20", "--temperature", "0.8")
    result = fabula("write", model, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["prompt"] for row in rows] == ["Once", "Once", "A fox – “so”", "A fox – “so”"]
    assert [row["seed"] for row in rows] == [42, 43, 44, 45]
    assert all(row["settings"]["temperature"] == 0.8 for row in rows)
    stories = [row["prompt"] + row["text"] for row in rows]
    assert fabula("write", model, *arguments).stdout == "\n\n* * *\n\n".join(stories) + "\n"
    assert fabula("write", model, *arguments, "--stream").stdout == "\n\n* * *\n\n".join(stories) + "\n"


def test_a_file_of_prompts_from_windows(model: Path, tmp_path: Path, fabula: Command):
    prompts = tmp_path / "prompts.txt"
    prompts.write_bytes("\ufeffOnce \r\n\r\nA fox\r\n".encode())
    result = fabula("write", model, "--prompts", prompts, "--max-new-tokens", "3", "--json")
    assert [json.loads(line)["prompt"] for line in result.stdout.splitlines()] == ["Once ", "A fox"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/nothing"], "{}/nothing: no such folder"),
        (["{}"], "no config.json"),
        (["{model}", "--top-p", "1.5"], "--top-p = '1.5' must be at most 1;"),
        (["{model}", "--engine", "opnvino"], "unknown engine 'opnvino'"),
        (["{model}", "--prompts", "{}/none.txt"], "{}/none.txt: no such file"),
        (["{model}", "Once", "--prompts", "{}/none.txt"], "give only one of a prompt, --from and --prompts"),
        (["{model}", "--stream", "--json"], "leave out one of the two"),
    ],
)
def test_errors_are_one_line(
    model: Path, tmp_path: Path, fabula: Command, arguments: list[str], message: str
):
    result = fabula("write", *(each.format(tmp_path, model=model) for each in arguments))
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("fabula: error: ")
    assert message.format(tmp_path) in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_interrupted_command_shows_what_is_finished(
    model: Path, fabula: Command, monkeypatch: pytest.MonkeyPatch
):
    arguments = (model, "Once", "-n", "4", "--max-new-tokens", "5", "--engine", "transformers", "--json")
    whole = fabula("write", *arguments).stdout.splitlines()

    def stop_after_two(drafts: Any, *rest: Any):
        for draft, text in write_drafts(drafts, 2):
            if draft.index == 2:
                raise KeyboardInterrupt
            yield draft, text

    monkeypatch.setattr("fabula.generation.write.write_drafts", stop_after_two)
    stopped = fabula("write", *arguments)
    assert stopped.returncode == 130
    assert stopped.stdout.splitlines() == whole[:2]
    assert "2 of 4 stories are finished" in stopped.stderr

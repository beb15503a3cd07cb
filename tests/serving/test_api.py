"""The completions API through the official `openai` client, against the real command."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fabula.corpus.copies import MIN_CHARS, CopyIndex
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import load, write_stories
from fabula.models.records import ModelRecords
from fabula.story import Story

pytest.importorskip("openai", reason="the official client is not installed")
pytest.importorskip("starlette", reason="the extra [serve] is not installed")

import openai
from served import HeldEngine, served

from fabula.serving.api import make_api
from fabula.serving.serve import guarded

GREEDY = {"temperature": 0, "max_tokens": 20}


@pytest.fixture(scope="module")
def client(tiny_gpt2_dir: Path) -> Iterator[Any]:
    command = [
        sys.executable,
        "-m",
        "fabula",
        "serve",
        str(tiny_gpt2_dir),
        "--api",
        "--port",
        "0",
        "--engine",
        "transformers",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Completions at http://127.0.0.1:"), line
        yield openai.OpenAI(base_url=line.split()[2], api_key="none", max_retries=0, timeout=60)
        process.terminate()


@pytest.fixture(scope="module")
def name(tiny_gpt2_dir: Path) -> str:
    return tiny_gpt2_dir.name


def expected(folder: Path, prompts: list[str], **changes) -> list[str]:
    stories = load(folder, "transformers").write_many(
        prompts, seed=7, **{"max_new_tokens": 20, "whole_sentences": False, **changes}
    )
    return [story.text for story in stories]


def test_models(client, name: str):
    assert [model.id for model in client.models.list()] == [name]
    assert client.models.retrieve(name).id == name


def test_completions_are_what_write_writes(client, name: str, tiny_gpt2_dir: Path):
    found = client.completions.create(
        model=name,
        prompt=["Once", "Ada"],
        n=2,
        max_tokens=20,
        temperature=1.5,
        top_p=0.9,
        seed=7,
        extra_body={"top_k": 40},
    )
    texts = expected(tiny_gpt2_dir, ["Once", "Once", "Ada", "Ada"], temperature=1.5, top_p=0.9, top_k=40)
    assert [choice.text for choice in found.choices] == texts
    assert [choice.index for choice in found.choices] == [0, 1, 2, 3]
    assert {choice.finish_reason for choice in found.choices} <= {"stop", "length"}
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    once = client.completions.create(model=name, prompt=["Once", "Ada"], max_tokens=1)
    assert found.usage.prompt_tokens == once.usage.prompt_tokens
    echoed = client.completions.create(model=name, prompt="Once", echo=True, seed=7, **GREEDY)
    assert echoed.choices[0].text == "Once" + expected(tiny_gpt2_dir, ["Once"], temperature=0)[0]


def test_streaming(client, name: str, tiny_gpt2_dir: Path):
    chunks = list(
        client.completions.create(
            model=name, prompt="Once", stream=True, stream_options={"include_usage": True}, seed=7, **GREEDY
        )
    )
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert text == expected(tiny_gpt2_dir, ["Once"], temperature=0)[0]
    assert len(chunks) > 5
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] in ("stop", "length")
    assert chunks[-1].usage.completion_tokens == 20
    assert len({chunk.id for chunk in chunks}) == 1


def test_whole_sentences_are_an_option(client, name: str, tiny_gpt2_dir: Path):
    for seed in range(4):
        asked = {"model": name, "prompt": "Once", "max_tokens": 20, "seed": seed}
        found = client.completions.create(**asked, extra_body={"whole_sentences": True}).choices[0]
        story = load(tiny_gpt2_dir, "transformers").write("Once", seed=seed, max_new_tokens=20)
        assert (found.text, found.finish_reason) == (
            story.text,
            {"end": "stop"}.get(story.finish_reason, "length"),
        )


def test_a_bridge_that_ends_with_a_sentence_is_whole(client, name: str, tiny_gpt2_dir: Path):
    writer = load(tiny_gpt2_dir, "transformers")
    for seed in range(4):
        asked = {"model": name, "prompt": "Once", "max_tokens": 20, "seed": seed, "suffix": " The end."}
        found = client.completions.create(
            **asked, extra_body={"whole_sentences": True, "best_of": 2}
        ).choices[0]
        story = writer.write("Once", seed=seed, max_new_tokens=20, following=" The end.", best_of=2)
        reason = "length" if story.finish_reason == "length" else "stop"
        assert (found.text, found.finish_reason) == (story.text, reason)


def test_settings_that_change_nothing_are_accepted(client, name: str, tiny_gpt2_dir: Path):
    asked: dict[str, Any] = {"model": name, "prompt": "Once", "seed": 7, **GREEDY}
    neutral: dict[str, Any] = {"presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}}
    found = client.completions.create(**asked, **neutral, suffix=None, extra_body={"token_healing": False})
    [text] = expected(tiny_gpt2_dir, ["Once"], temperature=0, token_healing=False)
    assert found.choices[0].text == text
    with pytest.raises(openai.BadRequestError, match="unknown field 'presence_penalty'"):
        client.completions.create(**asked, presence_penalty=0.5)


def test_memory_and_note_are_read(client, name: str, tiny_gpt2_dir: Path):
    notes: dict[str, Any] = {"memory": "A", "note": "fox"}
    prompt = "Once\n" * 80
    asked = {"model": name, "prompt": prompt, "max_tokens": 12, "seed": 3, "temperature": 1}
    found = client.completions.create(**asked, extra_body=notes).choices[0]
    writer = load(tiny_gpt2_dir, "transformers")
    given: dict[str, Any] = {"seed": 3, "max_new_tokens": 12, "temperature": 1.0, "whole_sentences": False}
    assert found.text == writer.write(prompt, **given, **notes).text
    assert found.text != writer.write(prompt, **given, memory=notes["memory"]).text


def test_stop_strings_never_show(client, name: str, tiny_gpt2_dir: Path):
    [whole] = expected(tiny_gpt2_dir, ["Once"], temperature=0)
    stop = whole[3:7]
    for stream in (False, True):
        found = client.completions.create(
            model=name, prompt="Once", stop=[stop, "never this"], stream=stream, seed=7, **GREEDY
        )
        chunks = list(found) if stream else [found]
        assert "".join(chunk.choices[0].text for chunk in chunks) == whole[: whole.find(stop)]
        assert chunks[-1].choices[0].finish_reason == "stop"


def test_bad_requests_say_what_is_wrong(client, name: str):
    for changes, message in (
        ({"temperature": -1}, "'temperature' = -1"),
        ({"prompt": []}, "empty"),
        ({"logprobs": 3}, "unknown field 'logprobs'"),
        ({"n": 0}, "'n' = 0"),
    ):
        with pytest.raises(openai.BadRequestError, match=message):
            client.completions.create(**{"model": name, "prompt": "Once", **changes})
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-4'"):
        client.completions.create(model="gpt-4", prompt="Once")


def test_many_clients_at_once(client, name: str):
    """More than are written to at once; one of them leaves in the middle."""
    texts: dict[int, str] = {}

    def ask(number: int) -> None:
        stream = client.completions.create(model=name, prompt="Once", stream=True, seed=number, max_tokens=30)
        if number == 0:
            next(iter(stream))
            stream.close()
            return
        texts[number] = "".join(chunk.choices[0].text for chunk in stream)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(texts) == list(range(1, 12))
    alone = client.completions.create(model=name, prompt="Once", seed=5, max_tokens=30)
    assert alone.choices[0].text == texts[5]


def test_requests_at_the_same_time_share_steps(tiny_gpt2_dir: Path):
    """One engine, slow enough that requests meet: eight take little more steps than one does, and write the same."""
    engine = HeldEngine(tiny_gpt2_dir)
    engine.seconds_a_step = 0.02
    with served(make_api(engine, "tiny")) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=60)

        def ask(number: int) -> str:
            found = client.completions.create(model="tiny", prompt="Once", seed=number, max_tokens=30)
            return found.choices[0].text

        alone = [ask(number) for number in range(2)]
        steps_alone = engine.num_steps // 2
        engine.num_steps = 0
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(ask, range(8)))
        assert together[:2] == alone
        assert engine.num_steps < 4 * steps_alone
        # What fails is said, and does not end the service.
        engine.fault = ValueError("no luck")
        with pytest.raises(openai.InternalServerError, match=r"Writing failed \(ValueError\)"):
            ask(0)
        engine.fault = ValueError("no luck")
        with pytest.raises(openai.APIError, match=r"Writing failed \(ValueError\)"):
            list(client.completions.create(model="tiny", prompt="Once", stream=True))
        assert ask(0) == alone[0]


def test_the_copy_guard_is_on_where_stories_are_private(tiny_gpt2_dir: Path):
    engine = HeldEngine(tiny_gpt2_dir)
    own = SamplingSettings(max_new_tokens=80, whole_sentences=False, temperature=0)
    known = write_stories(engine, ["Once"], settings=own, seeds=[0])[0]
    copies = CopyIndex([Story(id="a", text=str(known), title="", source="a.txt", source_line=1)])
    records = ModelRecords.of(tiny_gpt2_dir)
    assert guarded(own, records, None) == own
    settings = guarded(own, records, copies)
    assert settings.copy_guard == MIN_CHARS
    assert guarded(own.with_changes(copy_guard=30), records, copies).copy_guard == 30
    engine.copies = copies
    with served(make_api(engine, "tiny", settings=settings)) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=60)

        def ask(**extra: int) -> str:
            found = client.completions.create(model="tiny", prompt="Once", max_tokens=80, extra_body=extra)
            return "Once" + found.choices[0].text

        assert len(str(known)) > MIN_CHARS
        assert str(known)[:MIN_CHARS] not in ask()
        assert str(known)[:30] not in ask(copy_guard=30)
        for looser in (0, MIN_CHARS + 1):
            with pytest.raises(openai.UnprocessableEntityError, match="not write passages of 50 characters"):
                ask(copy_guard=looser)

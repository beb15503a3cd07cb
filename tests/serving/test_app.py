"""The page's application: what it answers, its queue and limits, and what it refuses."""

import http.client
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("uvicorn", reason="needs the serve extra")
pytest.importorskip("starlette", reason="needs the serve extra")

from conftest import TINY_STORIES, Command
from served import HeldEngine, served

from fabula.corpus.copies import CopyIndex
from fabula.evaluation.memorisation import MIN_CHARS, find_copied_passages
from fabula.generation.draft import MAX_MORE_TOKENS
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import write_stories
from fabula.models.records import ModelRecords
from fabula.serving.app import PAGE, make_app
from fabula.serving.settings import Limits
from fabula.story import Story

JSON = {"content-type": "application/json"}
OFTEN = Limits(max_per_minute=10_000, max_per_address=10_000)
STORIES = [Story(str(n), text, "stories.txt", n + 1) for n, text in enumerate(TINY_STORIES)]


@pytest.fixture(scope="module")
def engine(tiny_gpt2_dir: Path) -> HeldEngine:
    return HeldEngine(tiny_gpt2_dir)


@pytest.fixture(scope="module")
def page(engine: HeldEngine) -> Iterator[str]:
    """A page that marks copies."""
    records = ModelRecords.of(engine.folder)
    with served(make_app(engine, records, limits=OFTEN, copies=CopyIndex(STORIES))) as address:
        yield address


@contextmanager
def limited(engine: HeldEngine, seconds_a_step: float = 0.0, **limits: float) -> Iterator[str]:
    """A page with other limits."""
    engine.seconds_a_step, engine.num_steps = seconds_a_step, 0
    app = make_app(engine, ModelRecords.of(engine.folder), limits=Limits.parse(limits))
    try:
        with served(app) as address:
            yield address
    finally:
        engine.seconds_a_step = 0.0


def send(
    address: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in small letters) and body of an answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    result = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return result


def post(address: str, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    status, _, content = send(address, "POST", path, json.dumps(body).encode(), {**JSON, **headers})
    return status, json.loads(content)


class Visitor:
    """Asks for a passage, and reads its events as they come."""

    def __init__(self, address: str, *, settings: Mapping[str, Any] | None = None, **body: Any) -> None:
        body["settings"] = {"whole_sentences": False, **(settings or {})}
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
        self.connection.request(
            "POST", "/write", json.dumps({"text": "Once upon a time", **body}).encode(), JSON
        )
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()

    def next(self) -> dict[str, Any]:
        return json.loads(self.answer.readline())

    def until(self, kind: str) -> dict[str, Any]:
        while (event := self.next())["type"] != kind:
            pass
        return event

    def rest(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.answer.read().splitlines()]

    def leave(self) -> None:
        self.answer.close()
        self.connection.close()


def wait_for(condition: Any, seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "this never came true"
        time.sleep(0.01)


def test_the_page_consists_of_its_own_files_only(page: str):
    for name, kind in PAGE.items():
        status, headers, body = send(page, "GET", f"/{name}")
        assert status == 200
        assert body
        assert headers["content-type"].startswith(kind)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "unsafe" not in policy
    assert send(page, "GET", "/")[2] == send(page, "GET", "/index.html")[2]


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py",
        "/..%2fapp.py",
        "/%2e%2e/app.py",
        "//etc/passwd",
        "/etc/passwd",
        "/page/../app.py",
        "/index.html%00",
        "/model.json/..",
        "/file=/etc/passwd",
        "/app.py",
        "/docs",
    ],
)
def test_no_other_file_can_be_asked_for(page: str, path: str):
    status, _, body = send(page, "GET", path)
    assert status in (400, 404)
    assert b"import" not in body
    assert b"root:" not in body


def test_the_page_knows_the_model_from_its_records(page: str, engine: HeldEngine):
    data = json.loads(send(page, "GET", "/model.json")[2])
    assert data["settings"] == SamplingSettings.of_model(engine.folder).model_dump(
        mode="json", exclude={"memory", "note", "following", "story_prompt"}
    )
    assert data["limits"] == {**OFTEN.model_dump(), "context_length": 64}
    assert data["copies"] is True
    assert data["openings"]
    facts = dict(fact for section in data["about"] for fact in section["facts"])
    assert facts["Architecture"] == "gpt2"
    assert facts["Context"].startswith("64 tokens")


def test_a_passage_is_streamed_and_is_what_the_library_writes(page: str, engine: HeldEngine):
    settings = {"max_new_tokens": 30, "temperature": 0.9}
    visitor = Visitor(page, settings=settings, seed=7)
    events = visitor.rest()
    assert [event["type"] for event in events[:2]] == ["queue", "start"]
    text = "".join(event["text"] for event in events if event["type"] == "piece")
    assert sum(event["type"] == "piece" for event in events) > 5
    assert events[-1] == {"type": "done", "index": 0, "finish_reason": "length"}
    [story] = write_stories(
        engine,
        ["Once upon a time"],
        settings=SamplingSettings.of_model(engine.folder).with_changes(whole_sentences=False, **settings),
        seeds=[7],
    )
    assert text == story.text


def test_a_passage_ends_with_a_whole_sentence(page: str, engine: HeldEngine):
    """By default, and what is sent is never withdrawn."""
    for seed in range(8):
        events = Visitor(page, settings={"max_new_tokens": 30, "whole_sentences": True}, seed=seed).rest()
        text = "".join(event["text"] for event in events if event["type"] == "piece")
        settings = SamplingSettings.of_model(engine.folder).with_changes(max_new_tokens=30)
        [story] = write_stories(engine, ["Once upon a time"], settings=settings, seeds=[seed])
        assert (text, events[-1]["finish_reason"]) == (story.text, story.finish_reason)


def test_three_continuations_differ_and_the_same_seed_brings_them_again(page: str):
    def three(seed: int | None) -> list[str]:
        texts = ["", "", ""]
        done = 0
        for event in Visitor(page, settings={"max_new_tokens": 12}, num_continuations=3, seed=seed).rest():
            if event["type"] == "piece":
                texts[event["index"]] += event["text"]
            done += event["type"] == "done"
        assert done == 3
        return texts

    first = three(5)
    assert len(set(first)) == 3
    assert three(5) == first
    assert three(None) != three(None)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"text": "x" * 40_001}, 413, "40,001 characters; this page continues stories of at most 40,000"),
        ({"text": "x", "settings": {"max_new_tokens": 401}}, 422, "at most 400 tokens"),
        ({"text": "x", "settings": {"temprature": 1}}, 422, "did you mean temperature?"),
        ({"text": "x", "settings": {"temperature": -1}}, 422, "'temperature' = -1"),
        ({"text": "x", "settings": {"temperature": "hot"}}, 422, "temperature"),
        ({"text": "x", "settings": {"top_p": 1e999}}, 422, "top_p"),
        ({"text": "x", "settings": [1]}, 422, "settings"),
        ({"text": "x", "num_continuations": 4}, 422, "num_continuations"),
        ({"text": "x", "num_continuations": 0}, 422, "num_continuations"),
        ({"text": "x", "seed": -1}, 422, "seed"),
        ({"text": 3}, 422, "text"),
        ({}, 422, "text"),
        ({"text": "x", "visitor": "v" * 65}, 422, "visitor"),
        ({"text": "a \ud800 b"}, 400, "half a character"),
        ([], 400, "JSON object"),
        ("x", 400, "JSON object"),
    ],
)
def test_a_bad_request_is_answered_with_a_sentence(page: str, body: Any, status: int, words: str):
    answered, answer = post(page, "/write", body)
    assert (answered, words in answer["message"]) == (status, True), answer
    assert "Traceback" not in answer["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 30_000, b"nul", b'{"text": "x"'])
def test_a_body_that_is_not_json_is_refused(page: str, body: bytes):
    status, _, answer = send(page, "POST", "/write", body, JSON)
    assert status == 400
    assert "JSON" in json.loads(answer)["message"]


def test_a_body_too_large_is_refused_unread(page: str):
    for path in ("/write", "/copies"):
        status, _, _ = send(page, "POST", path, b'{"text": "' + b"x" * 400_000 + b'"}', JSON)
        assert status == 413
    status, answer = post(page, "/copies", {"text": "x" * 20_001})
    assert (status, "text" in answer["message"]) == (422, True)


def test_other_sites_cannot_use_the_page(page: str):
    body = {"text": "x", "settings": {"max_new_tokens": 1}}
    assert post(page, "/write", body, origin="https://elsewhere.example")[0] == 403
    assert post(page, "/write", body, origin="null")[0] == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert send(page, "POST", "/write", json.dumps(body).encode(), {"content-type": kind})[0] == 415
    assert send(page, "GET", "/", headers={"host": "elsewhere.example"})[0] == 400
    status, headers, _ = send(page, "OPTIONS", "/write", headers={"origin": "https://elsewhere.example"})
    assert status == 405
    assert "access-control-allow-origin" not in headers
    status, _, _ = send(page, "POST", "/write", json.dumps(body).encode(), {**JSON, "origin": page})
    assert status == 200


def test_methods_that_no_route_has(page: str):
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        assert send(page, method, "/write")[0] == 405
    assert send(page, "GET", "/write")[0] == 404  # as any name that is no file of the page


def test_an_empty_story_is_begun(page: str):
    events = Visitor(page, text="", settings={"max_new_tokens": 5}).rest()
    assert events[-1]["type"] == "done"


def test_any_text_is_continued(page: str):
    for text in (
        "\0\x01\x02\x1b[31m",
        "<script>alert(1)</script>",
        "🙂" * 300,
        "\u202e\u2066",
        "word " * 7_000,
    ):
        events = Visitor(page, text=text, settings={"max_new_tokens": 2}).rest()
        assert events[-1]["type"] == "done", text[:20]


def test_the_queue_tells_its_places_and_is_served_in_order(engine: HeldEngine):
    with limited(engine, seconds_a_step=0.01, max_stories=1) as address:
        settings = {"max_new_tokens": 40}
        first = Visitor(address, settings=settings)
        first.until("piece")
        second, third = Visitor(address, settings=settings), Visitor(address, settings=settings)
        assert second.next() == {"type": "queue", "ahead": 0}
        assert third.next() == {"type": "queue", "ahead": 1}
        assert json.loads(send(address, "GET", "/model.json")[2])["num_waiting"] == 3
        second.until("start")
        assert third.until("queue") == {"type": "queue", "ahead": 0}
        assert first.rest()[-1]["type"] == "done"
        assert second.rest()[-1]["type"] == "done"
        assert third.rest()[-1]["type"] == "done"


def test_a_visitor_who_leaves_frees_the_machine_at_once(engine: HeldEngine):
    with limited(engine, seconds_a_step=0.02, max_stories=1) as address:
        writing, waiting, staying = (Visitor(address, settings={"max_new_tokens": n}) for n in (400, 400, 5))
        writing.until("piece")
        waiting.until("queue")
        waiting.leave()
        while staying.until("queue")["ahead"] != 0:
            pass
        steps = engine.num_steps
        writing.leave()
        assert staying.rest()[-1]["type"] == "done"
        assert engine.num_steps - steps < 60  # not the 800 of those who left
        wait_for(lambda: json.loads(send(address, "GET", "/model.json")[2])["num_waiting"] == 0)
        idle = engine.num_steps
        time.sleep(0.2)
        assert engine.num_steps == idle


def test_limits_on_time_rate_and_queue(engine: HeldEngine):
    with limited(engine, seconds_a_step=0.02, max_seconds=0.2) as address:
        events = Visitor(address, settings={"max_new_tokens": 400}, num_continuations=3).rest()
        done = [event for event in events if event["type"] == "done"]
        assert [event["finish_reason"] for event in done] == ["time"] * 3
        assert engine.num_steps < 30 + MAX_MORE_TOKENS
        bridge = {"max_new_tokens": 400, "following": "The end."}
        [written, done] = Visitor(address, settings=bridge).rest()[-2:]
        assert written["text"]
        assert done["finish_reason"] == "time"
    with limited(engine, max_per_minute=2) as address:
        body = {"text": "x", "settings": {"max_new_tokens": 1}, "visitor": "a"}
        assert [send(address, "POST", "/write", json.dumps(body).encode(), JSON)[0] for _ in range(2)] == [
            200,
            200,
        ]
        status, answer = post(address, "/write", body)
        assert status == 429
        assert answer["message"].startswith("That was 2 passages in a minute. Please wait")
        assert send(address, "POST", "/write", json.dumps({**body, "visitor": "b"}).encode(), JSON)[0] == 200
    with limited(engine, max_per_minute=9, max_per_address=1) as address:
        assert [
            send(address, "POST", "/write", json.dumps({**body, "visitor": name}).encode(), JSON)[0]
            for name in "cd"
        ] == [200, 429]
    with limited(engine, max_per_address=1) as address:
        assert [post(address, "/copies", {"text": "x"})[0] for _ in range(3)] == [200, 200, 429]
    with limited(engine, seconds_a_step=0.02, max_waiting=1, max_stories=1) as address:
        writing = Visitor(address, settings={"max_new_tokens": 200})
        writing.until("piece")
        waiting = Visitor(address, settings={"max_new_tokens": 1})
        status, answer = post(address, "/write", {"text": "x"})
        assert (status, answer["message"].startswith("1 requests are waiting already")) == (503, True)
        writing.leave()
        assert waiting.rest()[-1]["type"] == "done"


def test_visitors_write_at_the_same_time_and_more_continuations_than_fit_take_turns(engine: HeldEngine):
    with limited(engine, seconds_a_step=0.01, max_stories=2) as address:
        first, second = (Visitor(address, settings={"max_new_tokens": 30}, seed=seed) for seed in (1, 2))
        second.until("piece")
        assert engine.num_steps < 50  # the first is not finished
        assert first.rest()[-1]["type"] == second.rest()[-1]["type"] == "done"
        events = Visitor(address, settings={"max_new_tokens": 5}, num_continuations=3).rest()
        assert sorted(event["index"] for event in events if event["type"] == "done") == [0, 1, 2]
        assert sum(event["type"] == "start" for event in events) == 1


def test_a_fault_of_the_model_ends_one_request_only(engine: HeldEngine):
    with limited(engine) as address:
        engine.fault = RuntimeError("secret path /root")
        events = Visitor(address, settings={"max_new_tokens": 3}).rest()
        assert events[-1] == {"type": "error", "message": "Writing failed (RuntimeError). Please try again."}
        assert Visitor(address, settings={"max_new_tokens": 3}).rest()[-1]["type"] == "done"


def test_copied_passages_are_found(page: str):
    copied = TINY_STORIES[3][10:120]
    status, found = post(page, "/copies", {"text": f"It is said:{copied}## qqq"})
    assert status == 200
    assert [(copy["start"], copy["end"]) for copy in found] == [(11, 11 + len(copied))]
    assert found[0]["where"].startswith("stories.txt, line ")
    assert post(page, "/copies", {"text": "Nothing of this stands there, whatever one may think of it."}) == (
        200,
        [],
    )


INDEX = CopyIndex(STORIES)


@given(
    st.lists(
        st.one_of(
            st.text(max_size=20),
            st.tuples(st.sampled_from(TINY_STORIES), st.integers(0, 150), st.integers(0, 90)).map(
                lambda cut: cut[0][cut[1] : cut[1] + cut[2]]
            ),
        ),
        max_size=6,
    ).map("".join)
)
def test_copies_cover_what_the_evaluation_finds(text: str):
    """The index on the page and the measure in the report agree on which characters are copied, but for the overlap of
    two copied passages: the page marks them one after the other."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    [expected] = find_copied_passages([text], lambda: iter(STORIES))
    covered = {place for span in expected.spans for place in range(span.start, span.end)}
    found = INDEX.find(text)
    marked = {place for copy in found for place in range(copy.start, copy.end)}
    assert marked <= covered
    assert bool(marked) == bool(covered)
    assert all(
        place - MIN_CHARS in marked or place in marked for place in covered if place - MIN_CHARS in covered
    )
    for copy in found:
        assert any(text[copy.start : copy.end] in story for story in TINY_STORIES)


def test_the_command_answers_and_stops(tiny_gpt2_dir: Path, fabula: Command):
    command = [sys.executable, "-m", "fabula", "serve", str(tiny_gpt2_dir), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Write at http://127.0.0.1:"), process.stderr and process.stderr.read()
        address = line.split()[2]
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"fabula" in answer.read()
        with socket.socket() as taken:  # a second page at the same port says so
            port = str(urlsplit(address).port)
            result = fabula("serve", tiny_gpt2_dir, "--port", port)
            assert result.returncode == 2
            assert result.stderr.strip().endswith(
                f"port {port} is in use; use another one: --port {int(port) + 1}"
            )
            taken.close()
        process.terminate()
        assert process.wait(timeout=20) == 0


def test_the_command_on_something_that_is_no_model(tmp_path: Path, fabula: Command):
    result = fabula("serve", tmp_path)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert line.startswith(
        f"fabula: error: {tmp_path}: this folder is not a model: it has no config.json; name"
    )


def test_other_words_with_their_probabilities(page: str):
    status, found = post(page, "/words", {"text": "Once upon a time there was ", "word": "a"})
    assert status == 200
    assert found[0]["text"] == "a"
    assert 3 < len(found) <= 9
    assert all(0 < word["probability"] < 1 and word["tokens"] for word in found[1:])
    before = {"text": "Once upon a time there was ", "word": "a", "settings": {"memory": "Wren is a fox."}}
    assert post(page, "/words", before)[1] != found  # the memory is read


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"text": "Once ", "word": "two words"}, 422, "this is not one word"),
        ({"text": "Once ", "word": ""}, 422, "this is not one word"),
        ({"text": "Once ", "word": "x" * 61}, 422, "word"),
        ({"text": "x" * 50_000, "word": "a"}, 413, "characters"),
        ({"text": "Once ", "word": "a", "settings": {"temprature": 1}}, 422, "temprature"),
        ({"text": "Once ", "word": "a", "n": 3}, 422, "n"),
        ({"text": "", "word": "a"}, 200, ""),
    ],
)
def test_words_that_are_refused(page: str, body: dict[str, Any], status: int, words: str):
    found, answer = post(page, "/words", body)
    assert found == status, answer
    assert words in json.dumps(answer)


def test_words_are_counted_by_address(engine: HeldEngine):
    with limited(engine, max_per_address=2) as address:
        asked = {"text": "Once ", "word": "a"}
        assert [post(address, "/words", asked)[0] for _ in range(3)] == [200, 200, 429]

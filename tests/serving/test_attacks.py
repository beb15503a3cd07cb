"""Malicious requests to the page, the API and the studio, over real sockets."""

import json
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings

pytest.importorskip("uvicorn", reason="needs the serve extra")
pytest.importorskip("starlette", reason="needs the serve extra")

from knock import odd_request, status_of
from served import HeldEngine, served

from fabula.models.records import ModelRecords
from fabula.serving import guard
from fabula.serving.api import MAX_STOPS, MAX_STORIES, CompletionRequest, make_api
from fabula.serving.app import CopiesRequest, WordsRequest, WriteRequest, make_app
from fabula.serving.guard import LOOPBACK, hosts_for
from fabula.serving.settings import Limits
from fabula.studio_server.app import make_studio

JSON = "content-type: application/json\r\n"
OFTEN = Limits(max_per_minute=100_000, max_per_address=100_000, max_new_tokens=3)


@pytest.fixture(scope="module")
def page(tiny_gpt2_dir: Path) -> Iterator[str]:
    engine = HeldEngine(tiny_gpt2_dir)
    with served(make_app(engine, ModelRecords.of(engine.folder), limits=OFTEN)) as address:
        yield address


@pytest.fixture(scope="module")
def api(tiny_gpt2_dir: Path) -> Iterator[str]:
    with served(make_api(HeldEngine(tiny_gpt2_dir), "tiny")) as address:
        yield address


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(make_studio(tmp_path_factory.mktemp("studio") / "projects")) as address:
        yield address


@pytest.fixture(params=["page", "api", "studio"])
def either(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


def taker(address: str) -> str:
    """A path of the server that takes a body."""
    if status_of(get(address, "/v1/models")) == 200:
        return "/v1/completions"
    return "/write" if status_of(get(address, "/model.json")) == 200 else "/api/projects"


def send(address: str, raw: bytes, seconds: float = 20) -> bytes:
    """What comes back for these bytes, until the server closes or `seconds` are over."""
    host, _, port = urlsplit(address).netloc.partition(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        answer = b""
        try:
            connection.sendall(raw)
            while block := connection.recv(1 << 16):
                answer += block
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass
        return answer


def ask(address: str, path: str, body: Any, headers: str = JSON) -> tuple[int, bytes]:
    """Status and the whole answer of a POST."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    host = "" if "host:" in headers else f"host: {urlsplit(address).netloc}\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\n{host}{headers}content-length: {len(content)}\r\nconnection: close\r\n\r\n"
    )
    answer = send(address, head.encode() + content)
    return status_of(answer) or 0, answer


def answers(address: str) -> None:
    """Whether the server still answers."""
    path = "/v1/models" if status_of(get(address, "/v1/models")) == 200 else "/"
    assert status_of(get(address, path)) == 200


def get(address: str, path: str) -> bytes:
    return send(
        address,
        f"GET {path} HTTP/1.1\r\nhost: {urlsplit(address).netloc}\r\nconnection: close\r\n\r\n".encode(),
    )


COMPLETION = {"model": "tiny", "prompt": "Once", "max_tokens": 2}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({**COMPLETION, "stop": ["x"] * (MAX_STOPS + 1)}, 400, b"stop strings"),
        ({**COMPLETION, "stop": "x" * 5000}, 400, b"stop strings"),
        (
            {**COMPLETION, "prompt": ["a"] * 20, "n": 7},
            400,
            f"140 stories at once; at most {MAX_STORIES}".encode(),
        ),
        ({**COMPLETION, "prompt": []}, 400, b"empty"),
        ({**COMPLETION, "prompt": "half \ud800"}, 400, b"half a character"),
        ({**COMPLETION, "n": 10**30}, 400, b"'n'"),
        ({**COMPLETION, "seed": -1}, 400, b"seed"),
        ({**COMPLETION, "\ud800": 1}, 400, b"error"),
        ({**COMPLETION, "temperature": float("nan")}, 400, b"temperature"),
        (b"[" * 100_000, 400, b"error"),
        (b"\xff\xfe", 400, b"error"),
        ({**COMPLETION, "prompt": "\0\x1b[2J\u202e<script>alert(1)</script>"}, 200, b"choices"),
        ({**COMPLETION, "prompt": "word " * 10_000}, 200, b"choices"),
        ({**COMPLETION, "echo": True, "stop": ["e", ""]}, 200, b"Onc"),
    ],
)
def test_the_api_answers_with_a_sentence(api: str, body: Any, status: int, words: bytes):
    found, answer = ask(api, "/v1/completions", body)
    assert (found, words in answer) == (status, True), answer[:500]
    assert b"Traceback" not in answer


def test_ten_thousand_tokens_to_the_page(page: str):
    status, answer = ask(page, "/write", {"text": "the " * 9_990})
    assert status == 200
    assert b'"done"' in answer


def test_no_other_site_reaches_the_api(api: str):
    """With a form, which needs no permission; with a DNS name that points here; with a preflight request."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert ask(api, "/v1/completions", COMPLETION, f"content-type: {kind}\r\n")[0] == 415
    assert ask(api, "/v1/completions", COMPLETION, "")[0] == 415
    assert ask(api, "/v1/completions", COMPLETION, JSON + "host: elsewhere.example\r\n")[0] == 400
    answer = send(api, b"GET /v1/models HTTP/1.1\r\nhost: elsewhere.example\r\nconnection: close\r\n\r\n")
    assert status_of(answer) == 400
    preflight = (
        b"OPTIONS /v1/completions HTTP/1.1\r\nhost: localhost\r\norigin: https://elsewhere.example\r\n"
    )
    answer = send(api, preflight + b"access-control-request-method: POST\r\nconnection: close\r\n\r\n")
    assert status_of(answer) == 405
    assert b"access-control-allow" not in answer.lower()


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("\u202eword", 422),
        ("<script>alert(1)</script>", 422),
        ("\0", 422),
        ("e\u0301te\u0301", 200),
        ("हिन्दी", 200),
        ("漢字" * 30, 200),
        ("x" * 10_000, 422),
        ("’", 422),
        ("\ud800", 400),
    ],
)
def test_odd_words_get_an_answer(page: str, word: str, status: int):
    """A word whose likely replacements are asked for: any text, and a model whose context is short."""
    found, answer = ask(page, "/words", {"text": "the " * 5_000, "word": word})
    assert found == status, answer[:300]
    assert b"Traceback" not in answer


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_ask_for_nothing(page: str, studio: str, site: str):
    """Not even for what they could not read, such as a picture that is a large file of this server."""
    for address, path in ((page, "/model.json"), (studio, "/api/bases")):
        host = urlsplit(address).netloc

        def status(
            mode: str, fetch_site: str, path: str = path, address: str = address, host: str = host
        ) -> int | None:
            head = f"sec-fetch-site: {fetch_site}\r\nsec-fetch-mode: {mode}\r\nconnection: close\r\n\r\n"
            return status_of(send(address, f"GET {path} HTTP/1.1\r\nhost: {host}\r\n{head}".encode()))

        assert [status(mode, site) for mode in ("no-cors", "cors", "websocket")] == [403] * 3
        assert status("cors", "same-origin") == status("navigate", "none") == 200
        assert status("navigate", site, "/") == 200  # a link


@pytest.mark.parametrize(
    "host",
    ["elsewhere.example", "127.0.0.1.elsewhere.example", "localhost.elsewhere.example", "127.0.0.1@elsewhere.example",
     "127.0.0.1:80:elsewhere.example", "localhost.", "127.1", "0", "", "127.0.0.1\r\nhost: elsewhere.example"],
)  # fmt: skip
def test_a_name_that_was_made_to_point_here(either: str, host: str):
    path = "/v1/models" if taker(either) == "/v1/completions" else "/"
    answer = send(either, f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
    assert status_of(answer) == 400


def test_a_socket_that_wants_to_be_upgraded(either: str, capfd: pytest.CaptureFixture[str]):
    head = f"GET / HTTP/1.1\r\nhost: {urlsplit(either).netloc}\r\nconnection: close, upgrade\r\nupgrade: websocket\r\n\r\n"
    assert status_of(send(either, head.encode())) in (200, 400, 404)
    answers(either)


def test_an_origin_that_is_no_address(page: str):
    status, answer = ask(page, "/write", {"text": "x"}, JSON + "origin: http://[::1\r\n")
    assert (status, b"other sites" in answer) == (403, True)


def test_who_may_ask_depends_on_the_address():
    assert hosts_for("127.0.0.1") == hosts_for("::1") == LOOPBACK
    assert hosts_for("0.0.0.0") == hosts_for("192.168.1.5") == ("*",)


STEPS = (
    "..",
    "%2e%2e",
    "..%2f..",
    "%252e%252e",
    "..\\..",
    "..;",
    "....//",
    "\u2025",
    "..%00",
    "%c0%ae%c0%ae",
    "file=",
)
FILES = ("etc/passwd", "app.py", "proc/self/environ", "config.json", "model.safetensors", "windows/win.ini")


def test_no_way_leads_to_a_file(either: str):
    """Every route, every way of writing "the folder above", and names of files that are there."""
    for route in (
        "",
        "write/",
        "copies/",
        "model.json/",
        "v1/models/",
        "v1/completions/",
        "static/",
        "api/projects/",
        "files/",
        "files/x/",
        "desk/",
        "index.html/",
    ):
        for step in STEPS:
            for name in FILES[:3] if route else FILES:
                answer = get(either, f"/{route}{step}/{name}".encode().decode("latin-1"))
                assert status_of(answer) in (400, 404, 405), (route, step, name, answer[:200])
                assert not any(sign in answer for sign in (b"root:", b"import ", b"PATH=", b"n_embd"))


def test_a_body_that_never_ends(either: str):
    """Announced as too long, or sent in chunks without a length: it is read only up to the limit."""
    path = taker(either)
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{JSON}"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for body in (b"content-length: 5000000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n" + chunk * 100):
        answer = send(either, head.encode() + body, 1.5)
        assert status_of(answer) in (413, None), answer[
            :200
        ]  # None: closed before all was sent, which is as good
    answers(either)


def test_two_lengths_are_no_request(either: str):
    for lengths in ("content-length: 4\r\ntransfer-encoding: chunked\r\n", "content-length: 4\r\ncontent-length: 9\r\n",
                    "content-length: -1\r\n", "content-length: 1e9\r\n"):  # fmt: skip
        answer = send(
            either,
            f"POST {taker(either)} HTTP/1.1\r\nhost: localhost\r\n{JSON}{lengths}\r\n0\r\n\r\n".encode(),
            3,
        )
        assert status_of(answer) in (400, 404), answer[:200]
    answers(either)


def test_slow_clients_are_shown_out(either: str, monkeypatch: pytest.MonkeyPatch):
    """Headers that never end, the second request of a connection among them; a body that never comes."""
    monkeypatch.setattr(guard, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.4)
    path = taker(either)
    began = time.monotonic()
    assert send(either, b"") == b""
    assert send(either, b"GET / HTTP/1.1\r\nhost: loc") == b""
    first = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
    assert send(either, first + b"GET / HTT").count(b"HTTP/1.1 ") == 1
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{JSON}content-length: 100\r\nconnection: close\r\n\r\n"
    )
    assert status_of(send(either, head.encode() + b'{"text"')) == 408
    assert time.monotonic() - began < 15  # without a bound each would have waited for 20 s
    answers(either)


def test_clients_that_hang_up(either: str):
    """At any moment of a request, many times."""
    path = taker(either)
    body = {
        "/v1/completions": {**COMPLETION, "stream": True, "max_tokens": 50},
        "/write": {"text": "Once"},
        "/api/projects": {"name": "Once"},
    }[path]
    content = json.dumps(body).encode()
    whole = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{JSON}content-length: {len(content)}\r\n\r\n".encode()
        + content
    )
    draw = random.Random(0)
    host, _, port = urlsplit(either).netloc.partition(":")
    for _ in range(60):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(whole[: draw.choice([len(whole), draw.randrange(len(whole))])])
            if draw.random() < 0.5:
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )  # a reset, not an end
    answers(either)


def test_odd_requests(either: str, monkeypatch: pytest.MonkeyPatch):
    """What `knock.py` sends for an hour. There is no server error, and the server still answers afterwards."""
    monkeypatch.setattr(guard, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    draw = random.Random(3)
    for _ in range(100):
        raw = odd_request(draw)
        answer = send(either, raw, 10)
        assert (status_of(answer) or 400) < 500, (raw[:300], answer[:300])
        assert b"Traceback" not in answer
    answers(either)


def openapi(paths: dict[str, type]) -> dict[str, Any]:
    """A schema of these POST routes, from the records that they take."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "fabula", "version": "0"},
        "paths": {
            path: {
                "post": {
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": inline(record)}},
                    },
                    "responses": {"default": {"description": "a passage, or a sentence"}},
                }
            }
            for path, record in paths.items()
        },
    }


def inline(record: Any) -> dict[str, Any]:
    """A record's JSON schema, with small limits on everything that makes writing long."""
    schema = record.model_json_schema()
    definitions = schema.pop("$defs", {})
    for name, field in schema["properties"].items():
        for option in field.get("anyOf", []):
            if "$ref" in option:
                option.update(definitions[option.pop("$ref").rpartition("/")[2]])
        if name in ("max_tokens", "n"):
            schema["properties"][name] = {"type": "integer", "minimum": 1, "maximum": 3}
        if name == "model":
            field["const"] = "tiny"
    schema["required"] = [*{*schema.get("required", []), *({"max_tokens"} & schema["properties"].keys())}]
    return schema


def test_what_the_schema_allows_and_forbids(page: str, api: str):
    """Bodies that follow the schema and bodies that do not: each gets an answer, and none is a server error."""
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
    routes = {
        "/write": WriteRequest,
        "/copies": CopiesRequest,
        "/words": WordsRequest,
        "/v1/completions": CompletionRequest,
    }
    for found in schemathesis.openapi.from_dict(openapi(routes)).get_all_operations():
        operation = found.ok()
        for mode in list(schemathesis.GenerationMode):

            @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
            @given(case=operation.as_strategy(generation_mode=mode))
            def send_it(case: Any) -> None:
                answer = case.call(base_url=api if case.path.startswith("/v1") else page, timeout=30)
                assert answer.status_code < 500, answer.text

            send_it()

"""Sends random invalid requests to the page and the API in turn.

    python tests/knock.py --count 20000

Prints how often each status came back. None may be a server error (5xx), and the server must still answer at the end.
"""

import argparse
import json
import random
import re
import socket
import tempfile
import time
from collections import Counter
from pathlib import Path

PATHS = (
    "/",
    "/write",
    "/copies",
    "/words",
    "/model.json",
    "/v1/models",
    "/v1/completions",
    "/v1/models/x",
    "/app.js",
    "/api/projects",
    "/api/projects/x/files?path=../x&offset=0&total=1",
    "/api/projects/x/read",
    "/api/projects/x/upload",
    "/api/projects/../put-back",
    "/files/x/model.zip",
    "/desk/x/",
    "/..",
    "*",
    "",
)
METHODS = ("GET", "POST", "POST", "POST", "PUT", "OPTIONS", "HEAD", "TRACE", "CONNECT", "G\x00T", "post")
BODIES = (
    {"text": "Once upon a time", "settings": {"max_new_tokens": 2}},
    {"text": "Once", "num_continuations": 3, "seed": 1, "visitor": "v"},
    {"model": "tiny", "prompt": "Once", "max_tokens": 2, "stop": ["a"], "temperature": 0.5},
    {"name": "Once", "is_sample": False},
    {"model": "tiny", "prompt": ["a", "b"], "max_tokens": 1, "n": 2, "stream": True, "echo": True},
)
VALUES = (
    None,
    True,
    -1,
    0,
    3,
    10**40,
    1e308,
    float("nan"),
    "",
    "x",
    "\x00",
    "\ud800",
    [],
    ["a", 3],
    {},
    {"a": {}},
    "é" * 500,
)
HEADERS = (
    "content-type: application/json",
    "content-type: application/json",
    "content-type: text/plain",
    "content-type: application/json; charset=utf-16",
    "host: localhost",
    "host: evil.example",
    "host: localhost:99999999",
    "origin: null",
    "origin: http://localhost",
    "origin: http://[::1",
    "transfer-encoding: chunked",
    "content-length: 5",
    "content-length: 99999999999999999999",
    "content-length: x",
    "expect: 100-continue",
    "upgrade: websocket",
    "x-forwarded-for: 1.2.3.4",
    "range: bytes=0-",
    "cookie: " + "a" * 9000,
    "\x00: \x00",
    "connection: close",
)


def odd_request(draw: random.Random) -> bytes:
    """A request, usually with something wrong in it. It always asks for the connection to be closed."""
    body = dict(draw.choice(BODIES))
    for _ in range(draw.choice((0, 1, 1, 3))):
        body[draw.choice([*body, "text", "settings", "n", "stop", "extra"])] = draw.choice(VALUES)
    if "max_tokens" in body and not (isinstance(body["max_tokens"], int) and body["max_tokens"] < 4):
        body["max_tokens"] = 10**40  # this is refused; a few thousand tokens would only take long
    content = json.dumps(body).encode()
    if draw.random() < 0.2:
        content = draw.choice(
            [b"", b"[" * 50_000, b"\xff" * 10, content[: draw.randrange(len(content))], content * 2]
        )
    headers = [draw.choice(HEADERS) for _ in range(draw.choice((0, 1, 2, 4)))]
    if draw.random() < 0.7:
        headers += ["content-type: application/json", "host: localhost", f"content-length: {len(content)}"]
    head = "\r\n".join(
        [f"{draw.choice(METHODS)} {draw.choice(PATHS)} HTTP/1.1", *headers, "connection: close"]
    )
    raw = head.encode("latin-1") + b"\r\n\r\n" + content
    if draw.random() < 0.15:
        spoiled = bytearray(raw)
        for _ in range(draw.choice((1, 4, 30))):
            spoiled[draw.randrange(len(spoiled))] = draw.randrange(256)
        raw = bytes(spoiled)
    return raw


def status_of(answer: bytes) -> int | None:
    """The status of the first answer, or None where there is none."""
    found = re.match(rb"HTTP/1\.\d (\d+)", answer)
    return int(found[1]) if found else None


def knock(port: int, raw: bytes) -> int | None:
    """The status that a request gets; None where the connection is closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            connection.sendall(raw)
            answer = b""
            while block := connection.recv(1 << 16):
                answer += block
        except (ConnectionResetError, BrokenPipeError):
            return None
    return status_of(answer)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()

    from faults.whole_run import make_base
    from served import HeldEngine, served

    from fabula.models.records import ModelRecords
    from fabula.serving import guard
    from fabula.serving.api import make_api
    from fabula.serving.app import make_app
    from fabula.serving.settings import Limits

    guard.HEAD_SECONDS = guard.BODY_SECONDS = 0.3  # many of these requests never end
    often = Limits(max_per_minute=10**9, max_per_address=10**9, max_new_tokens=3)
    draw = random.Random(chosen.seed)
    statuses: Counter[str] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as kept:
        model = Path(kept) / "model"
        make_base(model, ["Once upon a time there was a lamp."])
        page = make_app(HeldEngine(model), ModelRecords.of(model), limits=often)
        with served(page) as one, served(make_api(HeldEngine(model), "tiny")) as two:
            ports = [int(address.rpartition(":")[2]) for address in (one, two)]
            for number in range(chosen.count):
                status = knock(ports[number % 2], odd_request(draw))
                statuses["closed" if status is None else str(status)] += 1
            well = [
                knock(port, f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
                for port, path in zip(ports, ("/", "/v1/models"), strict=True)
            ]
    faults = sum(number for status, number in statuses.items() if status[0] == "5")
    print(f"{chosen.count:,} requests in {time.monotonic() - began:.0f} s: {dict(sorted(statuses.items()))}")
    print(
        f"faults (5xx): {faults}; the servers are {'well' if well == [200, 200] else 'NOT well'} afterwards"
    )
    raise SystemExit(bool(faults) or well != [200, 200])


if __name__ == "__main__":
    main()

"""A fake Hugging Face hub on loopback, with the part of its HTTP API that uploading a folder needs.

It checks what the real one checks: the token, names of repositories, that a large file has the announced hash, and that
    every large file of a commit has arrived.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

TOKEN = "hf_" + "a" * 34
READER = "hf_" + "b" * 34
USER = "ada"
LARGE = (".safetensors", ".whl")


class Hub(ThreadingHTTPServer):
    """The fake hub and its contents.

    Attributes:
        repos: kind and name of each repository -> what it was made with.
        files: kind and name of each repository -> content of its files.
        objects: large files by SHA-256.
        commits: kind, name and message of each commit.
        sent: names of the large files' hashes as they were sent, also those that broke off.
        hold: while set, the content of large files is not read.
        held: set when a sender waits because of `hold`.
        refusal: status to answer all requests with, or None.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.repos: dict[tuple[str, str], dict[str, Any]] = {}
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}
        self.objects: dict[str, bytes] = {}
        self.commits: list[tuple[str, str, str]] = []
        self.sent: list[str] = []
        self.hold = threading.Event()
        self.held = threading.Event()
        self.refusal: int | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnects is not an error here."""


class Handler(BaseHTTPRequestHandler):
    server: Hub  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, value: Any, status: int = 200) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def allowed(self, name: str) -> bool:
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        if self.server.refusal is not None:
            self.answer({"error": "Overloaded"}, self.server.refusal)
        elif token not in (TOKEN, READER):
            self.answer({"error": "Invalid username or password."}, 401)
        elif token == READER or not name.startswith(f"{USER}/"):
            self.answer({"error": f"You don't have the rights to write to {name}"}, 403)
        else:
            return True
        return False

    def do_GET(self) -> None:
        if self.path != "/api/whoami-v2":
            self.answer({"error": "Not found"}, 404)
        elif self.headers.get("authorization", "").removeprefix("Bearer ") in (TOKEN, READER):
            self.answer({"type": "user", "name": USER, "orgs": [{"type": "org", "name": "quay"}]})
        else:
            self.answer({"error": "Invalid username or password."}, 401)

    def do_POST(self) -> None:
        body = self.body()
        path = self.path.partition("?")[0]
        parts = path.strip("/").split("/")
        if path == "/api/validate-yaml":
            head = json.loads(body)["content"].split("---")[1]
            known = isinstance(yaml.safe_load(head), dict)
            self.answer({"errors": [] if known else [{"message": "no metadata"}], "warnings": []})
        elif path == "/api/repos/create":
            wanted = json.loads(body)
            name, kind = f"{wanted['organization']}/{wanted['name']}", wanted.get("type", "model")
            if self.allowed(name):
                known = (kind, name) in self.server.repos
                self.server.repos.setdefault((kind, name), wanted)
                prefix = "spaces/" if kind == "space" else ""
                self.answer(
                    {"url": f"{self.server.address}/{prefix}{name}", "name": name}, 409 if known else 200
                )
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                each
                if each["oid"] in self.server.objects
                else {**each, "actions": {"upload": {"href": f"{self.server.address}/storage/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            self.answer({"transfer": "basic", "objects": objects})
        elif len(parts) == 6 and parts[4] == "preupload":
            if self.allowed("/".join(parts[2:4])):
                files = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                        "shouldIgnore": False,
                    }
                    for file in json.loads(body)["files"]
                ]
                self.answer({"files": files})
        elif len(parts) == 6 and parts[4] == "commit":
            self.commit(parts[1].removesuffix("s"), "/".join(parts[2:4]), body)
        else:
            self.answer({"error": f"unknown route {path}"}, 404)

    def commit(self, kind: str, name: str, body: bytes) -> None:
        if not self.allowed(name):
            return
        header, *rows = (json.loads(line) for line in body.splitlines())
        content = {}
        for row in rows:
            value = row["value"]
            if row["key"] == "file":
                content[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                if value["oid"] not in self.server.objects:
                    self.answer({"error": f"{value['path']} has not arrived"}, 400)
                    return
                content[value["path"]] = self.server.objects[value["oid"]]
        self.server.files.setdefault((kind, name), {}).update(content)
        self.server.commits.append((kind, name, header["value"]["summary"]))
        oid = f"{len(self.server.commits):040x}"
        self.answer(
            {"success": True, "commitOid": oid, "commitUrl": f"{self.server.address}/{name}/commit/{oid}"}
        )

    def do_PUT(self) -> None:
        oid = self.path.rpartition("/")[2]
        self.server.sent.append(oid)
        if self.server.hold.is_set():
            self.server.held.set()
            while self.server.hold.is_set():
                threading.Event().wait(0.05)
            self.close_connection = True
            return
        data = self.body()
        if hashlib.sha256(data).hexdigest() != oid:
            self.answer({"error": "the content is not what its hash says"}, 400)
            return
        self.server.objects[oid] = data
        self.answer({})


@contextmanager
def hub() -> Iterator[Hub]:
    """A running fake hub."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.hold.clear()
        server.shutdown()
        server.server_close()

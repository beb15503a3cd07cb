"""The studio over HTTP: files in, decisions, jobs, files out; and what it refuses."""

import errno
import io
import json
import random
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")
pytest.importorskip("starlette", reason="needs the serve extra")

from hub import TOKEN, Hub
from served import served

from fabula.corpus.store import open_corpus
from fabula.errors import FabulaError
from fabula.pipeline.events import EventLog
from fabula.results import RUN, RunRecord
from fabula.serving.app import Place
from fabula.studio_server.app import CHUNK_BYTES, make_studio
from fabula.studio_server.jobs import Jobs, Queue, Wanted, Working
from fabula.studio_server.projects import MAX_FILES, Projects, input_path, take_chunk

JSON = {"content-type": "application/json"}
BYTES = {"content-type": "application/octet-stream"}

STORIES = "".join(
    f"<sos> On day {number} Wren found a lamp by the wall. <nl> “Whose is it?” said Harrow, {number} times over, and"
    f" nobody in all of Low Quay knew what to answer. <nl> So she carried it home past the {number} boats. <nl>"
    f" {'EDIT: Thanks for the gold, kind stranger! More at r/SkerrowTales' if number % 4 == 0 else 'The end.'} <eos>\n"
    for number in range(24)
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("root: a secret")
    return tmp_path / "projects"


@pytest.fixture
def studio(root: Path) -> Iterator[str]:
    with served(make_studio(root, max_upload_mb=4)) as address:
        yield address


def send(address: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Status and answer: a GET without a body, else a POST."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}{path}", data, headers or (JSON if data is not None else {}))
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            answer = response.read()
            is_json = "json" in response.headers.get("content-type", "")
            return response.status, json.loads(answer) if is_json else answer
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def put(address: str, project: str, path: str, data: bytes, **query: Any) -> tuple[int, Any]:
    asked = urllib.parse.urlencode({"path": path, "offset": 0, "total": len(data), **query})
    return send(address, f"/api/projects/{quote(project)}/files?{asked}", data, BYTES)


def begin(address: str, name: str = "My tales", data: bytes = STORIES.encode()) -> str:
    """A project with one file, read."""
    _, made = send(address, "/api/projects", {"name": name})
    assert put(address, made["name"], "tales.txt", data) == (200, {"is_complete": True})
    return f"/api/projects/{quote(made['name'])}"


def test_files_are_read_and_a_removal_is_undone(studio: str, root: Path):
    project = begin(studio)
    assert send(studio, project)[1]["phase"] == "unread"
    status, read = send(studio, f"{project}/read", {})
    assert status == 200, read
    summary = read["summary"]
    assert (summary["num_kept"], summary["num_removals"]) == (24, 6)
    assert summary["beginnings"][0]["text"].startswith("On day 0 Wren found a lamp")
    shown = send(studio, project)[1]
    assert (shown["phase"], shown["num_stories"], shown["num_files"]) == ("ready", 24, 1)
    _, removals = send(studio, f"{project}/removals?offset=0")
    assert removals["num_rows"] == 6
    confidences = [row["confidence"] for row in removals["rows"]]
    assert confidences == sorted(confidences)
    row = removals["rows"][0]
    assert row["text"].strip().startswith("EDIT: Thanks")
    assert row["before"].endswith("boats.")
    del row["why"]
    assert send(studio, f"{project}/decisions", {**row, "decision": "undo"}) == (200, {"num_decisions": 1})
    assert send(studio, f"{project}/read", {})[1]["summary"]["num_removals"] == 5
    _, removals = send(studio, f"{project}/removals?offset=0")
    assert [one["decision"] for one in removals["rows"]] == [
        "undo",
        "",
        "",
        "",
        "",
        "",
    ]  # it can be taken back
    assert send(studio, f"{project}/decisions", {**row, "decision": ""}) == (200, {"num_decisions": 0})
    assert send(studio, f"{project}/read", {})[1]["summary"]["num_removals"] == 6
    assert (root / "My tales" / "decisions.jsonl").read_text() == ""


def test_where_stories_begin_is_asked(studio: str):
    """Files of lines that are long enough for stories: either the lines or the files are the stories."""
    words = ["lamp", "key", "boat", "coin", "hat", "loaf", "fox", "queen", "miller", "tide", "bell", "gate"]

    def line(seed: int) -> str:
        draw = random.Random(seed)
        return " ".join(
            f"The {draw.choice(words)} stood by the {draw.choice(words)}, and nobody asked the {draw.choice(words)} why."
            for _ in range(14)
        )

    send(studio, "/api/projects", {"name": "days"})
    for number in range(3):
        text = "\n".join(line(3 * number + place) for place in range(3))
        put(studio, "days", f"{number}.txt", text.encode())
    _, read = send(studio, "/api/projects/days/read", {})
    readings = {one["split_at"]: one for one in read["question"]["readings"]}
    assert {name: one["num_stories"] for name, one in readings.items()} == {"lines": 9, "files": 3}
    assert all(one["beginnings"][0].startswith("The ") for one in readings.values())
    _, read = send(studio, "/api/projects/days/read", {"split_at": "lines"})
    assert read["summary"]["num_read"] == 9
    assert send(studio, "/api/projects/days")[1]["reading"]["split_at"] == "lines"


def test_what_cannot_be_read_is_said(studio: str):
    project = begin(studio, data=b"")
    status, answer = send(studio, f"{project}/read", {})
    assert (status, json.loads(answer)["message"].startswith("tales.txt: this file is empty")) == (422, True)
    status, answer = send(studio, f"{project}/read", {"encoding": "martian"})
    assert (status, b"martian" in answer) == (422, True)
    status, answer = send(studio, f"{project}/read", {"splitat": "lines"})
    assert (status, b"did you mean 'split_at'" in answer or b"split_at" in answer) == (422, True)


def test_a_large_file_comes_in_chunks_and_an_interrupted_one_is_not_there(studio: str, root: Path):
    _, made = send(studio, "/api/projects", {"name": "large"})
    data = bytes(range(256)) * 8192
    assert len(data) > CHUNK_BYTES
    first, rest = data[:CHUNK_BYTES], data[CHUNK_BYTES:]
    total = len(data)
    assert put(studio, "large", "a/b.txt", first, total=total) == (200, {"is_complete": False})
    assert send(studio, "/api/projects/large")[1]["num_files"] == 0
    status, _ = put(studio, "large", "a/b.txt", rest, offset=7, total=total)
    assert status == 422
    assert put(studio, "large", "a/b.txt", rest, offset=CHUNK_BYTES, total=total) == (
        200,
        {"is_complete": True},
    )
    assert (root / made["name"] / "inputs" / "a" / "b.txt").read_bytes() == data
    assert (
        put(studio, "large", "c.txt", b"x", total=4_000_000)[0] == 422
    )  # beyond the limit with the other file
    assert put(studio, "large", "c.txt", b"xy", total=1)[0] == 422
    assert put(studio, "large", "c.txt", b"x" * (CHUNK_BYTES + 200_000))[0] == 413


@pytest.mark.parametrize(
    "name",
    ["", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "C:\\x", ".hidden", "a/.git/x", "x\0y", "a\nb", "~/.ssh/x/..", "con:", "x" * 300, "a/" * 20 + "x", "b.upload", " x"],
)  # fmt: skip
def test_no_name_leads_out_of_the_inputs(root: Path, name: str):
    project = Projects(root).create("tales")
    with pytest.raises(FabulaError):
        input_path(project, name)


def test_links_are_not_followed(root: Path, tmp_path: Path):
    projects = Projects(root)
    project = projects.create("tales")
    (tmp_path / "elsewhere").mkdir()
    (project.inputs / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FabulaError):
        input_path(project, "out/x.txt")
    (project.inputs / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(FabulaError):
        input_path(project, "link.txt")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / RUN).touch()
    with pytest.raises(FabulaError):
        projects.find("linked")
    assert [one.name for one in projects.all()] == ["tales"]


def test_a_project_takes_so_many_files(root: Path, monkeypatch: pytest.MonkeyPatch):
    assert MAX_FILES > 100
    monkeypatch.setattr("fabula.studio_server.projects.MAX_FILES", 2)
    project = Projects(root).create("tales")
    for name in "ab":
        assert take_chunk(project, name, b"x", 0, 1, 100)
    with pytest.raises(FabulaError, match="at most 2 files"):
        take_chunk(project, "c", b"x", 0, 1, 100)


def archive_of(*files: tuple[str | zipfile.ZipInfo, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return made.getvalue()


def test_archives_write_and_read_nothing_elsewhere(studio: str, root: Path):
    """Names that lead out of the archive, links, and an entity of a document that names a file."""
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    secret = root.parent / "secret.txt"
    secret.write_text("root: a secret. " * 40)
    names = ("../../out.txt", str(root.parent / "out.txt"), "C:\\out.txt")
    story = "Wren carried the lamp along the quay, and nobody saw her go. " * 30
    text = archive_of(*((name, f"{name} {story}") for name in names), (link, str(secret)))
    entity = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
    kind = "http://schemas.openxmlformats.org"
    document = archive_of(
        ("word/document.xml", f'{entity}<w:document xmlns:w="{kind}/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>{story}&e;</w:t></w:r></w:p></w:body></w:document>'),
        ("_rels/.rels", f'<Relationships xmlns="{kind}/package/2006/relationships"><Relationship Id="r" Type="{kind}/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>'),
    )  # fmt: skip
    for name, data in (("a.zip", text), ("b.docx", document)):
        _, made = send(studio, "/api/projects", {"name": name})
        assert put(studio, made["name"], name, data)[0] == 200
        _, read = send(studio, f"/api/projects/{made['name']}/read", {})
        assert "a secret" not in str(read)
    outside = [path for path in root.parent.rglob("*") if path.name == "out.txt"]
    assert [path for path in outside if not path.is_relative_to(root)] == []
    for file in root.rglob("*.jsonl"):
        assert "a secret" not in file.read_text(encoding="utf-8")


def test_a_file_that_unpacks_to_more_than_the_memory(root: Path):
    script = "import fabula.studio_server.work as w, psutil, types; psutil.virtual_memory = lambda: types.SimpleNamespace(available=4e8); print(w.work(['read', {!r}, '{{}}']))"
    project = Projects(root).create("bomb")
    (project.inputs / "bomb.zip").write_bytes(archive_of(("bomb.txt", "Wren went home.\n\n" * 20_000_000)))
    done = subprocess.run(
        [sys.executable, "-c", script.format(str(project.folder))], capture_output=True, text=True, check=True
    )
    assert "more memory than is free" in done.stdout


def test_nothing_outside_the_projects_can_be_read(studio: str, root: Path):
    begin(studio)
    link = root / "My tales" / "report.html"
    link.symlink_to(root.parent / "secret.txt")
    (root.parent / "elsewhere").mkdir()
    (root.parent / "elsewhere" / "secret.txt").write_text("root: a secret")
    (root / "My tales" / "gguf").symlink_to(root.parent / "elsewhere")
    (root / "My tales" / "onnx").mkdir()
    (root / "My tales" / "onnx" / "link.txt").symlink_to(root.parent / "secret.txt")
    for name in ("..", "%2e%2e", "..%2f", ".studio", "My%20tales%2f..", "%00", "secret.txt", "nothing"):
        for path in ("", "/events", "/removals"):
            status, answer = send(studio, f"/api/projects/{name}{path}")
            assert status in (404, 422), (name, path)
            assert b"secret" not in answer.replace(b"secret.txt", b"")
    for what in (
        "report.html",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "inputs",
        "project.json",
        ".lock",
        "model.zip",
        "gguf.zip",
    ):
        status, answer = send(studio, f"/files/My%20tales/{what}")
        assert (status, b"a secret" in answer) == (404, False), what
    status, answer = send(studio, "/files/My%20tales/onnx.zip")
    assert (status, b"a secret" in answer) == (200, False)
    for path in (
        "/secret.txt",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/app.py",
        "/desk/My%20tales/",
        "/desk/../x/",
    ):
        status, answer = send(studio, path)
        assert status in (404, 422), path
        assert b"a secret" not in answer


def test_other_sites_cannot_use_it(studio: str):
    project = begin(studio)
    elsewhere = {"origin": "https://elsewhere.example"}
    for path in (
        "read",
        "decisions",
        "predict",
        "start",
        "stop",
        "finish",
        "export",
        "publish",
        "account",
        "upload",
        "learn",
        "remove",
        "put-back",
    ):
        assert send(studio, f"{project}/{path}", {}, {**JSON, **elsewhere})[0] == 403
        assert send(studio, f"{project}/{path}", {}, {**JSON, "origin": "null"})[0] == 403
        for kind in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded"):
            assert send(studio, f"{project}/{path}", {}, {"content-type": kind})[0] == 415
    assert send(studio, "/api/projects", {"name": "x"}, {**JSON, **elsewhere})[0] == 403
    upload = f"{project}/files?path=x&offset=0&total=1"
    assert send(studio, upload, b"x", {**BYTES, **elsewhere})[0] == 403
    assert send(studio, upload, b"x", {"content-type": "text/plain"})[0] == 415
    assert send(studio, "/api/projects", headers={"host": "elsewhere.example"})[0] == 400
    assert [one["name"] for one in send(studio, "/api/projects")[1]] == ["My tales"]


def with_model(root: Path, model: Path) -> None:
    """Give the project "My tales" a model."""
    folder = root / "My tales" / "model"
    shutil.copytree(model, folder)
    (folder / "manifest.json").write_text("{}")


def wait(studio: str, project: str, *, seconds: float = 240) -> dict[str, Any]:
    """The state of a project when nothing of it waits or works any more."""
    deadline = time.monotonic() + seconds
    while True:
        _, shown = send(studio, project)
        busy = any(work["is_waiting"] or work["is_working"] for work in shown["work"].values())
        if not busy and shown["phase"] not in ("queued", "working"):
            return shown
        assert time.monotonic() < deadline, shown
        time.sleep(0.3)


def test_a_model_is_improved_in_a_project_that_can_be_removed(studio: str, root: Path, tiny_gpt2_dir: Path):
    """To its end: the same stories are held out, the new one is trained on, what was put back stays, and the weights
    are kept only if they are no worse. One request undoes it, and another puts it back."""
    project = begin(studio)
    story = {"name": "The / lamp..", "text": "Ada found a lamp by the quay, and Tom lost it again. " * 20}
    assert send(studio, f"{project}/learn", story)[0] == 422  # there is no model yet
    with_model(root, tiny_gpt2_dir)
    send(studio, f"{project}/read", {})
    row = send(studio, f"{project}/removals?offset=0")[1]["rows"][0]
    del row["why"]
    send(studio, f"{project}/decisions", {**row, "decision": "undo"})
    send(studio, f"{project}/read", {})
    assert send(studio, f"{project}/learn", {"text": ""})[0] == 422
    assert send(studio, f"{project}/learn", story) == (200, {"name": "My tales-2"})
    better = "/api/projects/My%20tales-2"
    shown = send(studio, better)[1]
    model = root / "My tales" / "model"
    assert (shown["phase"], shown["base"], shown["improves"]) == ("unread", str(model), "My tales")
    status, read = send(studio, f"{better}/read", {})
    assert (status, read["summary"]["num_read"], read["summary"]["num_removals"]) == (200, 25, 0)
    old, new = open_corpus(root / "My tales" / "corpus"), open_corpus(root / "My tales-2" / "corpus")
    assert {each.text for each in new.stories("validation")} == {
        each.text for each in old.stories("validation")
    }
    trained = {each.text for each in new.stories("train")} - {each.text for each in old.stories("train")}
    assert [text.startswith("Ada found a lamp by the quay") for text in trained] == [True]
    before = (model / "model.safetensors").read_bytes()
    assert send(studio, f"{better}/start", {"base": shown["base"], "max_minutes": 0.1})[0] == 200
    assert send(studio, f"{better}/remove", {})[0] == 409  # it is at work
    done = wait(studio, better)
    assert (done["phase"], done["error"], done["has_model"]) == ("done", "", True)
    losses = [bits for _, _, bits in done["validations"]]
    kept = (root / "My tales-2" / "model" / "model.safetensors").read_bytes()
    assert (kept == before) == (min(losses) == losses[0])
    assert (model / "model.safetensors").read_bytes() == before
    status, answer = send(studio, f"{project}/remove", {})
    assert (status, b"My tales-2 improves this project" in answer) == (422, True)
    assert send(studio, f"{better}/remove", {})[0] == 200
    assert [one["name"] for one in send(studio, "/api/projects")[1]] == ["My tales"]
    assert send(studio, better)[0] == 404
    assert send(studio, f"{better}/put-back", {}) == (200, {"name": "My tales-2"})
    assert send(studio, better)[1]["phase"] == "done"
    for name in ("nobody", "..", "%2e%2e", ".studio", "removed"):
        assert send(studio, f"/api/projects/{name}/put-back", {})[0] in (404, 422)
        assert send(studio, f"/api/projects/{name}/remove", {})[0] == 404


LICENCES = {"license": "mit", "corpus_license": "mit"}


def test_a_model_is_published_with_a_token_that_is_not_kept(
    studio: str, root: Path, online: Hub, tiny_gpt2_dir: Path
):
    project = begin(studio)
    with_model(root, tiny_gpt2_dir)
    status, answer = send(studio, f"{project}/account", {"token": "hf_" + "c" * 34})
    assert (status, b"does not recognise you" in answer) == (422, True)
    assert send(studio, f"{project}/account", {"token": TOKEN}) == (
        200,
        {"name": "ada", "organisations": ["quay"]},
    )
    wanted = {**LICENCES, "token": TOKEN, "account": "ada", "repo": "ada/tales", "private": True}
    status, answer = send(studio, f"{project}/upload", {**wanted, "account": "bob"})
    assert (status, b"belongs to ada, not to bob" in answer) == (409, True)
    status, answer = send(studio, f"{project}/upload", {**wanted, "repo": "bob/tales"})
    assert (status, b"ada cannot write to bob/tales" in answer) == (422, True)
    for changed in (
        {"repo": "--help"},
        {"repo": "a/b/c"},
        {"space": "-x/y"},
        {"token": "a b"},
        {"account": ""},
    ):
        status, answer = send(studio, f"{project}/upload", {**wanted, **changed})
        assert (status, TOKEN.encode() in answer) == (422, False)
    assert not online.commits
    assert send(studio, f"{project}/upload", wanted)[0] == 200
    shown = wait(studio, project)
    assert shown["work"]["upload"]["output"].splitlines()[-1] == f"Published: {online.address}/ada/tales"
    assert online.repos["model", "ada/tales"]["visibility"] == "private"
    assert "model.safetensors" in online.files["model", "ada/tales"]
    for file in root.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file
    assert TOKEN not in json.dumps(shown)


def test_a_token_does_not_outlive_the_studio(root: Path):
    """An upload that waited when the studio was stopped does not begin without its token."""
    Projects(root).create("tales")
    (root / ".studio").mkdir()
    waiting = Wanted(project="tales", kind="upload", words=["publish"], has_token=True)
    Queue(waiting=[waiting]).save(root / ".studio" / "queue.json")
    jobs = Jobs(Projects(root))
    jobs.tick()
    assert "restarted before the upload" in jobs.problems["tales"]
    assert jobs.output("tales", "upload") == ""


def test_a_command_that_many_threads_see_end_is_followed_by_one(root: Path, monkeypatch: pytest.MonkeyPatch):
    Projects(root).create("tales")
    jobs = Jobs(Projects(root))
    kinds = ["run", "export", "publish", "upload"]
    begun: list[str] = []

    class Ended:
        def poll(self) -> int:
            time.sleep(0.01)
            return 0

    def start(wanted: Wanted) -> None:
        begun.append(wanted.kind)
        jobs._working = Working(wanted, Ended())  # pyright: ignore[reportArgumentType, reportPrivateUsage]

    monkeypatch.setattr(jobs, "_start", start)
    with ThreadPoolExecutor(16) as pool:
        for kind in kinds:
            pool.submit(jobs.submit, Wanted(project="tales", kind=kind, words=[])).result()
            list(pool.map(lambda _: jobs.tick(), range(16)))
    assert begun == kinds


def test_a_command_that_cannot_start_now_starts_later(root: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither the command nor its token is lost when the disk is full."""
    project = Projects(root).create("tales")
    jobs = Jobs(Projects(root))
    tokens: list[str] = []

    def no_space(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def start(*_: Any, env: dict[str, str], **__: Any) -> None:
        tokens.append(env["HF_TOKEN"])

    monkeypatch.setattr(subprocess, "Popen", no_space)
    with pytest.raises(OSError, match="No space"):
        jobs.submit(Wanted(project="tales", kind="upload", words=["publish"], has_token=True), TOKEN)
    assert jobs.is_queued(project, "upload")
    monkeypatch.setattr(subprocess, "Popen", start)
    jobs.tick()
    assert tokens == [TOKEN]
    assert not jobs.is_queued(project, "upload")
    assert Jobs(Projects(root))._queue.waiting == []  # pyright: ignore[reportPrivateUsage]


def test_a_report_is_shown_in_a_sandbox(studio: str, root: Path):
    begin(studio)
    (root / "My tales" / "report.html").write_text("<script>fetch('/api/projects')</script>")
    with urllib.request.urlopen(f"{studio}/files/My%20tales/report.html", timeout=20) as response:
        policy = response.headers.get_all("content-security-policy")
        assert len(policy) == 1
        assert policy[0].startswith("sandbox allow-scripts")
        assert "allow-same-origin" not in policy[0]
        assert "default-src 'none'" in policy[0]
        assert response.headers["x-content-type-options"] == "nosniff"


def test_words_of_a_request_are_no_options(studio: str, root: Path):
    """What a visitor types reaches a command line as a value, never as an option of its own."""
    project = begin(studio)
    for body in ({"to": "--help"}, {"to": "gguf", "quantize": "--out"}):
        assert send(studio, f"{project}/export", body)[0] == 422
    for licence in ("--repo", "", "a b", "x;y", "$(id)"):
        assert send(studio, f"{project}/publish", {"license": licence, "corpus_license": "mit"})[0] == 422
    assert send(studio, f"{project}/start", {"base": "--help"})[0] == 422
    assert not (root / ".studio" / "queue.json").exists()


def test_a_key_is_required_if_others_can_reach_it(root: Path):
    app = make_studio(root, place=Place(hosts=("*",)), key="opensesame")
    with served(app) as address:
        assert send(address, "/api/projects")[0] == 403
        assert send(address, "/?key=wrong")[0] == 403
        assert send(address, "/api/projects", headers={"cookie": "fabula-studio=wrong"})[0] == 403
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(f"{address}/?key=opensesame", timeout=20) as response:
            assert response.status == 200
            assert "key" not in response.url
        with opener.open(f"{address}/api/projects", timeout=20) as response:
            assert json.loads(response.read()) == []


def test_a_run_of_the_terminal_shows(studio: str, root: Path):
    """A run that another process began in the folder is shown as running, with its events."""
    project = begin(studio)
    with EventLog(root / "My tales"):
        assert send(studio, project)[1]["phase"] == "reading"
    arguments = Projects(root).find("My tales").arguments()
    RunRecord(name="My tales", arguments=arguments, versions={}).save(root / "My tales" / RUN)
    assert send(studio, project)[1]["phase"] == "stopped"
    with EventLog(root / "My tales"):
        assert send(studio, project)[1]["phase"] == "working"
        assert send(studio, f"{project}/start", {})[0] == 409
    assert send(studio, project)[1]["phase"] == "stopped"  # there is no report
    _, first = send(studio, f"{project}/events?from=0")
    assert [event["outcome"] for event in first["events"]] == [None, "done"] * 2
    assert send(studio, f"{project}/events?from={first['next']}")[1] == {"events": [], "next": first["next"]}
    assert send(studio, f"{project}/events?from=-1")[0] == 422


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "project.json", "corpus/manifest.json"])
def test_a_run_of_another_version_is_shown_and_writes(
    studio: str, root: Path, tiny_gpt2_dir: Path, name: str
):
    project = begin(studio)
    send(studio, f"{project}/read", {})
    with_model(root, tiny_gpt2_dir)
    arguments = Projects(root).find("My tales").arguments()
    RunRecord(name="My tales", arguments=arguments, versions={}).save(root / "My tales" / RUN)
    (root / "My tales" / name).write_text('{"name": "My tales", "of_another_version": 1}')
    status, shown = send(studio, project)
    assert (status, shown["phase"]) == (200, "stopped")
    if name != "corpus/manifest.json":
        assert shown["error"].startswith(f"Another version of fabula made this project ({name}: ")
    assert [one["name"] for one in send(studio, "/api/projects")[1]] == ["My tales"]
    if name == "run.json":
        assert send(studio, f"{project}/start", {})[0] == 422
    assert send(studio, "/desk/My%20tales/model.json")[1]["name"] == "My tales"
    body = json.dumps({"text": "Once", "settings": {"max_new_tokens": 2}}).encode()
    asked = urllib.request.Request(f"{studio}/desk/My%20tales/write", body, JSON)
    with urllib.request.urlopen(asked, timeout=60) as response:
        assert b'"done"' in response.read()


def test_an_error_is_a_page_for_a_browser_that_wants_one(studio: str):
    begin(studio, "A <b> & c")
    name = quote("A -b- - c")
    status, answer = send(studio, f"/desk/{name}/", headers={"accept": "text/html,*/*"})
    assert status == 422
    assert b"<!doctype html>" in answer
    assert b"this folder is not a model" in answer


def test_a_run_that_cannot_begin_says_why(studio: str):
    project = begin(studio)
    assert send(studio, f"{project}/read", {})[0] == 200
    assert send(studio, f"{project}/start", {"base": "nobody-has-this-model", "max_minutes": 1})[0] == 200
    deadline = time.monotonic() + 120
    while not (shown := send(studio, project)[1])["error"]:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert "nobody-has-this-model" in shown["error"]
    assert shown["phase"] == "ready"

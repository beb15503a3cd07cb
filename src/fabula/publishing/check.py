"""Start a Space and test it before it is uploaded."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path

from fabula.errors import FabulaError
from fabula.progress import OnProgress, Progress, silent

START_SECONDS = 180
TOKENS = 8


def check_space(folder: Path, *, clean: bool = False, on_progress: OnProgress = silent) -> str:
    """Start a Space's app from its own folder, with its own copy of fabula, and have it write.

    Args:
        folder: the Space.
        clean: install its requirements into a new environment first, and start it there. That takes minutes, and
            pip needs its index.

    Returns:
        What it wrote.

    Raises:
        FabulaError: pip could not install the requirements, or the app did not start or answer.
    """
    with tempfile.TemporaryDirectory(prefix="fabula-space-") as temporary:
        place = Path(temporary) / "space"
        shutil.copytree(folder, place)
        home = Path(temporary) / "home"
        home.mkdir()
        # Only the variables that every program needs are passed on, so the app cannot depend on this process.
        environment = {
            name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ
        }
        environment |= {"HOME": str(home), "HF_HUB_OFFLINE": "1", "HOST": "127.0.0.1"}
        if clean:
            python = make_environment(place, Path(temporary) / "venv", on_progress)
        else:
            python = sys.executable
            environment["PYTHONPATH"] = str(next(place.glob("*.whl")))
        on_progress(Progress("publish", message="the Space is started from its own folder"))
        return start_and_ask(place, python, environment)


def make_environment(place: Path, target: Path, on_progress: OnProgress) -> str:
    """A new environment with the Space's requirements; its Python."""
    on_progress(Progress("publish", message="the Space's requirements are installed into a new environment"))
    venv.create(target, with_pip=True)
    python = str(target / ("Scripts" if os.name == "nt" else "bin") / "python")
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise FabulaError(
            f"pip cannot install the Space's requirements ({last_line(done.stderr)})", where=place.name
        )
    return python


def start_and_ask(place: Path, python: str, environment: dict[str, str]) -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        app = subprocess.Popen(
            [python, "app.py"], cwd=place, env={**environment, "PORT": str(port)}, stdout=said, stderr=said
        )
        try:
            until = time.monotonic() + START_SECONDS
            while True:
                if app.poll() is not None:
                    said.seek(0)
                    raise FabulaError(f"the Space's app does not start ({last_line(said.read())})")
                try:
                    with urllib.request.urlopen(f"{address}/model.json", timeout=30):
                        break
                except (urllib.error.URLError, ConnectionError, TimeoutError):
                    if time.monotonic() > until:
                        raise FabulaError(
                            f"the Space's app does not answer within {START_SECONDS} seconds"
                        ) from None
                    time.sleep(0.2)
            return ask(address)
        finally:
            app.terminate()
            try:
                app.wait(timeout=20)
            except subprocess.TimeoutExpired:
                app.kill()
                app.wait()


def ask(address: str) -> str:
    """Fetch the page, and let it write a few words."""
    with urllib.request.urlopen(address, timeout=30) as answer:
        if b"<textarea" not in answer.read():
            raise FabulaError("the Space's app does not show its page")
    body = {"text": "Once upon a time,", "settings": {"max_new_tokens": TOKENS}, "seed": 0}
    request = urllib.request.Request(
        f"{address}/write", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        events = [json.loads(line) for line in answer]
    if not events or events[-1]["type"] != "done":
        problem = next((event["message"] for event in events if event["type"] == "error"), "no answer")
        raise FabulaError(f"the Space's app does not write ({problem})")
    return "".join(event["text"] for event in events if event["type"] == "piece")


def last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"

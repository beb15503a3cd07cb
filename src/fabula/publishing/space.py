"""A Space: a self-contained folder that serves the model's page."""

import base64
import hashlib
import re
import shutil
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files as package_files
from pathlib import Path

import yaml
from packaging.requirements import Requirement

PORT = 7860
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
SERVER = ("starlette", "uvicorn")

APP = '''"""The page of a story model. `pip install -r requirements.txt && python app.py` shows it on port {port}."""

import os
from pathlib import Path

from fabula.serving.serve import serve

serve(
    Path(__file__).parent / "model",
    host=os.environ.get("HOST", "0.0.0.0"),
    port=int(os.environ.get("PORT", "{port}")),
    behind_proxy=True,
    framed_by=("https://huggingface.co",),
    on_ready=lambda address: print(f"Write at {{address}}", flush=True),
)
'''

DOCKERFILE = """FROM python:3.11-slim
RUN useradd --create-home --uid 1000 user
USER user
ENV PATH=/home/user/.local/bin:$PATH HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
WORKDIR /home/user/app
COPY --chown=user requirements.txt *.whl ./
RUN pip install --user --no-cache-dir -r requirements.txt
COPY --chown=user . .
EXPOSE {port}
CMD ["python", "app.py"]
"""


def write_space(folder: Path, model: Path, *, title: str, licence: str, model_repo: str | None) -> None:
    """Fill `folder` with a Space that shows the model in `model`."""
    shutil.copytree(model, folder / "model", ignore=shutil.ignore_patterns("README.md"))
    wheel = write_wheel(folder)
    (folder / "app.py").write_text(APP.format(port=PORT), encoding="utf-8")
    (folder / "Dockerfile").write_text(DOCKERFILE.format(port=PORT), encoding="utf-8")
    (folder / "requirements.txt").write_text(requirements(wheel.name), encoding="utf-8")
    head = {
        "title": title[:60],
        "emoji": "📖",
        "colorFrom": "green",
        "colorTo": "yellow",
        "sdk": "docker",
        "app_port": PORT,
        "license": licence,
        "short_description": "Write stories with a language model",
        **({"models": [model_repo]} if model_repo else {}),
    }
    about = f"A page to write stories on with {model_repo or 'the model in `model/`'}.\n\nRun it anywhere: `pip install -r requirements.txt`, then `python app.py`.\n"
    text = f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n# {title}\n\n{about}"
    (folder / "README.md").write_text(text, encoding="utf-8")


def requirements(wheel: str) -> str:
    """The requirements of the Space: fabula's own wheel, and everything that the page imports, in the installed
    versions."""
    lines = [f"{name}=={version.partition('+')[0]}" for name, version in sorted(pinned().items())]
    return "\n".join([f"--extra-index-url {CPU_WHEELS}", f"./{wheel}", *lines]) + "\n"


def pinned() -> dict[str, str]:
    """Installed versions of what fabula and its page depend on, and of what these depend on, by their names."""
    found: dict[str, str] = {}
    extras_seen: set[tuple[str, str]] = set()
    waiting = [(need, "") for need in distribution("fabula").requires or []]
    waiting += [(name, "") for name in SERVER]
    while waiting:
        text, extra = waiting.pop()
        need = Requirement(text)
        if need.marker is not None and not need.marker.evaluate({"extra": extra}):
            continue
        name = re.sub(r"[-_.]+", "-", need.name).lower()
        try:
            installed = distribution(need.name)
        except PackageNotFoundError:
            continue  # wanted on other systems only
        for each in {"", *need.extras}:
            if (name, each) not in extras_seen:
                extras_seen.add((name, each))
                waiting += [(other, each) for other in installed.requires or []]
        found[name] = installed.version
    return found


def write_wheel(folder: Path) -> Path:
    """fabula as it is installed here, as a wheel, without its bundled stories and base model.

    The same files give the same bytes.
    """
    meta = distribution("fabula")
    version = meta.version
    info = f"fabula-{version}.dist-info"
    root = Path(str(package_files("fabula")))
    content = {
        f"fabula/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(root).parts[0] != "data"
    }
    content[f"{info}/METADATA"] = (meta.read_text("METADATA") or "").encode()
    content[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: fabula\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    content[f"{info}/entry_points.txt"] = b"[console_scripts]\nfabula = fabula.cli.app:main\n"
    record = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for name, data in content.items()
    ]
    content[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"fabula-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return path

"""How this copy of fabula is installed: what to type to start it, and to install the packages of an extra."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from fabula.errors import FabulaError

COMMAND = re.compile(
    r"(?<![\w/.-])(?<!-m )fabula(?= (?:run|clean|restore|train|evaluate|tune|compare|write|export|serve|studio|publish|doctor|bases)\b| --help)"
)


def quote_command(words: Sequence[str]) -> str:
    """The words as one line for the shell of this system."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def program() -> str:
    """What starts this fabula in the user's shell, quoted: "fabula" if the PATH leads to it, else its path, or
    `python -m fabula`."""
    script = shutil.which(sys.argv[0]) if sys.argv[0] else None
    if script is None or Path(script).stem != "fabula":
        return quote_command([sys.executable, "-m", "fabula"])
    found = shutil.which("fabula")
    if found is not None and Path(found).resolve() == Path(script).resolve():
        return "fabula"
    path = Path(script).parent.resolve() / Path(script).name
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return quote_command([str(path)])


def command(*words: str | Path) -> str:
    """A command of fabula as the user can paste it."""
    return f"{program()} {quote_command([str(word) for word in words])}"


def torchrun_command(words: Sequence[str]) -> str:
    """The command that starts two processes of fabula, as the user can paste it: of the command that was typed, or of
    these words if fabula was called from Python."""
    starter = ["torchrun"] if shutil.which("torchrun") else [sys.executable, "-m", "torch.distributed.run"]
    script = Path(sys.argv[0])
    typed = sys.argv[1:] if "fabula" in (script.stem, script.parent.name) else words
    return quote_command([*starter, "--nproc-per-node", "2", "-m", "fabula", *typed])


def as_typed(text: str) -> str:
    """The text with each `fabula COMMAND` in it as the user has to type it."""
    name = program()
    return COMMAND.sub(lambda _: name, text)


def missing_requirements(extra: str, packages: Collection[str] = ()) -> list[str]:
    """The requirements of an extra that are not installed, or too old, as pip takes them; of these packages, or of all
    that it names."""
    from packaging.requirements import Requirement

    missing = []
    for line in requires("fabula") or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or not marker.evaluate({"extra": extra}) or marker.evaluate({"extra": ""}):
            continue
        if packages and requirement.name not in packages:
            continue
        try:
            is_there = requirement.specifier.contains(version(requirement.name), prereleases=True)
        except PackageNotFoundError:
            is_there = False
        if not is_there:
            missing.append(f"{requirement.name}{requirement.specifier}")
    return missing


def install_command(requirements: Sequence[str]) -> str:
    """The command that installs these requirements into fabula's environment."""
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return quote_command(["uv", "pip", "install", "--python", sys.executable, *requirements])
    return quote_command([sys.executable, "-m", "pip", "install", *requirements])


def missing_extra(
    what: str, extra: str, *, packages: Collection[str] = (), where: str | Path | None = None
) -> FabulaError:
    """The error for something that needs the packages of an extra. It names the command that installs them.

    Args:
        what: what cannot be done, without a full stop ("the page needs a web server that is not installed").
        extra: "fast", "serve", "scale", ...: an extra of pyproject.toml.
        packages: those of the extra that are needed for it, if not all are.
    """
    missing = missing_requirements(extra, packages)
    if missing:
        hint = f"type: {install_command(missing)}"
    else:
        hint = f"the extra fabula[{extra}] does not import, or has no package for this system"
    return FabulaError(what, where=where, hint=hint)

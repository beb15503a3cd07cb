"""The direction of dependencies between modules, and what the command line imports."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "fabula"

LEVELS = [
    ["cli"],
    ["studio_server"],
    ["pipeline"],
    ["serving", "publishing"],
    ["report"],
    ["training", "evaluation", "exporting"],
    ["generation"],
    ["baseline"],
    ["models"],
    ["tokens"],
    ["corpus"],
    ["formatting"],
    ["baseline/pattern", "baseline/markers", "results"],
    ["generation/settings"],
    ["files"],
    ["config", "progress", "install", "stopping"],
    ["story", "errors", "defaults"],
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
TOP = {"__init__", "__main__"}  # the package's own module may import everything

MODULES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))
NAMES = {path.with_suffix("").as_posix(): path for path in MODULES}


def level_of(module: str) -> int:
    """The level of a module such as "corpus/read": its own if it has one, else its folder's."""
    return LEVEL[module] if module in LEVEL else LEVEL[module.split("/")[0]]


def imported_modules(path: Path) -> set[str]:
    """All modules and packages of fabula that a module imports, as "corpus/read", inside functions too."""
    found = set()
    for node in ast.walk(ast.parse((SOURCE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in names if "/".join(name.split(".")[1:]) in NAMES}
            found |= modules or {node.module or ""}
    return {"/".join(name.split(".")[1:]) for name in found if name.startswith("fabula.")}


def fabula_imports(path: Path) -> set[str]:
    """The modules that a module imports, by the first two parts of their names."""
    return {"/".join(name.split("/")[:2]) for name in imported_modules(path)}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_imports_only_from_levels_below(path: Path):
    own = path.parts[0].removesuffix(".py")
    if own in TOP:
        return
    assert own in LEVEL, f"{own} stands on no level: add it to LEVELS"
    module = "/".join(path.with_suffix("").parts[:2])
    for name in fabula_imports(path):
        if name.split("/")[0] != own:
            assert level_of(name) > level_of(module), f"{module} may not import {name}"


def test_no_modules_import_each_other_in_a_cycle():
    """Imports inside functions, and those for type checkers, count too."""
    below = {name: path for name, path in NAMES.items() if path.parts[0].removesuffix(".py") not in TOP}
    graph = {name: imported_modules(path) & below.keys() for name, path in below.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_nothing_is_called_utils():
    assert not [path for path in MODULES if path.stem in {"utils", "util", "helpers", "misc", "common"}]


HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "pyarrow",
    "numpy",
    "accelerate",
    "gradio",
    "pandas",
}


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import fabula.cli.app", set()),
        ("import fabula", set()),
        ("import fabula.corpus.clean, fabula.corpus.store", {"numpy", "pyarrow", "pandas", "datasets"}),
    ],
)
def test_light_imports_stay_light(code: str, allowed: set[str]):
    script = f"import sys; {code}; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not (HEAVY - allowed) & set(loaded.split())

"""Imports in ``deploy_core`` run one way, from the ground floor up (docs/architecture.md)."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CORE = PROJECT / "deploy_core"

# A module imports its own room and the floors before its own.
FLOORS = (
    {"types", "errors", "settings", "files", "documents", "logs", "memory", "ranges", "spreadsheets"},
    {"processes"},
    {"pictures", "embedded"},
    {"models"},
    {"formats"},
    {"inference"},
    {"build", "bundle", "evaluation"},
    {"storage"},
    {"profile", "training"},
    {"worker", "cli"},
)
# The same inside ``profile``, whose modules beside these rooms belong to the first.
PROFILE_FLOORS = ({"intervals", "words", "record"}, {"measure"}, {"verdict"}, {"device"})
GROUND = FLOORS[0]
# What the ground floor needs beside the standard library.
LIBRARIES = {"documents": {"cattrs"}}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(CORE.rglob("*.py"))}


def imported(path: Path, everything: bool = False) -> set[str]:
    """The modules of ``deploy_core`` that a module imports anywhere; ``everything`` adds those of other packages."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} | {
        f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in MODULES else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return names if everything else names & set(MODULES)


def floor_of(name: str, floors: tuple[set[str], ...], depth: int) -> int:
    room = name.split(".")[depth]
    (floor,) = (number for number, rooms in enumerate(floors) if room in rooms)
    return floor


def rises(name: str, other: str, floors: tuple[set[str], ...], depth: int) -> bool:
    """Whether ``name`` may import ``other``."""
    if name.split(".")[depth] == other.split(".")[depth]:
        return True
    above, below = floor_of(name, floors, depth), floor_of(other, floors, depth)
    return below < above or above == below == 0


ROOMS = [name for name in MODULES if name not in ("deploy_core", "deploy_core.__main__")]


@pytest.mark.parametrize("name", ROOMS)
def test_a_module_imports_only_the_floors_below(name: str) -> None:
    upward = [
        other
        for other in sorted(imported(MODULES[name]))
        if other == "deploy_core"
        or not rises(name, other, FLOORS, 1)
        or (
            min(name.count("."), other.count(".")) >= 2
            and name.startswith("deploy_core.profile.")
            and other.startswith("deploy_core.profile.")
            and not rises(name, other, PROFILE_FLOORS, 2)
        )
    ]
    assert upward == []


@pytest.mark.parametrize("name", sorted(GROUND))
def test_the_ground_floor_is_standard_library(name: str) -> None:
    outside = {
        other.split(".")[0]
        for other in imported(CORE / f"{name}.py", everything=True)
        if other.split(".")[0] not in sys.stdlib_module_names
    }
    assert outside - {"deploy_core"} == LIBRARIES.get(name, set())


def test_no_two_modules_import_each_other() -> None:
    graph = {name: imported(path) - {name} for name, path in MODULES.items()}
    TopologicalSorter(graph).prepare()


def test_nothing_imports_what_trains_the_embedded_model() -> None:
    outside = [path for path in MODULES.values() if not path.is_relative_to(CORE / "training")]
    outside += [*(PROJECT / "pages").rglob("*.py"), *(PROJECT / "web").rglob("*.py"), PROJECT / "streamlit_app.py"]
    assert [path for path in outside if any(name.startswith("deploy_core.training") for name in imported(path))] == []

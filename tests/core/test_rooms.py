"""Imports in ``deploy_core`` run one way, from the ground floor up (docs/architecture.md)."""

from __future__ import annotations

import sys
from graphlib import TopologicalSorter

from tests import sources

CORE = sources.PROJECT / "deploy_core"

# A module imports its own room and the floors before its own.
FLOORS = (
    {"types", "errors", "settings", "files", "documents", "logs", "memory", "ranges", "shares", "spreadsheets"},
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


MODULES = {sources.name_of(path): path for path in sources.CORE}


def imports(name: str) -> set[str]:
    """The modules of ``deploy_core`` that a module imports."""
    return {*sources.imported(MODULES[name])} & set(MODULES)


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


def upward(name: str) -> list[str]:
    """The modules that ``name`` imports and may not."""
    inside = name.startswith("deploy_core.profile.")
    return [
        other
        for other in sorted(imports(name))
        if other == "deploy_core"
        or not rises(name, other, FLOORS, 1)
        or (
            inside
            and other.startswith("deploy_core.profile.")
            and min(name.count("."), other.count(".")) >= 2
            and not rises(name, other, PROFILE_FLOORS, 2)
        )
    ]


def test_modules_import_only_the_floors_below() -> None:
    assert {name: found for name in ROOMS if (found := upward(name))} == {}


def test_the_ground_floor_is_standard_library() -> None:
    outside = {
        name: sources.packages(CORE / f"{name}.py", for_types=False) - sys.stdlib_module_names - {"deploy_core"}
        for name in GROUND
    }
    assert {name: found for name, found in outside.items() if found} == LIBRARIES


def test_no_two_modules_import_each_other() -> None:
    TopologicalSorter({name: imports(name) - {name} for name in MODULES}).prepare()


def test_nothing_imports_what_trains_the_embedded_model() -> None:
    outside = [path for path in (*sources.CORE, *sources.WEB) if not path.is_relative_to(CORE / "training")]
    assert [
        path for path in outside if any(name.startswith("deploy_core.training") for name in sources.imported(path))
    ] == []

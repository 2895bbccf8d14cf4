"""The project's own Python files, each parsed once."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

PROJECT = Path(__file__).parents[1]
CORE = tuple(sorted((PROJECT / "deploy_core").rglob("*.py")))
PAGES = tuple(sorted((PROJECT / "pages").rglob("*.py")))
WEB = (*PAGES, *sorted((PROJECT / "web").glob("*.py")), PROJECT / "streamlit_app.py")


def name_of(path: Path) -> str:
    """As in an import statement."""
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in (*CORE, *WEB)}


@functools.cache
def _tree(path: Path) -> ast.AST:
    return ast.parse(path.read_text())


@functools.cache
def imported(path: Path, for_types: bool = False) -> frozenset[str]:
    """The modules that a file imports anywhere; ``for_types`` adds the imports for the type checker alone."""
    found: set[str] = set()
    waiting = [_tree(path)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
        if (
            not for_types
            and isinstance(node, ast.If)
            and isinstance(node.test, ast.Name)
            and node.test.id == "TYPE_CHECKING"
        ):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
    return frozenset(found)


def packages(path: Path, for_types: bool = True) -> set[str]:
    """The first part of the name of each module that a file imports."""
    return {name.split(".")[0] for name in imported(path, for_types)}

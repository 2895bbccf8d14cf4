"""``python -m docs.generate`` writes docs/api.md, and the tables of formats and settings in README and hosting.md."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deploy_core
from deploy_core import settings

TABLES = {
    "FORMATS": "The table of formats, by key: `deploy_core.FORMATS[key]` says everything about one.",
    "MODELS": "The catalogue of models, by name: `deploy_core.MODELS[name]` is a `ModelSpec`.",
}
DOCS = Path(__file__).parent
README, HOSTING, API = DOCS.parent / "README.md", DOCS / "hosting.md", DOCS / "api.md"
HEAD = """# Python API

`import deploy_core` gives these names. Arrays are in the order that a model takes, float32 (N, 3, S, S) with S pixels a
side. Everything that can go wrong with what you give is a `DeployError` with a `problem` and a `remedy`, one sentence
each. This page is generated: `python -m docs.generate`.
"""


def page() -> str:
    return HEAD + "".join(f"\n## {name}\n\n{_about(name, getattr(deploy_core, name))}\n" for name in deploy_core.PUBLIC)


def _about(name: str, value: Any) -> str:
    if not callable(value):
        return f"{TABLES[name]}\n\n" + ", ".join(f"`{key}`" for key in value)
    parts = [inspect.getdoc(value) or ""]
    if inspect.isfunction(value):
        parts.insert(0, f"```python\n{_signature(name, value)}\n```")
    if dataclasses.is_dataclass(value):
        parts += ["\n".join(f"- `{field.name}: {_type(str(field.type))}`" for field in dataclasses.fields(value))]
    if inspect.isclass(value):
        methods = [
            f"- `.{_signature(method, function)}`: {(inspect.getdoc(function) or '').splitlines()[0]}"
            for method, function in vars(value).items()
            if inspect.isfunction(function) and not method.startswith("_")
        ]
        parts += ["\n".join(methods)]
    return "\n\n".join(filter(None, parts))


def _signature(name: str, function: Callable[..., Any]) -> str:
    """The signature as the source has it, with the defaults by their names."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(node, ast.FunctionDef)
    arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("self")
    return f"{name}({arguments}) -> {ast.unparse(node.returns) if node.returns else None}"


def _type(annotation: str) -> str:
    """A field's type without what ``Annotated`` adds: what a setting is, or the range of a number."""
    node = ast.parse(annotation, mode="eval").body
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
        node = node.slice.elts[0]
    return ast.unparse(node)


def formats_table() -> str:
    """The table of formats in Markdown."""
    head = "| format | file | what it is |\n| --- | --- | --- |\n"
    rows = deploy_core.FORMATS.values()
    return head + "\n".join(f"| `{row.key}` | `{row.filename('<model>')}` | {row.summary} |" for row in rows)


def with_table(text: str, table: str) -> str:
    """A document with the table that has the same head replaced."""
    head = table.split("\n", 1)[0]
    before, after = text.split(head, 1)
    _, end, rest = after.partition("\n\n")
    return before + table + (end + rest if end else "\n")


def documents() -> dict[Path, str]:
    """What the generated documents should hold."""
    readme = with_table(with_table(README.read_text(), formats_table()), settings.table())
    return {API: page(), README: readme, HOSTING: with_table(HOSTING.read_text(), settings.table())}


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)

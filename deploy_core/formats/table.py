"""FORMATS: one explicit, ordered table, a row per artifact.

Pages, command line, README and tests read this table; nowhere else does code branch on a format's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.formats import eager, executorch, onnx, torchscript
from deploy_core.formats.format import Format, Workbench
from deploy_core.formats.operators import Run

__all__ = ["FORMATS", "ORIGINAL", "Format", "Run", "Workbench", "by_filename", "in_build_order"]

FORMATS: dict[str, Format] = {
    row.key: row for row in (*eager.FORMATS, *torchscript.FORMATS, *executorch.FORMATS, *onnx.FORMATS)
}
ORIGINAL = FORMATS["original"]


def in_build_order(keys: Iterable[str]) -> tuple[Format, ...]:
    """The rows of ``keys``, what they need, and the original, in the table's order.

    Raises InvalidRequest for a key that the table does not hold.
    """
    wanted = {ORIGINAL.key}
    for key in keys:
        if key not in FORMATS:
            raise InvalidRequest(f"There is no format '{key}'.", f"Choose from: all, {', '.join(FORMATS)}.")
        needed: str | None = key
        while needed is not None:
            wanted.add(needed)
            needed = FORMATS[needed].needs
    return tuple(row for row in FORMATS.values() if row.key in wanted)


def by_filename(path: Path) -> Format:
    """The format that a file's name tells: by its whole suffix, else by its extension. Raises InvalidArtifact."""
    longest_first = sorted(FORMATS.values(), key=lambda row: len(row.suffix), reverse=True)
    for row in longest_first:
        if path.name.endswith(row.suffix):
            return row
    for row in FORMATS.values():
        if path.suffix == row.extension:
            return row
    endings = ", ".join(sorted({row.extension for row in FORMATS.values()}))
    raise InvalidArtifact(f"{path.name} is no artifact this project knows.", f"Give a file ending in {endings}.")

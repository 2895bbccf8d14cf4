"""FORMATS: the ordered table of all formats, one row for each kind of file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.formats import coreml, eager, executorch, litert, onnx, openvino, torchscript
from deploy_core.formats.format import ORIGINAL_KEY, Format

FORMATS: dict[str, Format] = {
    row.key: row for room in (eager, torchscript, executorch, onnx, openvino, litert, coreml) for row in room.ROWS
}
ORIGINAL = FORMATS[ORIGINAL_KEY]


def in_build_order(keys: Iterable[str]) -> tuple[Format, ...]:
    """The rows of ``keys``, of the formats they need, and of the original, in the table's order.

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
    """The format of a file by its name: the row with the longest matching suffix, else the first with its extension.

    Raises InvalidArtifact.
    """
    longest_first = sorted(FORMATS.values(), key=lambda row: len(row.suffix), reverse=True)
    for row in longest_first:
        if path.name.endswith(row.suffix):
            return row
    for row in FORMATS.values():
        if path.suffix == row.extension:
            return row
    endings = ", ".join(sorted({row.extension for row in FORMATS.values()}))
    raise InvalidArtifact(f"{path.name} is no artifact this project knows.", f"Give a file ending in {endings}.")

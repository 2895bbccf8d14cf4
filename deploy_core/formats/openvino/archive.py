"""OpenVINO's IR is two files, a graph and its weights. They ship as one zip, without compression or dates."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from deploy_core.files import undated_entry

GRAPH, WEIGHTS = "model.xml", "model.bin"


def pack(graph: Path, path: Path) -> None:
    """Writes the zip of a graph and of the weights beside it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        for file in (graph, graph.with_suffix(".bin")):
            entry = undated_entry(file.name)
            entry.file_size = file.stat().st_size
            with file.open("rb") as source, packed.open(entry, "w") as target:
                shutil.copyfileobj(source, target)


def unpacked(path: Path) -> tuple[bytes, bytes]:
    """The graph and the weights in a zip. Raises what ``zipfile`` raises, and KeyError."""
    with zipfile.ZipFile(path) as packed:
        return packed.read(GRAPH), packed.read(WEIGHTS)

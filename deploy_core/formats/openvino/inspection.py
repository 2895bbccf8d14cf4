"""OpenVINO files against the runtime that reads them."""

from __future__ import annotations

import re
from pathlib import Path

from deploy_core.formats.findings import coverage, reading, version_read
from deploy_core.formats.openvino import archive
from deploy_core.formats.openvino.running import DEVICE, FILE
from deploy_core.types import Finding

OPENVINO = "OpenVINO 2026.4"
IR_VERSIONS = range(10, 12)


def inspect(path: Path) -> tuple[Finding, ...]:
    """Checks a zip with an OpenVINO graph. Raises InvalidArtifact."""
    import openvino

    with reading(path, FILE):
        graph, weights = archive.unpacked(path)
        found = re.search(rb'<net [^>]*version="(\d+)"', graph)
        version = int(found[1]) if found else 0
        core = openvino.Core()
        model = core.read_model(graph, weights)
        supported = core.query_model(model, DEVICE)
        kinds = {one.get_friendly_name(): one.get_type_name() for one in model.get_ops()}
    missing = {kind for name, kind in kinds.items() if name not in supported}
    used = set(kinds.values())
    return (
        version_read("IR version", version, IR_VERSIONS, OPENVINO),
        coverage(f"{OPENVINO} on a processor", "operator types", used, used - missing),
    )

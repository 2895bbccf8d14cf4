"""Core ML packages against the oldest system that they are made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy_core.formats.coreml import package, reading
from deploy_core.formats.coreml.conversion import TARGET
from deploy_core.formats.coreml.package import Package
from deploy_core.formats.coreml.tools import coremltools
from deploy_core.formats.findings import coverage, version_read
from deploy_core.formats.findings import reading as reading_of
from deploy_core.types import Finding

IOS, MACOS = "16", "13"
SYSTEM = f"Core ML of iOS {IOS} and macOS {MACOS}"
# Model.proto says which system brought which specification version: 7 came with iOS 16.
SPECIFICATIONS = range(1, 8)


def inspect(path: Path) -> tuple[Finding, ...]:
    """Checks a zipped ``.mlpackage``. Raises InvalidArtifact."""
    with reading_of(path, "Core ML package"):
        made = package.read(path)
    return inspect_package(made, path.name)


def inspect_package(made: Package, name: str) -> tuple[Finding, ...]:
    """As ``inspect``; ``name`` is the file's, for people."""
    function = reading.program(made, name)
    with coremltools() as ct:
        specification = ct.proto.Model_pb2.Model.FromString(made.model).specificationVersion
        known = _operators(ct.target[TARGET])
    used = {one.op_type for one in function.operations}
    return (
        version_read("Specification version", specification, SPECIFICATIONS, SYSTEM),
        coverage(SYSTEM, "operators", used, known),
    )


def _operators(target: Any) -> set[str]:
    """The operators of the set that a system brought, or that an older one had."""
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    return {name for name, versions in SSAOpRegistry.core_ops.items() if min(versions, key=_age).value <= target.value}


def _age(target: Any) -> int:
    number: int = target.value
    return number

"""ExecuTorch with Core ML's delegate: the whole program becomes a Core ML package inside the ``.pte`` file."""

from __future__ import annotations

import dataclasses
import mmap
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.formats.coreml import conversion, package, reading
from deploy_core.formats.coreml import inspection as of_coreml
from deploy_core.formats.coreml.package import Package
from deploy_core.formats.coreml.tools import coremltools
from deploy_core.formats.executorch import inspection
from deploy_core.formats.executorch.conversion import delegation, name_flatc
from deploy_core.formats.exporting import program
from deploy_core.formats.findings import reading as reading_of
from deploy_core.formats.format import Reading, Workbench
from deploy_core.types import Finding

if TYPE_CHECKING:
    import torch

KEY = "executorch_coreml"
DELEGATE = "CoreMLBackend"
# Where the delegate puts the package among its notes.
PACKAGE = Path("lowered_module", f"model{package.SUFFIX}")
NOT_RUN = "ExecuTorch did not run either: the package was taken out of its program."


def convert(bench: Workbench) -> Any:
    with coremltools() as ct:
        from executorch.backends.apple.coreml.compiler import CoreMLBackend
        from executorch.backends.apple.coreml.partition import CoreMLPartitioner
        from executorch.exir import to_edge_transform_and_lower

        name_flatc()
        wanted = CoreMLBackend.generate_compile_specs(minimum_deployment_target=ct.target[conversion.TARGET])
        edge = to_edge_transform_and_lower(program(bench), partitioner=[CoreMLPartitioner(compile_specs=wanted)])
        bench.delegations[KEY] = delegation(edge.exported_program().graph_module)
        return edge.to_executorch()


def inspect(path: Path) -> tuple[Finding, ...]:
    """Checks a ``.pte`` file and the package in it. Raises InvalidArtifact."""
    findings = inspection.inspect(path, delegates=(DELEGATE,))
    return (*findings, *of_coreml.inspect_package(_package(path), path.name))


def read_back(path: Path, module: torch.nn.Module) -> Reading:
    """As ``coreml.reading.read_back``, for the package in a ``.pte`` file. Raises InvalidArtifact."""
    found = reading.read_package(_package(path), path.name, module)
    return dataclasses.replace(found, not_run=f"{found.not_run} {NOT_RUN}")


def _package(path: Path) -> Package:
    """The package that a program hands to Core ML."""
    with (
        reading_of(path, "ExecuTorch program for Core ML"),
        tempfile.TemporaryDirectory() as place,
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        from executorch.backends.apple.coreml import executorchcoreml

        (handed,) = inspection.delegated(data)
        executorchcoreml.unflatten_directory_contents(handed, place)
        return package.of_folder(Path(place) / PACKAGE)

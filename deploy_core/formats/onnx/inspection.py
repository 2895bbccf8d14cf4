"""ONNX files against onnxruntime's packages for Android, iOS and browsers.

``onnxruntime-web_1.30.0.txt`` lists the operators that WebGPU runs; ``benchmarks/lite_runtime.py`` makes that list.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core.formats.findings import coverage, listed, reading, version_read
from deploy_core.types import Finding

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

ONNXRUNTIME = "onnxruntime 1.24.2"
IR_VERSIONS = range(1, 14)
OPSETS = range(7, 26)
ONNXRUNTIME_DOMAINS = ("com.microsoft",)
WEBGPU = "WebGPU in onnxruntime-web 1.30.0"
WEBGPU_OPERATORS = Path(__file__).with_name("onnxruntime-web_1.30.0.txt")


@dataclass(frozen=True)
class Kernels:
    """The versions of one operator that a backend runs."""

    domain: str
    versions: Collection[int]


def inspect(path: Path) -> tuple[Finding, ...]:
    """Checks an ``.onnx`` file. Raises InvalidArtifact."""
    import onnx

    with reading(path, "ONNX file"):
        model = onnx.load_model(path, load_external_data=False)
        opsets = {entry.domain: entry.version for entry in model.opset_import}
        used = _operators(model)
        opset = opsets[""]
    return (
        version_read("IR version", model.ir_version, IR_VERSIONS, ONNXRUNTIME),
        version_read("Opset", opset, OPSETS, ONNXRUNTIME),
        coverage(ONNXRUNTIME, "operator types", used, {one for one in used if _is_standard(one, opsets)}),
        coverage(
            WEBGPU,
            "operator types",
            used,
            {one for one in used if has_webgpu_kernel(one, opsets, webgpu_kernels())},
            remedy="; the CPU runs these",
        ),
    )


def has_webgpu_kernel(name: str, opsets: Mapping[str, int], kernels: Mapping[str, tuple[Kernels, ...]]) -> bool:
    """Whether WebGPU runs an operator in the version that the file's opset selects."""
    from onnx import defs

    domain, _, kind = name.rpartition(".")
    version = opsets.get(domain, 1)
    if defs.has(kind, version, domain):
        version = defs.get_schema(kind, version, domain).since_version
    return any(version in one.versions for one in kernels.get(kind, ()) if one.domain == domain)


def kernels_of(text: str) -> tuple[Kernels, ...]:
    """Reads ``ai.onnx(7-12,13,14+); com.microsoft(1+)``.

    onnxruntime reads an open end such as ``14+`` as version 14 alone, because a later version may do something else.
    """
    return tuple(
        Kernels("" if domain == "ai.onnx" else domain, {one for span in spans.split(",") for one in _span(span)})
        for domain, spans in re.findall(r"([\w.]+)\(([^)]+)\)", text)
    )


@functools.cache
def webgpu_kernels() -> Mapping[str, tuple[Kernels, ...]]:
    """The kernels of WebGPU, by the name of the operator."""
    return {name: kernels_of(text) for name, text in (line.split(maxsplit=1) for line in listed(WEBGPU_OPERATORS))}


def _span(text: str) -> range:
    first, _, last = text.strip(" +").partition("-")
    return range(int(first), int(last or first) + 1)


def _operators(model: ModelProto) -> set[str]:
    """The operators of a model and of its functions: ``domain.Name``, or ``Name`` in ONNX's default domain."""
    own = {(function.domain, function.name) for function in model.functions}
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    nodes = (node for body in bodies for node in _with_subgraphs(body))
    return {
        f"{node.domain}.{node.op_type}".removeprefix("ai.onnx.").lstrip(".")
        for node in nodes
        if (node.domain, node.op_type) not in own
    }


def _with_subgraphs(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            graphs: list[GraphProto] = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
            for graph in graphs:
                yield from _with_subgraphs(graph.node)


def _is_standard(name: str, opsets: Mapping[str, int]) -> bool:
    from onnx import defs

    domain, _, kind = name.rpartition(".")
    return domain in ONNXRUNTIME_DOMAINS or defs.has(kind, opsets.get(domain, 1), domain)

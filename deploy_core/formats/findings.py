"""Will it run there: what a file needs, against what the runtimes on phones and in browsers have.

A finding that does not hold names a limit: a runtime that does not take the file, or does not run all of it well.
The lists in ``operator_lists/`` are those runtimes' own; ``benchmarks/lite_runtime.py`` makes them, and runs the files
in the oldest one (docs/decisions/0006-phone-runtimes.md).
"""

from __future__ import annotations

import functools
import mmap
import re
import struct
import warnings
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core.errors import InvalidArtifact
from deploy_core.types import Finding

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

TORCH = "PyTorch 2.1.0"
TORCH_OPERATORS = "torch_2.1.0.txt"
ARCHIVES = range(1, 11)
BYTECODES = range(4, 10)
PACKED_FOR_XNNPACK = "prepacked::"
MOST_COPIES = 0.05
FEW = 3

EXECUTORCH = "ExecuTorch 1.3.1"
EXECUTORCH_OPERATORS = "executorch_1.3.1.txt"
PREBUILT_DELEGATES = ("XnnpackBackend",)

ONNXRUNTIME = "onnxruntime 1.24.2"
IR_VERSIONS = range(1, 14)
OPSETS = range(7, 26)
ONNXRUNTIME_DOMAINS = ("com.microsoft",)
WEBGPU = "WebGPU in onnxruntime-web 1.30.0"
WEBGPU_OPERATORS = "onnxruntime-web_1.30.0.txt"


def inspect_lite(path: Path) -> tuple[Finding, ...]:
    """A ``.ptl`` against the lite interpreter of PyTorch 2.1.0. Raises InvalidArtifact."""
    from torch.jit.mobile import _get_model_bytecode_version, _get_model_ops_and_info

    with _reading(path, "lite interpreter file"):
        bytecode: int = _get_model_bytecode_version(str(path))
        arguments = {name: info.num_schema_args for name, info in _get_model_ops_and_info(str(path)).items()}
        copies = _share_of_copies(path)
    return (
        version_read("Bytecode version", bytecode, BYTECODES, f"the lite interpreter of {TORCH}"),
        torch_operators(arguments),
        not_packed(arguments),
        stored_once(copies),
    )


def inspect_torchscript(path: Path) -> tuple[Finding, ...]:
    """A ``.pt`` against PyTorch 2.1.0. The file does not tell under which quantized engine it was built.

    Raises InvalidArtifact.
    """
    import torch

    with _reading(path, "TorchScript file"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        archive = _archive_version(path)
        names: list[str] = torch.jit.export_opnames(torch.jit.load(str(path), map_location="cpu"))
    return (
        version_read("Archive version", archive, ARCHIVES, TORCH),
        torch_operators(dict.fromkeys(names, 0)),
        not_packed(names),
    )


def inspect_executorch(path: Path) -> tuple[Finding, ...]:
    """A ``.pte`` against the prebuilt ExecuTorch libraries for Android and iOS. Raises InvalidArtifact."""
    with _reading(path, "ExecuTorch program"):
        operators, delegates = _executorch_program(path)
    return (
        coverage(f"The prebuilt {EXECUTORCH}", "operators outside its delegates", operators, known_to_executorch()),
        coverage(f"The prebuilt {EXECUTORCH}", "delegates", delegates, PREBUILT_DELEGATES),
    )


def inspect_onnx(path: Path) -> tuple[Finding, ...]:
    """An ``.onnx`` against onnxruntime's packages for Android, iOS and browsers. Raises InvalidArtifact."""
    import onnx

    with _reading(path, "ONNX file"):
        model = onnx.load_model(path, load_external_data=False)
        opsets = {entry.domain: entry.version for entry in model.opset_import}
        used = _onnx_operators(model)
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


def version_read(what: str, found: int, readable: range, reader: str) -> Finding:
    """Whether a file's version is one of those that a runtime reads."""
    holds = found in readable
    verdict = "read" if holds else "not read"
    return Finding(holds, f"{what} {found}: {verdict} by {reader} ({readable.start} to {readable.stop - 1}).")


def coverage(reader: str, what: str, used: Collection[str], known: Collection[str], remedy: str = "") -> Finding:
    """Whether a runtime has everything of one kind (``what``, in the plural) that a file uses; else, what it lacks."""
    if not used:
        return Finding(True, f"The file uses no {what}.")
    missing = sorted(set(used) - set(known))
    if missing:
        names = ", ".join(missing)
        return Finding(
            False, f"{reader} lacks {len(missing)} of the {len(used)} {what} that the file uses: {names}{remedy}."
        )
    shown = ", ".join(sorted(used)) if len(used) <= FEW else len(used)
    return Finding(True, f"{reader} has all {what} that the file uses ({shown}).")


def torch_operators(arguments: Mapping[str, int]) -> Finding:
    """Whether PyTorch 2.1.0 has the operators, each with as many arguments as the file gives it."""
    known = known_to_torch()
    used = [
        name if count <= known.get(name, count) else f"{name} with {count} arguments"
        for name, count in arguments.items()
    ]
    return coverage(TORCH, "operators", used, known)


def not_packed(names: Iterable[str]) -> Finding:
    """Whether the file also loads where torch was built without XNNPACK."""
    packed = ", ".join(sorted(name for name in names if name.startswith(PACKED_FOR_XNNPACK)))
    if packed:
        return Finding(False, f"{packed} needs XNNPACK: PyTorch 2.13 and others built without it do not load the file.")
    return Finding(True, "No operator needs XNNPACK: runtimes built without it load the file, too.")


def stored_once(copies: float) -> Finding:
    """Whether the weights are in the file once; ``copies`` is the share of it that repeats earlier bytes."""
    if copies < MOST_COPIES:
        return Finding(True, "The weights are in the file once.")
    return Finding(False, f"A second copy of the weights takes {copies:.0%} of the file: build under qnnpack, not x86.")


def has_webgpu_kernel(name: str, opsets: Mapping[str, int], kernels: Mapping[str, tuple[Kernels, ...]]) -> bool:
    """Whether WebGPU runs an operator in the version that the file's opset means."""
    from onnx import defs

    domain, _, kind = name.rpartition(".")
    version = opsets.get(domain, 1)
    if defs.has(kind, version, domain):
        version = defs.get_schema(kind, version, domain).since_version
    return any(version in one.versions for one in kernels.get(kind, ()) if one.domain == domain)


@dataclass(frozen=True)
class Kernels:
    """The versions of one operator that a backend runs."""

    domain: str
    versions: Collection[int]


def kernels_of(text: str) -> tuple[Kernels, ...]:
    """Reads ``ai.onnx(7-12,13,14+); com.microsoft(1+)``.

    onnxruntime takes an open end as the one version it starts with: a later one may do something else.
    """
    return tuple(
        Kernels("" if domain == "ai.onnx" else domain, {one for span in spans.split(",") for one in _span(span)})
        for domain, spans in re.findall(r"([\w.]+)\(([^)]+)\)", text)
    )


@functools.cache
def known_to_torch() -> Mapping[str, int]:
    """The operators of PyTorch 2.1.0 for phones, and the most arguments that each takes."""
    return {name: int(count) for name, count in (line.split() for line in _lines(TORCH_OPERATORS))}


@functools.cache
def known_to_executorch() -> Collection[str]:
    return frozenset(_lines(EXECUTORCH_OPERATORS))


@functools.cache
def webgpu_kernels() -> Mapping[str, tuple[Kernels, ...]]:
    return {name: kernels_of(text) for name, text in (line.split(maxsplit=1) for line in _lines(WEBGPU_OPERATORS))}


def _lines(name: str) -> list[str]:
    text = (Path(__file__).parent / "operator_lists" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


def _span(text: str) -> range:
    first, _, last = text.strip(" +").partition("-")
    return range(int(first), int(last or first) + 1)


@contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # The parsers of these formats raise a dozen kinds of exception on damaged files.
        raise InvalidArtifact(f"{path.name} is damaged or no {what}.", "Build it again.") from error


def _archive_version(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if re.fullmatch(r"[^/]+/(\.data/)?version", name))
        return int(archive.read(name))


def _share_of_copies(path: Path) -> float:
    """The share of an archive's bytes that repeat an earlier entry."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.CRC, entry.file_size) for entry in archive.infolist()]
    total = sum(size for _, size in entries)
    return 1 - sum(size for _, size in set(entries)) / total


def _onnx_operators(model: ModelProto) -> set[str]:
    """The operators of a model and of its own functions: ``domain.Name``, or ``Name`` where it is ONNX's own."""
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


def _executorch_program(path: Path) -> tuple[set[str], set[str]]:
    """The operators that a program calls outside its delegates, and the delegates.

    Read from the file's FlatBuffer, by the field numbers of ExecuTorch's program.fbs: its own reader wants ``flatc``,
    six seconds of imports, and the weights in memory twice.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[4:8] != b"ET12":
            raise ValueError("no ExecuTorch program")
        if data[8:12] == b"eh00":
            _, segments, size = struct.unpack_from("<QQQ", data, 16)
            if segments + size > len(data):
                raise ValueError("cut short")
        plans = _Table.root(data).tables(1)
        operators = {
            f"{operator.text(0)}.{operator.text(1)}".rstrip(".") for plan in plans for operator in plan.tables(6)
        }
        return operators, {delegate.text(0) for plan in plans for delegate in plan.tables(7)}


@dataclass(frozen=True)
class _Table:
    """A table of a FlatBuffer: fields by number, each at an offset that the table's vtable tells."""

    data: mmap.mmap
    start: int

    @classmethod
    def root(cls, data: mmap.mmap) -> _Table:
        return cls(data, _follow(data, 0))

    def tables(self, field: int) -> list[_Table]:
        at = self._field(field)
        if at is None:
            return []
        vector = _follow(self.data, at)
        (length,) = struct.unpack_from("<I", self.data, vector)
        return [_Table(self.data, _follow(self.data, vector + 4 + 4 * index)) for index in range(length)]

    def text(self, field: int) -> str:
        at = self._field(field)
        if at is None:
            return ""
        start = _follow(self.data, at)
        (length,) = struct.unpack_from("<I", self.data, start)
        return self.data[start + 4 : start + 4 + length].decode()

    def _field(self, field: int) -> int | None:
        (distance,) = struct.unpack_from("<i", self.data, self.start)
        vtable = self.start - distance
        (size,) = struct.unpack_from("<H", self.data, vtable)
        slot = 4 + 2 * field
        if slot >= size:
            return None
        (offset,) = struct.unpack_from("<H", self.data, vtable + slot)
        return self.start + offset if offset else None


def _follow(data: mmap.mmap, at: int) -> int:
    (distance,) = struct.unpack_from("<I", data, at)
    return at + int(distance)

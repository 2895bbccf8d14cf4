"""TorchScript files against PyTorch 2.1.0, the last runtime that was published for phones.

``torch_2.1.0.txt`` lists its operators; ``benchmarks/lite_runtime.py`` makes that list, and runs the files there
(docs/decisions/0006-phone-runtimes.md).
"""

from __future__ import annotations

import functools
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy_core.formats.findings import coverage, listed, reading, version_read
from deploy_core.formats.torchscript.running import deprecations_ignored
from deploy_core.types import Finding

TORCH = "PyTorch 2.1.0"
OPERATORS = Path(__file__).with_name("torch_2.1.0.txt")
ARCHIVES = range(1, 11)
BYTECODES = range(4, 10)
PACKED_FOR_XNNPACK = "prepacked::"
# A share of repeated bytes above this one means that the weights are in the file twice.
MOST_COPIES = 0.05


def inspect_script(path: Path) -> tuple[Finding, ...]:
    """Checks a ``.pt`` file. It does not record the quantized engine that it was built for. Raises InvalidArtifact."""
    import torch

    with reading(path, "TorchScript file"), deprecations_ignored():
        archive = _archive_version(path)
        names: list[str] = torch.jit.export_opnames(torch.jit.load(str(path), map_location="cpu"))
    return (
        version_read("Archive version", archive, ARCHIVES, TORCH),
        _operators(dict.fromkeys(names, 0)),
        _not_packed(names),
    )


def inspect_lite(path: Path) -> tuple[Finding, ...]:
    """Checks a ``.ptl`` file. Raises InvalidArtifact."""
    from torch.jit.mobile import _get_model_bytecode_version, _get_model_ops_and_info

    with reading(path, "lite interpreter file"):
        bytecode: int = _get_model_bytecode_version(str(path))
        arguments = {name: info.num_schema_args for name, info in _get_model_ops_and_info(str(path)).items()}
        copies = _share_of_copies(path)
    return (
        version_read("Bytecode version", bytecode, BYTECODES, f"the lite interpreter of {TORCH}"),
        _operators(arguments),
        _not_packed(arguments),
        _stored_once(copies),
    )


@functools.cache
def known_operators() -> Mapping[str, int]:
    """The operators of PyTorch 2.1.0 for phones, each with the most arguments that it takes."""
    return {name: int(count) for name, count in (line.split() for line in listed(OPERATORS))}


def _operators(arguments: Mapping[str, int]) -> Finding:
    """Whether PyTorch 2.1.0 has the file's operators, with as many arguments as the file passes."""
    known = known_operators()
    used = [
        name if count <= known.get(name, count) else f"{name} with {count} arguments"
        for name, count in arguments.items()
    ]
    return coverage(TORCH, "operators", used, known)


def _not_packed(names: Iterable[str]) -> Finding:
    """Whether the file also loads in a torch that was built without XNNPACK."""
    packed = ", ".join(sorted(name for name in names if name.startswith(PACKED_FOR_XNNPACK)))
    if packed:
        return Finding(False, f"{packed} needs XNNPACK: PyTorch 2.13 and others built without it do not load the file.")
    return Finding(True, "No operator needs XNNPACK: runtimes built without it load the file, too.")


def _stored_once(copies: float) -> Finding:
    """Whether the weights are in the file once; ``copies`` is the share of it that repeats earlier bytes."""
    if copies < MOST_COPIES:
        return Finding(True, "The weights are in the file once.")
    return Finding(False, f"A second copy of the weights takes {copies:.0%} of the file: build under qnnpack, not x86.")


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

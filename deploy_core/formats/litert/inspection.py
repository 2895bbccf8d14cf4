"""LiteRT files against LiteRT on devices: the operators of the file in their versions.

``ai-edge-litert_2.3.0.txt`` lists the versions that the runtime registers; ``benchmarks/lite_runtime.py`` makes it.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from deploy_core.formats.findings import coverage, listed, reading
from deploy_core.types import Finding

LITERT = "LiteRT 2.3.0"
OPERATORS = Path(__file__).with_name("ai-edge-litert_2.3.0.txt")
IDENTIFIER = b"TFL3"
# The converter notes here the oldest runtime that has all operators in their versions, by TensorFlow Lite's numbers.
OLDEST_RUNTIME = b"min_runtime_version"
# A hostile file may state any number. Real files stay far below these.
MOST_ENTRIES, LONGEST_TEXT = 10_000, 100


def inspect(path: Path) -> tuple[Finding, ...]:
    """Checks a ``.tflite`` file. Raises InvalidArtifact."""
    from ai_edge_litert import schema_py_generated as schema

    with reading(path, "LiteRT file"):
        data = path.read_bytes()
        if data[4:8] != IDENTIFIER:
            raise ValueError("no LiteRT file")
        model = schema.Model.GetRootAsModel(data, 0)
        used = set(_operators(model))
        oldest = _oldest_runtime(model)
    findings = (coverage(LITERT, "operators in their versions", used, known_operators()),)
    if not oldest:
        return findings
    text = f"The oldest runtime that has them all is TensorFlow Lite {oldest}; every LiteRT is newer."
    return (*findings, Finding(True, text))


@functools.cache
def known_operators() -> Collection[str]:
    """Such as ``GELU 2``: an operator, and a version of it that the runtime has."""
    pairs = (line.split() for line in listed(OPERATORS))
    return frozenset(f"{name} {version}" for name, *versions in pairs for version in versions)


@functools.cache
def names() -> dict[int, str]:
    """The builtin operators of LiteRT by their codes."""
    from ai_edge_litert import schema_py_generated as schema

    return {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


def _operators(model: Any) -> Iterator[str]:
    for index in range(_bounded(model.OperatorCodesLength())):
        code = model.OperatorCodes(index)
        if custom := code.CustomCode():
            yield custom[:LONGEST_TEXT].decode()
        else:
            # Codes above 127 did not fit into the first field for them.
            yield f"{names()[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]} {code.Version()}"


def _oldest_runtime(model: Any) -> str:
    for index in range(_bounded(model.MetadataLength())):
        entry = model.Metadata(index)
        if entry.Name() == OLDEST_RUNTIME:
            text = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()[:LONGEST_TEXT]
            return text.rstrip(b"\0").decode("ascii")  # type: ignore[no-any-return]
    return ""


def _bounded(entries: int) -> int:
    if entries > MOST_ENTRIES:
        raise ValueError(f"{entries} entries")
    return entries

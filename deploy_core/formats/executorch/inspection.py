"""ExecuTorch programs against the prebuilt ExecuTorch libraries for Android and iOS.

``executorch_1.3.1.txt`` lists their operators; ``benchmarks/lite_runtime.py`` makes that list.
"""

from __future__ import annotations

import functools
import mmap
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core.formats.findings import coverage, listed, reading
from deploy_core.types import Finding

if TYPE_CHECKING:
    from flatbuffers.table import Table

EXECUTORCH = "ExecuTorch 1.3.1"
OPERATORS = Path(__file__).with_name("executorch_1.3.1.txt")
PREBUILT_DELEGATES = ("XnnpackBackend",)

IDENTIFIER = b"ET12"
EXTENDED_HEADER = b"eh00"
# Field numbers of ExecuTorch's program.fbs. A program has one plan for each of its methods.
PLANS, SEGMENTS = 1, 4
PLAN_OPERATORS, PLAN_DELEGATES = 6, 7
OPERATOR_NAME, OPERATOR_OVERLOAD = 0, 1
DELEGATE_ID, DELEGATE_PROCESSED = 0, 1
PROCESSED_LOCATION, PROCESSED_INDEX = 0, 1
IN_SEGMENT = 1
SEGMENT_OFFSET, SEGMENT_SIZE = 0, 1
# A hostile file may state any number and let all entries point to one place. Real programs stay far below these.
MOST_PLANS, MOST_ENTRIES, LONGEST_TEXT = 16, 5_000, 1_000


def inspect(path: Path, delegates: Collection[str] = PREBUILT_DELEGATES) -> tuple[Finding, ...]:
    """Checks a ``.pte`` file; ``delegates`` are those of the prebuilt libraries. Raises InvalidArtifact."""
    with reading(path, "ExecuTorch program"):
        operators, used = _operators_and_delegates(path)
    return (
        coverage(f"The prebuilt {EXECUTORCH}", "operators outside its delegates", operators, known_operators()),
        coverage(f"The prebuilt {EXECUTORCH}", "delegates", used, delegates),
    )


@functools.cache
def known_operators() -> Collection[str]:
    return frozenset(listed(OPERATORS))


def _operators_and_delegates(path: Path) -> tuple[set[str], set[str]]:
    """The operators that a program calls outside its delegates, and the delegates.

    Read from the file's FlatBuffer, because ExecuTorch's own reader needs ``flatc``, six seconds of imports, and the
    weights in memory twice.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        plans = list(_tables(_program(data), PLANS, MOST_PLANS))
        operators = {
            f"{_text(operator, OPERATOR_NAME)}.{_text(operator, OPERATOR_OVERLOAD)}".rstrip(".")
            for plan in plans
            for operator in _tables(plan, PLAN_OPERATORS, MOST_ENTRIES)
        }
        delegates = {
            _text(delegate, DELEGATE_ID) for plan in plans for delegate in _tables(plan, PLAN_DELEGATES, MOST_ENTRIES)
        }
    return operators, delegates


def delegated(data: mmap.mmap) -> list[bytes]:
    """What a program hands to its delegates, one entry for each. Raises ValueError where the file is cut short."""
    program = _program(data)
    _, base, _ = struct.unpack_from("<QQQ", data, 16)
    segments = list(_tables(program, SEGMENTS, MOST_ENTRIES))
    found = []
    for plan in _tables(program, PLANS, MOST_PLANS):
        for delegate in _tables(plan, PLAN_DELEGATES, MOST_ENTRIES):
            place = _table(delegate, DELEGATE_PROCESSED)
            if _number(place, PROCESSED_LOCATION, "<b") != IN_SEGMENT:
                raise ValueError("no segment")
            segment = segments[_number(place, PROCESSED_INDEX, "<I")]
            start = base + _number(segment, SEGMENT_OFFSET, "<Q")
            found.append(data[start : start + _number(segment, SEGMENT_SIZE, "<Q")])
    return found


def _program(data: mmap.mmap) -> Table:
    """The root of the file's FlatBuffer. Raises ValueError for another file, or one that is cut short."""
    from flatbuffers import encode, packer, util
    from flatbuffers.table import Table

    if not util.BufferHasIdentifier(data, 0, IDENTIFIER):
        raise ValueError("no ExecuTorch program")
    _require_whole(data)
    return Table(data, encode.Get(packer.uoffset, data, 0))


def _require_whole(data: mmap.mmap) -> None:
    """Raises ValueError where the weights that follow the FlatBuffer are cut short."""
    if data[8:12] == EXTENDED_HEADER:
        _, start, size = struct.unpack_from("<QQQ", data, 16)
        if start + size > len(data):
            raise ValueError("cut short")


def _tables(table: Table, field: int, most: int) -> Iterator[Table]:
    """The tables of a vector field. Raises ValueError for more than ``most``."""
    from flatbuffers.table import Table

    offset = _offset(table, field)
    if not offset:
        return
    length, start = table.VectorLen(offset), table.Vector(offset)
    if length > most:
        raise ValueError(f"{length} entries")
    for index in range(length):
        yield Table(table.Bytes, table.Indirect(start + 4 * index))


def _table(table: Table, field: int) -> Table:
    """The table of a field. Raises ValueError where the table does not have it."""
    from flatbuffers.table import Table

    offset = _offset(table, field)
    if not offset:
        raise ValueError("no such field")
    return Table(table.Bytes, table.Indirect(table.Pos + offset))


def _number(table: Table, field: int, layout: str) -> int:
    """The number of a field, in the layout of ``struct``; 0 where the table does not have it."""
    offset = _offset(table, field)
    number: int = struct.unpack_from(layout, table.Bytes, table.Pos + offset)[0] if offset else 0
    return number


def _text(table: Table, field: int) -> str:
    offset = _offset(table, field)
    if not offset:
        return ""
    if (length := table.VectorLen(offset)) > LONGEST_TEXT:
        raise ValueError(f"a name of {length} bytes")
    text: bytes = table.String(table.Pos + offset)
    return text.decode()


def _offset(table: Table, field: int) -> int:
    """Where a field lies in its table; 0 where the table does not have it."""
    offset: int = table.Offset(4 + 2 * field)
    return offset

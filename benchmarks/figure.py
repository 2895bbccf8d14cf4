"""A measured value with its bound, and the memory of processes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Figure:
    """A measured value and its upper bound."""

    name: str
    value: float
    bound: float
    unit: str

    @property
    def holds(self) -> bool:
        return self.value <= self.bound

    def line(self) -> str:
        decimals = {"MB": 2, "x": 3, "runs": 0, "ms": 0, "s": 1, "": 7}[self.unit]
        value, bound = f"{self.value:.{decimals}f} {self.unit}".strip(), f"{self.bound:g} {self.unit}".strip()
        return f"| {self.name} | {value} | {bound} | {'yes' if self.holds else 'NO'} |"


def memory(process_id: int, what: str = "VmRSS") -> float:
    """The memory of a process in megabytes: now (``VmRSS``) or at its peak (``VmHWM``)."""
    for line in (Path("/proc") / str(process_id) / "status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(what)


def together(process_id: int) -> float:
    """The memory of a process and its descendants in megabytes. Memory that they share counts once."""
    process = psutil.Process(process_id)
    total = 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            rollup = (Path("/proc") / str(one.pid) / "smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024 / 1e6

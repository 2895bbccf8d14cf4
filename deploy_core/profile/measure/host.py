"""Describes the measuring machine: what decides its speed, and how busy it is with other work."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from deploy_core.formats import FORMATS
from deploy_core.inference.capacity import usable_cpus as usable_cpus
from deploy_core.profile.record.record import Host

CPUINFO = Path("/proc/cpuinfo")
# The instructions that decide the speed of int8 and half precision, by their names on Linux.
INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX int8",
    "asimd": "NEON",
    "asimddp": "NEON dot product",
    "i8mm": "NEON int8 matrix product",
    "sve": "SVE",
}


@dataclass
class Load:
    """``others``: the share of all processors, 0..1, that other programs used during a measurement."""

    others: float = 0.0


def describe() -> Host:
    """This machine."""
    import psutil

    flags = _flags()
    packages = dict.fromkeys(row.runtime_package for row in FORMATS.values() if row.runs_here)
    return Host(
        cpu=_cpu_name(),
        instructions=tuple(title for flag, title in INSTRUCTIONS.items() if flag in flags),
        cores=psutil.cpu_count(logical=False),
        cpus=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        machine=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions={name: installed for name in packages if (installed := _version(name))},
    )


@contextmanager
def watched() -> Iterator[Load]:
    """Measures the load of other programs, without this process and its children; the value is set at the end."""
    import psutil

    load = Load()
    busy, own, started = _busy(psutil.cpu_times()), _own_seconds(), time.monotonic()
    try:
        yield load
    finally:
        spent = (time.monotonic() - started) * (os.cpu_count() or 1)
        others = _busy(psutil.cpu_times()) - busy - (_own_seconds() - own)
        load.others = min(1.0, max(0.0, others / spent)) if spent else 0.0


def _busy(times: object) -> float:
    idle = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(seconds for name, seconds in times._asdict().items() if name not in idle))  # type: ignore[attr-defined]


def _own_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _flags() -> frozenset[str]:
    return frozenset(_cpuinfo(("flags", "Features"), str.split))


def _cpu_name() -> str:
    return (
        " ".join(_cpuinfo(("model name", "Model"), lambda text: [text])) or platform.processor() or platform.machine()
    )


def _cpuinfo(keys: tuple[str, ...], read: Callable[[str], list[str]]) -> list[str]:
    """The value of the first line that starts with one of ``keys``; empty on other systems than Linux."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        if line.startswith(keys):
            return read(line.split(":", 1)[1].strip())
    return []

"""One artifact in a process of its own: loading, the first answer, memory, batches, and what happens inside."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core.formats import FORMATS, Run, operators
from deploy_core.profile.record.record import Throughput
from deploy_core.types import OperatorTime

if TYPE_CHECKING:
    import torch

STATUS = Path("/proc/self/status")
RUNS = 3
# TorchScript compiles anew for a new shape, in its first two calls.
BATCH_WARMUP = 2
LEAST_BATCH_RUNS, BATCH_RUNS = 3, 5
BATCH_SECONDS = 2.0


@dataclass(frozen=True)
class Examination:
    """What ``examine`` found; times in milliseconds."""

    load_ms: float
    first_ms: float
    peak_bytes: int
    runtime_bytes: int
    throughput: tuple[Throughput, ...]
    operators: tuple[OperatorTime, ...]


def examine(
    path: Path, key: str, picture: torch.Tensor, batches: Sequence[int], threads: int, trace: Path | None
) -> Examination:
    """Wants a fresh process. ``picture`` is float32 (1, 3, S, S); ``batches`` are left out where a format takes none.

    Raises InvalidArtifact for a file that cannot be read.
    """
    import torch

    row = FORMATS[key]
    torch.set_num_threads(threads)
    before = _resident()
    with torch.inference_mode():
        run = row.load(path)
        first = _seconds(lambda: run(picture))
        for _ in range(RUNS):
            run(picture)
        peak = _peak()
        # The first time also imported what runs it, for the original that is all of timm.
        load = _seconds(lambda: row.load(path))
        throughput = tuple(_throughput(run, picture, batch) for batch in batches) if row.takes_batches else ()
        observed = row.observe(path, picture, trace) if row.observe else ()
    return Examination(
        load_ms=load * 1000,
        first_ms=first * 1000,
        peak_bytes=max(peak, before),
        runtime_bytes=before,
        throughput=throughput,
        operators=observed,
    )


def typical(visits: Sequence[Examination]) -> Examination:
    """The median of several; batches are the first's."""
    return Examination(
        load_ms=statistics.median(found.load_ms for found in visits),
        first_ms=statistics.median(found.first_ms for found in visits),
        peak_bytes=statistics.median_low(found.peak_bytes for found in visits),
        runtime_bytes=statistics.median_low(found.runtime_bytes for found in visits),
        throughput=visits[0].throughput,
        operators=operators.typical(found.operators for found in visits),
    )


def _throughput(run: Run, picture: torch.Tensor, batch: int) -> Throughput:
    pictures = picture.repeat(batch, 1, 1, 1)
    for _ in range(BATCH_WARMUP):
        run(pictures)
    seconds: list[float] = []
    while len(seconds) < LEAST_BATCH_RUNS or (len(seconds) < BATCH_RUNS and sum(seconds) < BATCH_SECONDS):
        seconds.append(_seconds(lambda: run(pictures)))
    return Throughput(batch, batch / statistics.median(seconds))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _peak() -> int:
    """The most memory this process has held. getrusage would tell that of its parent's, which forked it, if more."""
    try:
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError):
        return _resident()

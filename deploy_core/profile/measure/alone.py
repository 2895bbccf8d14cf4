"""Measures one file in a process of its own: loading, the first answer, memory, batches and operators."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core.formats import FORMATS, Run, operators
from deploy_core.inference import views
from deploy_core.models.load import find
from deploy_core.processes.task import Task
from deploy_core.profile.record.record import Throughput
from deploy_core.settings import Settings
from deploy_core.types import OperatorTime

if TYPE_CHECKING:
    import torch

STATUS = Path("/proc/self/status")
RUNS = 3
# TorchScript compiles again for a new shape, in its first two calls.
BATCH_WARMUP = 2
LEAST_BATCH_RUNS, BATCH_RUNS = 3, 5
BATCH_SECONDS = 0.3


@dataclass(frozen=True)
class Examination:
    """What ``examine_file`` measured.

    - ``load_ms``: reading the file once its runtime is imported; ``first_ms``: the first answer
    - ``peak_bytes``: the most memory that the process held; ``runtime_bytes``: what it held before it read the file
    """

    load_ms: float
    first_ms: float
    peak_bytes: int
    runtime_bytes: int
    throughput: tuple[Throughput, ...]
    operators: tuple[OperatorTime, ...]


@dataclass(frozen=True)
class Prepare(Task[None]):
    """Imports what each examination needs, so that processes can do that beside each other before one measures."""

    kind = "prepare"
    answer = None


def prepare() -> None:
    import torch  # noqa: F401


@dataclass(frozen=True)
class Examine(Task[Examination]):
    """One file to examine.

    ``model`` is the reference of the model that the file was built from. ``batches`` are the batch sizes to measure;
    a format that takes one picture at a time skips them. ``trace`` is where to write a Chrome trace, None for none.
    After ``seconds``, neither the operators nor a further batch are begun; None for no limit.
    """

    model: str
    format: str
    path: Path
    batches: tuple[int, ...]
    threads: int
    trace: Path | None
    seconds: float | None
    kind = "examine"
    answer = Examination


def examine_file(request: Examine, settings: Settings) -> Examination:
    """Examines one file on the first reference picture. Call it in a new process.

    Raises InvalidArtifact for a file that cannot be read.
    """
    import torch

    picture = views.first_input(find(request.model), settings)
    row = FORMATS[request.format]
    torch.set_num_threads(request.threads)
    begun = time.perf_counter()

    def is_late() -> bool:
        return request.seconds is not None and time.perf_counter() - begun >= request.seconds

    before = _resident()
    with torch.inference_mode():
        run = row.load(request.path)
        first = _seconds(lambda: run(picture))
        for _ in range(RUNS):
            run(picture)
        peak = _peak()
        # The first load also imported the runtime: all of timm for the original.
        load = _seconds(lambda: row.load(request.path))
        observed = row.observe(request.path, picture, request.trace) if row.observe and not is_late() else ()
        batches = request.batches if row.takes_batches else ()
        throughput = tuple(_throughput(run, picture, batch) for batch in batches if not is_late())
    return Examination(
        load_ms=load * 1000,
        first_ms=first * 1000,
        peak_bytes=max(peak, before),
        runtime_bytes=before,
        throughput=throughput,
        operators=observed,
    )


def typical(visits: Sequence[Examination]) -> Examination:
    """The median of several examinations; only the first one measured batches."""
    return Examination(
        load_ms=statistics.median(visit.load_ms for visit in visits),
        first_ms=statistics.median(visit.first_ms for visit in visits),
        peak_bytes=statistics.median_low(visit.peak_bytes for visit in visits),
        runtime_bytes=statistics.median_low(visit.runtime_bytes for visit in visits),
        throughput=visits[0].throughput,
        operators=operators.typical(visit.operators for visit in visits if visit.operators),
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
    """The most memory that this process held. getrusage may return that of the parent that forked it."""
    try:
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError):
        return _resident()

"""How fast each artifact of a build answers on this machine, measured round by round so that drift hits all alike."""

from __future__ import annotations

import datetime
import gc
import os
import platform
import random
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core import documents, models, verify
from deploy_core.errors import InvalidArtifact, InvalidRequest
from deploy_core.formats import FORMATS, ORIGINAL, Run
from deploy_core.settings import Settings
from deploy_core.types import BuildResult, Event, ProfileReport, ProfileRow, Progress, silent

if TYPE_CHECKING:
    import torch

REPORT = "profile.json"
WARMUP_ROUNDS = 3
SELF_CPU_RUNS = 3
ORDER_SEED = 0


def profile(
    result: BuildResult,
    paths: Mapping[str, Path],
    settings: Settings,
    repeats: int = 20,
    threads: int | None = None,
    progress: Progress = silent,
) -> ProfileReport:
    """Times every artifact of a build, one picture at a time; the original is the first row.

    ``paths`` tells where each format's file lies. Formats are measured in turn, in a new order each round, after a
    warm-up, with ``threads`` threads (default: all cores) for this whole process, so it wants one of its own.
    Raises InvalidRequest for numbers that make no sense, InvalidArtifact for a file that cannot be read.
    """
    import numpy as np
    import torch

    threads = _checked(repeats, threads)
    spec = models.find(result.model)
    tensor = verify.reference(spec, settings).tensor
    artifacts = sorted(result.artifacts, key=lambda artifact: artifact.format != ORIGINAL.key)
    total = WARMUP_ROUNDS + repeats + 2
    progress(Event("Loading the artifacts", 0.0))
    samples: dict[str, list[float]] = {artifact.format: [] for artifact in artifacts}
    # What ran just before decides what lies in the caches, so no file always follows the same one.
    order, shuffle = list(samples), random.Random(ORDER_SEED).shuffle  # noqa: S311
    with _threads(threads), torch.inference_mode(), _no_garbage_collection():
        runs = {key: _load(paths[key], key) for key in samples}
        for round_number in range(WARMUP_ROUNDS + repeats):
            warm = round_number >= WARMUP_ROUNDS
            name = f"Round {round_number - WARMUP_ROUNDS + 1} of {repeats}" if warm else "Warming up"
            progress(Event(name, (round_number + 1) / total))
            if warm:
                shuffle(order)
            for key in order:
                elapsed = _time(runs[key], tensor)
                if warm:
                    samples[key].append(elapsed)
        progress(Event("Reading the profiler's self CPU time", (total - 1) / total))
        self_cpu = {key: _self_cpu(run, tensor) if FORMATS[key].runs_in_torch else None for key, run in runs.items()}

    yardstick = statistics.median(samples[ORIGINAL.key])
    rows = tuple(
        ProfileRow(
            format=artifact.format,
            bytes=artifact.bytes,
            run_engine=FORMATS[artifact.format].run_engine(),
            median_ms=(median := statistics.median(samples[artifact.format])),
            p95_ms=float(np.percentile(samples[artifact.format], 95)),
            self_cpu_ms=self_cpu[artifact.format],
            reduction_percent=(1 - median / yardstick) * 100,
            samples_ms=tuple(samples[artifact.format]),
        )
        for artifact in artifacts
    )
    progress(Event("Done", 1.0))
    return ProfileReport(
        model=result.model,
        weights=result.weights,
        host=host(),
        repeats=repeats,
        threads=threads,
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        rows=rows,
    )


def host() -> dict[str, Any]:
    """What this machine is, as far as it decides speed."""
    import torch

    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def save(report: ProfileReport, path: Path) -> None:
    """Writes a report as JSON, whole or not at all."""
    documents.write(path, report)


def read_report(path: Path) -> ProfileReport:
    """Reads what ``save`` wrote. Raises InvalidArtifact for a file that is no report."""
    report = documents.read(path, ProfileReport)
    if not {row.format for row in report.rows} <= set(FORMATS):
        raise InvalidArtifact(f"{path} is no profile of this version.", "Measure again.")
    return report


def _checked(repeats: int, threads: int | None) -> int:
    cores = os.cpu_count() or 1
    if repeats < 1:
        raise InvalidRequest(f"{repeats} repeats measure nothing.", "Ask for 1 or more.")
    if threads is not None and not 1 <= threads <= cores:
        raise InvalidRequest(f"{threads} threads do not fit this machine's {cores} cores.", f"Ask for 1 to {cores}.")
    return threads or cores


def _load(path: Path, key: str) -> Run:
    if not path.is_file():
        raise InvalidArtifact(f"{path} is gone.", "Build it again.")
    return FORMATS[key].load(path)


def _time(run: Run, tensor: torch.Tensor) -> float:
    started = time.perf_counter_ns()
    run(tensor)
    return (time.perf_counter_ns() - started) / 1e6


def _self_cpu(run: Run, tensor: torch.Tensor) -> float:
    import torch

    figures = []
    for _ in range(SELF_CPU_RUNS):
        with torch.autograd.profiler.profile() as profiler:
            run(tensor)
        figures.append(float(profiler.self_cpu_time_total) / 1000)
    return statistics.median(figures)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()

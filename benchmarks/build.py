"""The time that the warm worker adds to the tutorial's calls, and the memory that it takes."""

from __future__ import annotations

import dataclasses
import math
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.figure import Figure, memory
from deploy_core import documents, settings
from deploy_core.build import Build
from deploy_core.processes.local import WorkerProcess
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest, BuildResult

PROJECT = Path(__file__).parents[1]
FOUR = ("scripted", "quantized", "optimized", "lite")
MOST_MEMORY_MB = 2000
MOST_ADDED = 1.15


def figures(model: str, rounds: int, folder: Path) -> list[Figure]:
    """Alternates between the worker and the bare script, both warm.

    Counts only building and saving, because the worker times syncing and checking separately.
    """
    limits = dataclasses.replace(settings.load(), home=folder / "home")
    worker = WorkerProcess("worker", limits)
    _build(worker, BuildRequest("deit_tiny_patch16_224", "random", FOUR))
    command = [sys.executable, "-m", "benchmarks.bare_script", model, str(folder)]
    bare = subprocess.Popen(  # noqa: S603
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    if bare.stdin is None or bare.stdout is None or bare.stdout.readline() != "warm\n":
        raise SystemExit("The bare script failed.")
    request = BuildRequest(model, "random", FOUR)
    worker_times, bare_times, results = [], [], []
    for _ in range(rounds):
        Store(limits).clear()
        results.append(_build(worker, request))
        built = [artifact for artifact in results[-1].artifacts if artifact.format in FOUR]
        worker_times.append(sum(artifact.seconds.build for artifact in built))
        bare.stdin.write("go\n")
        bare_times.append(float(bare.stdout.readline()))
    bare.stdin.close()
    bare.wait()
    peak = memory(worker.process_id or 0, "VmHWM")
    worker.close()
    _print_seconds(results, worker_times, bare_times)
    added = statistics.median(one / other for one, other in zip(worker_times, bare_times, strict=True))
    return [
        Figure("build and save, warm worker against a bare warm process", added, MOST_ADDED, "x"),
        Figure("peak memory of the worker, with verification", peak, MOST_MEMORY_MB, "MB"),
    ]


def _build(worker: WorkerProcess, request: BuildRequest) -> BuildResult:
    answer = worker.submit(Build(request)).result()
    return documents.structured(answer, BuildResult)


def _print_seconds(results: list[BuildResult], worker_times: list[float], bare_times: list[float]) -> None:
    def median(part: str) -> float:
        return statistics.median(
            math.fsum(getattr(artifact.seconds, part) for artifact in result.artifacts if artifact.format in FOUR)
            for result in results
        )

    print(
        f"four files built and saved: worker {statistics.median(worker_times):.2f} s, "
        f"bare {statistics.median(bare_times):.2f} s; "
        f"apart from that: sync {median('sync'):.2f} s, hash and check {median('check'):.2f} s",
        file=sys.stderr,
    )

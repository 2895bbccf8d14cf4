"""The time that the warm worker adds to the tutorial's calls, the memory that it takes, and how long people wait.

python -m benchmarks.build [MODEL ...]    builds nine formats of each model in a new worker, and says how long it takes
"""

from __future__ import annotations

import dataclasses
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figure import Figure, memory
from deploy_core import settings
from deploy_core.build import Build
from deploy_core.processes.local import WorkerProcess
from deploy_core.profile.measure import host
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest, BuildResult

PROJECT = Path(__file__).parents[1]
FOUR = ("scripted", "quantized", "optimized", "lite")
MOST_MEMORY_MB = 2000
MOST_ADDED = 1.15
NINE = ("original", *FOUR, "executorch", "executorch_int8", "onnx", "onnx_int8")
# Seconds on two quiet cores with VNNI.
MOST_SECONDS = {"deit_tiny_patch16_224": 40, "deit_base_patch16_224": 60}
MOST_FOR_A_PHONE = {"deit_tiny_patch16_224": 10}


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


def waits(model: str, folder: Path) -> list[Figure]:
    """Builds ``NINE`` with random weights in a new worker, and prints the seconds of each file."""
    worker = WorkerProcess("worker", dataclasses.replace(settings.load(), home=folder / model))
    started = time.perf_counter()
    begun = worker.submit(Build(BuildRequest(model, "random", NINE)))
    times = [(event.message, time.perf_counter() - started) for event in begun.events()]
    result, total = begun.result(), time.perf_counter() - started
    worker.close()
    for one in result.artifacts:
        pictures = one.proof.pictures if one.proof else 0
        print(f"| {one.format} | {one.seconds.build:.1f} | {one.seconds.check:.1f} | {pictures} |")
    # The first file is one for phones. It is done when the stage after its check begins.
    checking = next(place for place, (message, _) in enumerate(times) if message.startswith("Checking"))
    return [
        Figure(f"nine files of {model}, built and checked", total, MOST_SECONDS[model], "s"),
        *(
            Figure(f"the first file of {model} for a phone", times[checking + 1][1], bound, "s")
            for name, bound in MOST_FOR_A_PHONE.items()
            if name == model
        ),
    ]


def main(models: Sequence[str]) -> None:
    print(f"On {host.describe().cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    for model in models or MOST_SECONDS:
        print("| file | build, s | check, s | pictures |\n| --- | --- | --- | --- |")
        with tempfile.TemporaryDirectory() as place:
            found = waits(model, Path(place))
        print("\n| figure | measured | bound | holds |\n| --- | --- | --- | --- |")
        print(*(figure.line() for figure in found), "", sep="\n", flush=True)


def _build(worker: WorkerProcess, request: BuildRequest) -> BuildResult:
    return worker.submit(Build(request)).result()


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


if __name__ == "__main__":
    main(sys.argv[1:])

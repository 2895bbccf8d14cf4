"""Checks the harness of ``profile``: an artifact that is entered twice must be as fast as itself."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from deploy_core import settings
from deploy_core.profile.intervals import estimates
from deploy_core.profile.measure import run
from deploy_core.profile.measure.isolated import time_isolated
from deploy_core.profile.measure.rounds import Until
from deploy_core.profile.measure.turns import Contender

RUNS = 10
WITHIN = 0.02
# Load in bursts of up to a second, like another user's work on the same machine.
NEIGHBOUR = """
import random, time
while True:
    end = time.monotonic() + random.random()
    while time.monotonic() < end: pass
    time.sleep(random.random())
"""


def figures(folder: Path, model: str) -> list[Figure]:
    """``folder`` must hold a build with the quantized file."""
    with _busy():
        differences = [abs(_twins(folder, model) - 1) for _ in range(RUNS)]
    missed = sum(ratio > WITHIN for ratio in differences)
    print(f"twins differences: {', '.join(f'{ratio:.2%}' for ratio in sorted(differences))}")
    return [Figure(f"runs of {RUNS} in which a file is not within 2 % of itself, on a busy machine", missed, 1, "runs")]


def _twins(folder: Path, model: str) -> float:
    path = next(folder.glob("*_scripted_quantized.pt"))
    until = Until(run.BOUND, run.BUDGET_SECONDS)
    contenders = dict.fromkeys(("one", "other"), Contender("quantized", path))
    found = time_isolated(model, contenders, 2, until, settings.load())
    return estimates(found.samples)["other"].ratio


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    neighbour = subprocess.Popen([sys.executable, "-c", NEIGHBOUR])  # noqa: S603
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()

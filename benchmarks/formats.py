"""What each format costs, built by itself in a process of its own: its size, the seconds, and the peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figure import Figure
from deploy_core.formats import FORMATS

PROJECT = Path(__file__).parents[1]
MEGABYTE = 1e6
HEAD = "| format | size, MB | built in, s | checked in, s | peak memory, MB |\n| --- | --- | --- | --- | --- |"
# The most megabytes of a file of DeiT-Base.
LARGEST = {"scripted": 346.5, "quantized": 89.5, "optimized": 89.5, "lite": 89.5, "coreml": 174.5}


def figures(model: str) -> list[Figure]:
    """Builds each format that this machine can build, prints its line, and compares its size with its bound."""
    print(HEAD, flush=True)
    found = []
    for key, row in FORMATS.items():
        if row.probe() is None:
            with tempfile.TemporaryDirectory() as folder:
                size = _built(model, key, folder)
            if key in LARGEST:
                found.append(Figure(f"size of {key}", size, LARGEST[key], "MB"))
    return found


def _built(model: str, key: str, folder: str) -> float:
    """Prints the line of one format; returns its megabytes."""
    asked = ["build", "--model", model, "--weights", "random", "--formats", key, "--out", folder, "--json"]
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "deploy_core", *asked], cwd=PROJECT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None  # noqa: S101
        document = json.loads(process.stdout.read())
        _, _, used = os.wait4(process.pid, 0)
        # Popen would wait for a process that is gone.
        process.returncode = 0
    built = next(one for one in document["artifacts"] if one["format"] == key)
    size: float = built["bytes"] / MEGABYTE
    peak = used.ru_maxrss * 1024 / MEGABYTE
    print(f"| {key} | {size:.2f} | {built['seconds']:.1f} | {built['check_seconds']:.1f} | {peak:.0f} |", flush=True)
    return size


if __name__ == "__main__":
    figures(sys.argv[1])

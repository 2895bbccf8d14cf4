"""Measures the project's promises on DeiT-Base with random weights, and prints each beside its bound.

python -m benchmarks [--model deit_base_patch16_224] [--rounds 3] [--repeats 15]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
CLI = [sys.executable, "-m", "deploy_core"]
MEGABYTE = 1e6


@dataclass(frozen=True)
class Figure:
    """A measured value and the most it may be."""

    name: str
    value: float
    bound: float
    unit: str

    @property
    def holds(self) -> bool:
        return self.value <= self.bound


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="deit_base_patch16_224")
    parser.add_argument("--rounds", type=int, default=3, help="builds, ours and bare in turn")
    parser.add_argument("--repeats", type=int, default=15, help="timed inferences of each file")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        built = run_json("build", "--model", options.model, "--weights", "random", "--out", str(folder / "default"))
        report = run_json("profile", str(folder / "default"), "--repeats", str(options.repeats))
        tutorial = ["--formats", "optimized", "--optimize", "tutorial", "--out", str(folder / "tutorial")]
        run_json("build", "--model", options.model, "--weights", "random", *tutorial)
        slow = run_json("profile", str(folder / "tutorial"), "--repeats", str(options.repeats))
        ours, bare = build_times(options.model, options.rounds, folder)

    figures = [*sizes(built), *speeds(report), Figure("build and save, against a bare script", ours / bare, 1.25, "x")]
    print(f"{options.model}, random weights, on {report['host']['cpu']}, {report['threads']} threads\n")
    print("| figure | measured | bound | holds |\n| --- | --- | --- | --- |")
    for figure in figures:
        decimals = 2 if figure.unit == "MB" else 3
        value, bound = f"{figure.value:.{decimals}f} {figure.unit}", f"{figure.bound:g} {figure.unit}"
        print(f"| {figure.name} | {value} | {bound} | {'yes' if figure.holds else 'NO'} |")
    by_quantized = ratio(slow, "optimized", "quantized")
    print(f"\nThe tutorial's way to optimize, against quantized: {by_quantized:.3f} x")
    print(f"Build and save: {ours:.1f} s, bare script: {bare:.1f} s")
    return 0 if all(figure.holds for figure in figures) else 1


def sizes(built: dict[str, Any]) -> list[Figure]:
    bounds = {"scripted": 346.5, "quantized": 89.5, "optimized": 89.5, "lite": 89.5}
    return [
        Figure(f"size of {row['format']}", row["bytes"] / MEGABYTE, bounds[row["format"]], "MB")
        for row in built["artifacts"]
        if row["format"] in bounds
    ]


def speeds(report: dict[str, Any]) -> list[Figure]:
    return [
        Figure(f"{key} against {yardstick}", ratio(report, key, yardstick), bound, "x")
        for yardstick, bound in (("quantized", 1.05), ("original", 0.45))
        for key in ("optimized", "lite")
    ]


def ratio(report: dict[str, Any], key: str, yardstick: str) -> float:
    """The median of the rounds' ratios: within a round, whatever else the machine does hits both alike."""
    samples = {row["format"]: row["samples_ms"] for row in report["rows"]}
    pairs = zip(samples[key], samples[yardstick], strict=True)
    return float(statistics.median(one / other for one, other in pairs))


def build_times(model: str, rounds: int, folder: Path) -> tuple[float, float]:
    """Seconds from the start of the process until the files are saved: ours and a bare script's, in turn."""
    ours, bare = [], []
    for _ in range(rounds):
        # A new folder each time, because writing over a file is cheaper than writing one.
        with tempfile.TemporaryDirectory(dir=folder) as new:
            bare.append(seconds_until("saved", [sys.executable, "-m", "benchmarks.bare_script", model, new]))
        with tempfile.TemporaryDirectory(dir=folder) as new:
            build = [*CLI, "build", "--model", model, "--weights", "random", "--out", new]
            ours.append(seconds_until("Asking", build))
    return statistics.median(ours), statistics.median(bare)


def seconds_until(word: str, command: Sequence[str]) -> float:
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    seconds = None
    for line in process.stdout or ():
        if seconds is None and word in line:
            seconds = time.perf_counter() - started
    if process.wait() != 0 or seconds is None:
        raise SystemExit(f"{command} failed")
    return seconds


def run_json(*arguments: str) -> dict[str, Any]:
    command = [*CLI, *arguments, "--json"]
    print("$", *command[1:], file=sys.stderr)
    finished = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True)  # noqa: S603
    document: dict[str, Any] = json.loads(finished.stdout)
    return document


if __name__ == "__main__":
    raise SystemExit(main())

"""Measures the project's figures on DeiT-Base with random weights, and prints each one with its bound.

python -m benchmarks [--model deit_base_patch16_224] [--rounds 3] [--repeats 15]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import build, device, formats, harness, hosting, page, paint, peers, pictures, sessions, start, web
from benchmarks.figure import Figure
from deploy_core.formats import FORMATS

PROJECT = Path(__file__).parents[1]
CLI = [sys.executable, "-m", "deploy_core"]
# The longest time to measure each model beside what people use instead.
PEERS_SECONDS = 120.0
INT8 = [key for key, row in FORMATS.items() if row.is_int8 and row.runs_here]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="deit_base_patch16_224")
    parser.add_argument("--rounds", type=int, default=3, help="builds by the worker and by the bare script")
    parser.add_argument("--repeats", type=int, default=15, help="timed inferences per file")
    options = parser.parse_args()

    measured = formats.figures(options.model)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run_json("build", "--model", options.model, "--weights", "random", "--out", str(folder / "default"))
        report = run_json("profile", str(folder / "default"), "--repeats", str(options.repeats))
        tutorial = ["--formats", "optimized", "--optimize", "tutorial", "--out", str(folder / "tutorial")]
        run_json("build", "--model", options.model, "--weights", "random", *tutorial)
        slow = run_json("profile", str(folder / "tutorial"), "--repeats", str(options.repeats))
        measured += [*speeds(report), *build.figures(options.model, options.rounds, folder)]
        for name in build.MOST_SECONDS:
            measured += build.waits(name, folder)
        measured += harness.figures(folder / "default", options.model)
    measured += [*page.figures(), *paint.figures(), *web.figures(), *pictures.figures(), *start.figures()]
    measured += [*sessions.figures(), *hosting.figures(), *device.figures()]
    for name in peers.MODELS:
        measured += peers.figures(name, PEERS_SECONDS)
    print(f"{options.model}, random weights, on {report['host']['cpu']}, {report['threads']} threads\n")
    print("| figure | measured | bound | holds |\n| --- | --- | --- | --- |")
    for figure in measured:
        print(figure.line())
    by_quantized = ratio(slow, "optimized", "quantized")
    print(f"\nThe tutorial's way to optimize, against quantized: {by_quantized:.3f} x")
    return 0 if all(figure.holds for figure in measured) else 1


def speeds(report: dict[str, Any]) -> list[Figure]:
    return [
        Figure(f"{key} against {yardstick}", ratio(report, key, yardstick), bound, "x")
        for yardstick, bound in (("quantized", 1.05), ("original", 0.45))
        for key in ("optimized", "lite")
    ] + [
        Figure(
            f"best other int8 file against {yardstick}",
            min(ratio(report, key, yardstick) for key in INT8 if key != yardstick),
            bound,
            "x",
        )
        for yardstick, bound in (("original", 0.36), ("onnx_int8", 1.0))
    ]


def ratio(report: dict[str, Any], key: str, yardstick: str) -> float:
    """The median of the rounds' ratios. Within a round, other load on the machine slows down both files alike."""
    samples = {row["format"]: row["samples_ms"] for row in report["rows"]}
    pairs = zip(samples[key], samples[yardstick], strict=True)
    return float(statistics.median(one / other for one, other in pairs))


def run_json(*arguments: str) -> dict[str, Any]:
    command = [*CLI, *arguments, "--json"]
    print("$", *command[1:], file=sys.stderr)
    finished = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True)  # noqa: S603
    document: dict[str, Any] = json.loads(finished.stdout)
    return document


if __name__ == "__main__":
    raise SystemExit(main())

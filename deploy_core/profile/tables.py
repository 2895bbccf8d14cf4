"""A run as tables: for people, for spreadsheets, for a README, and the tutorial's own, line for line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from deploy_core.formats import FORMATS
from deploy_core.profile.record import Record, Row

Cells = tuple[str, ...]
HEAD: Cells = (
    "Model",
    "Engine",
    "Inference time",
    "95 % interval",
    "p95",
    "Reduction",
    "Self CPU",
    "Load",
    "First",
    "Memory",
    "Size",
)
CSV_FIELDS = (
    "format", "file", "sha256", "bytes", "run_engine", "median_ms", "median_low_ms", "median_high_ms", "p95_ms",
    "spread_ms", "ratio", "ratio_low", "ratio_high", "reduction_percent", "self_cpu_ms", "load_ms", "first_ms",
    "peak_bytes", "runtime_bytes", "top1_agreement", "cosine",
)  # fmt: skip


@dataclass(frozen=True)
class TutorialLine:
    """A line of the tutorial's last table, and what the tutorial printed there: self CPU time and reduction."""

    model: str
    format: str
    milliseconds: float
    reduction_percent: float


TUTORIAL = (
    TutorialLine("original model", "original", 1236.69, 0.0),
    TutorialLine("scripted model", "scripted", 1226.72, 0.81),
    TutorialLine("scripted & quantized model", "quantized", 593.19, 52.03),
    TutorialLine("scripted & quantized & optimized model", "optimized", 598.01, 51.64),
    TutorialLine("lite model", "lite", 600.72, 51.43),
)


def tutorial_reduction(original: Row, row: Row) -> float | None:
    """The tutorial's last column: how much less self CPU time than the original's, in per cent."""
    if not original.self_cpu_ms or row.self_cpu_ms is None:
        return None
    return (1 - row.self_cpu_ms / original.self_cpu_ms) * 100


def cells(run: Record) -> tuple[Cells, ...]:
    """One line an artifact, as text."""
    return tuple(_line(row) for row in run.rows)


def as_csv(run: Record) -> str:
    """Numbers as they are, one line an artifact."""
    buffer = StringIO()
    writer = csv.DictWriter(buffer, CSV_FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(vars(row) | _bounds(row) for row in run.rows)
    return buffer.getvalue()


def as_markdown(run: Record) -> str:
    """A table for a README, with the host below it."""
    lines = [_markdown(HEAD), _markdown(["---"] * len(HEAD)), *(_markdown(line) for line in cells(run))]
    return "\n".join([*lines, "", f"{run.model}, {host_line(run)}"])


def host_line(run: Record) -> str:
    """Where, when and how a run was measured, in one line."""
    host = run.host
    instructions = f" ({', '.join(host.instructions)})" if host.instructions else ""
    cores = f"{host.cores} cores, " if host.cores else ""
    versions = ", ".join(f"{name} {version}" for name, version in host.versions.items())
    return (
        f"{host.cpu}{instructions}, {cores}{run.threads} of {host.cpus} threads, {run.repeats} rounds, "
        f"{versions}, {run.measured_at[:10]}"
    )


def _bounds(row: Row) -> dict[str, float]:
    median_low, median_high = row.median_interval_ms
    ratio_low, ratio_high = row.ratio_interval
    return {
        "median_low_ms": median_low,
        "median_high_ms": median_high,
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
    }


def _line(row: Row) -> Cells:
    low, high = row.median_interval_ms
    return (
        FORMATS[row.format].title,
        row.run_engine,
        f"{row.median_ms:.2f} ms",
        f"{low:.2f} to {high:.2f}",
        f"{row.p95_ms:.2f} ms",
        f"{row.reduction_percent:.2f} %",
        "" if row.self_cpu_ms is None else f"{row.self_cpu_ms:.2f} ms",
        f"{row.load_ms:.0f} ms",
        f"{row.first_ms:.1f} ms",
        f"{row.peak_bytes / 1e6:.0f} MB",
        f"{row.bytes / 1e6:.2f} MB",
    )


def _markdown(line: Sequence[str]) -> str:
    return f"| {' | '.join(line)} |"

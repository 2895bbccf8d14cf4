"""A run as tables: text for pages, CSV, Markdown, and the rows of the tutorial's table."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from deploy_core import spreadsheets
from deploy_core.formats import FORMATS
from deploy_core.profile.intervals import Interval
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.words import TOO_FEW, counted
from deploy_core.shares import percent

Cells = tuple[str, ...]
HEAD: Cells = (
    "Model",
    "Engine",
    "Inference time",
    "95 % interval",
    "Spread",
    "p95",
    "Reduction",
    "Same answer",
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
    """A row of the tutorial's last table, with the self CPU time and the reduction that the tutorial printed."""

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
    """The tutorial's last column: by how many per cent the self CPU time is below the original's."""
    if not original.self_cpu_ms or row.self_cpu_ms is None:
        return None
    return (1 - row.self_cpu_ms / original.self_cpu_ms) * 100


def cells(run: Record) -> tuple[Cells, ...]:
    """The cells of each artifact, as text."""
    return tuple(_line(row) for row in run.rows)


def rates_head(run: Record) -> Cells:
    """The header of ``rates``: the batch sizes and the thread counts of this run."""
    return (
        "Model",
        *(f"Batch of {batch}" for batch in _batches(run)),
        *(counted(threads, "thread") for threads in _thread_counts(run)),
    )


def rates(run: Record) -> tuple[Cells, ...]:
    """The pictures per second of each batch size and the time of one picture with each thread count, as text."""
    return tuple(_rates(run, row) for row in run.rows)


def unmeasured(run: Record) -> tuple[str, ...]:
    """What the run could not measure, with the reason: one or two sentences for each reason."""
    titles: dict[tuple[int | None, str], list[str]] = defaultdict(list)
    for failed in run.unmeasured:
        titles[failed.threads, failed.reason].append(FORMATS[failed.format].title)
    sentences = []
    for (threads, reason), names in titles.items():
        condition = f" with {counted(threads, 'thread')}" if threads else ""
        sentences.append(f"{'; '.join(names)} {'was' if len(names) == 1 else 'were'} not measured{condition}. {reason}")
    return tuple(sentences)


def as_csv(run: Record) -> str:
    """A CSV table with one line per artifact and unrounded numbers."""
    fields = (
        *CSV_FIELDS,
        *(f"throughput_{batch}" for batch in _batches(run)),
        *(f"median_ms_threads_{threads}" for threads in _thread_counts(run)),
    )
    rows = (
        vars(row)
        | _bounds(row)
        | {f"throughput_{rate.batch}": rate.pictures_per_second for rate in row.throughput}
        | {f"median_ms_threads_{point.threads}": point.median_ms for point in row.scaling}
        for row in run.rows
    )
    return spreadsheets.as_csv(fields, rows)


def as_markdown(run: Record) -> str:
    """Markdown tables for a README, followed by the host."""
    main, more = _markdown(HEAD, cells(run)), _markdown(rates_head(run), rates(run))
    return "\n".join([*main, "", *more, "", _markdown_text(f"{run.model}, {host_line(run)}")])


def host_line(run: Record) -> str:
    """The machine, the versions, the rounds and the date of a run, in one line."""
    host = run.host
    instructions = f" ({', '.join(host.instructions)})" if host.instructions else ""
    cores = f"{host.cores} cores, " if host.cores else ""
    versions = ", ".join(f"{name} {version}" for name, version in host.versions.items())
    return (
        f"{host.cpu}{instructions}, {cores}{run.threads} of {counted(host.cpus, 'thread')}, "
        f"{counted(run.repeats, 'round')}, {versions}, {run.measured_at[:10]}"
    )


def interval_text(interval: Interval | None) -> str:
    return f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else TOO_FEW


def _bounds(row: Row) -> dict[str, float | None]:
    median_low, median_high = row.median_interval_ms or (None, None)
    ratio_low, ratio_high = row.ratio_interval or (None, None)
    return {
        "median_low_ms": median_low,
        "median_high_ms": median_high,
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
    }


def _batches(run: Record) -> list[int]:
    return sorted({rate.batch for row in run.rows for rate in row.throughput})


def _thread_counts(run: Record) -> list[int]:
    return sorted({point.threads for row in run.rows for point in row.scaling})


def _line(row: Row) -> Cells:
    return (
        FORMATS[row.format].title,
        row.run_engine,
        f"{row.median_ms:.2f} ms",
        interval_text(row.median_interval_ms),
        f"{row.spread_ms:.2f} ms",
        f"{row.p95_ms:.2f} ms",
        f"{row.reduction_percent:.2f} %",
        percent(row.top1_agreement),
        "" if row.self_cpu_ms is None else f"{row.self_cpu_ms:.2f} ms",
        "" if row.load_ms is None else f"{row.load_ms:.0f} ms",
        "" if row.first_ms is None else f"{row.first_ms:.1f} ms",
        "" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f} MB",
        f"{row.bytes / 1e6:.2f} MB",
    )


def _rates(run: Record, row: Row) -> Cells:
    by_batch = {rate.batch: f"{rate.pictures_per_second:.0f} pictures/s" for rate in row.throughput}
    by_threads = {point.threads: f"{point.median_ms:.2f} ms" for point in row.scaling}
    nothing = "" if by_batch else "one at a time"
    return (
        FORMATS[row.format].title,
        *(by_batch.get(batch, nothing) for batch in _batches(run)),
        *(by_threads.get(threads, "") for threads in _thread_counts(run)),
    )


def _markdown(head: Cells, lines: Sequence[Cells]) -> list[str]:
    escaped = [tuple(_markdown_text(cell) for cell in line) for line in (head, *lines)]
    return [f"| {' | '.join(line)} |" for line in (escaped[0], ("---",) * len(head), *escaped[1:])]


def _markdown_text(text: str) -> str:
    """Escapes a text and puts it on one line. A record may come from a stranger, so no text may become markup."""
    return re.sub(r"([\\|<>`*_\[\]])", r"\\\1", " ".join(text.split()))

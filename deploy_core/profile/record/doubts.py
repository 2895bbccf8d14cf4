"""Whether a record can be true: every number such as can be measured, and all of them of the same measurement."""

from __future__ import annotations

import datetime
import math
import statistics
from collections.abc import Iterator
from typing import TYPE_CHECKING

from deploy_core import documents
from deploy_core.formats import ORIGINAL
from deploy_core.profile.intervals import LEAST_ROUNDS, MOST_ROUNDS, Interval

if TYPE_CHECKING:
    from deploy_core.profile.record.record import Record, Row

Range = tuple[float, float]

LONGEST_TEXT = 2_000
LARGEST_COUNT = 1e6
# A clock tells no less, and nobody waits for more: a day.
TIME: Range = (1e-6, 86_400_000)
SHARE_OF_TIME: Range = (0, 86_400_000)
SIZE: Range = (1, 1e15)
COUNT: Range = (1, LARGEST_COUNT)
RATIO: Range = (1e-9, 1e9)
# By the name of a field, wherever it stands; for a list, of each of its values.
RANGES: dict[str, Range] = {
    "bytes": SIZE,
    "peak_bytes": SIZE,
    "runtime_bytes": (0, 1e15),
    "memory_bytes": SIZE,
    "samples_ms": TIME,
    "median_ms": TIME,
    "median_interval_ms": TIME,
    "interval_ms": TIME,
    "p95_ms": TIME,
    "load_ms": TIME,
    "first_ms": TIME,
    "spread_ms": SHARE_OF_TIME,
    "self_cpu_ms": SHARE_OF_TIME,
    "self_ms": SHARE_OF_TIME,
    "calls": (0, LARGEST_COUNT),
    "ratio": RATIO,
    "ratio_interval": RATIO,
    "reduction_percent": (-1e11, 100),
    "pictures_per_second": (1e-6, 1e9),
    "top1_agreement": (0, 1),
    # The last digits of a float are not exact.
    "cosine": (-1 - 1e-6, 1 + 1e-6),
    "delegated_percent": (0, 100),
    "others_load": (0, 1),
    "bound": (1e-6, 1),
    "budget_seconds": (1e-6, 1e6),
    "batch": COUNT,
    "threads": COUNT,
    "rounds": (1, MOST_ROUNDS),
    "repeats": (1, MOST_ROUNDS),
    "visits": COUNT,
    "cores": COUNT,
    "cpus": COUNT,
    "version": COUNT,
}
ROUNDING = 1e-6


def doubts(record: Record) -> Iterator[str]:
    """What cannot be, each with where it stands."""
    yield from _beyond(documents.plain(record), "")
    formats = [row.format for row in record.rows]
    if formats[:1] != [ORIGINAL.key]:
        yield "the first row is not the original"
    if len(set(formats)) < len(formats):
        yield "a format has two rows"
    if not _is_moment(record.measured_at):
        yield f"measured_at is {_short(record.measured_at)}"
    for number, row in enumerate(record.rows):
        for name in _apart(row, record):
            yield f"rows[{number}].{name} does not fit the rest"


def _beyond(value: object, path: str) -> Iterator[str]:
    """The numbers and texts beyond what their names allow."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _beyond(part, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            yield from _beyond(part, f"{path}[{number}]")
    elif isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            yield f"{path} has {len(value)} characters"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = RANGES[path.split(".")[-1].split("[")[0]]
        if not low <= value <= high:
            yield f"{path} is {_short(value)}"


def _apart(row: Row, record: Record) -> Iterator[str]:
    """The figures of a row that are not those of its samples."""
    if not row.samples_ms or len(row.samples_ms) != record.repeats:
        yield "samples_ms"
        return
    least, median, most = min(row.samples_ms), statistics.median(row.samples_ms), max(row.samples_ms)
    ratio = row.median_ms / record.rows[0].median_ms if record.rows[0].median_ms else math.nan
    scaled = [point.median_ms for point in row.scaling if point.threads == record.threads]
    fits = {
        "peak_bytes": row.peak_bytes >= row.runtime_bytes,
        "median_ms": _same(row.median_ms, median),
        "ratio": _same(row.ratio, ratio),
        "reduction_percent": _same(1 - row.reduction_percent / 100, ratio),
        "p95_ms": median <= row.p95_ms * (1 + ROUNDING) and row.p95_ms <= most * (1 + ROUNDING),
        "spread_ms": row.spread_ms <= (most - least) + most * ROUNDING,
        "scaling": all(_same(point, median) for point in scaled),
        "median_interval_ms": _is_interval(row.median_interval_ms, record.repeats, (least, most)),
        "ratio_interval": _is_interval(row.ratio_interval, record.repeats, RATIO),
    }
    yield from (name for name, does_fit in fits.items() if not does_fit)


def _is_interval(interval: Interval | None, rounds: int, within: Range) -> bool:
    if interval is None or rounds < LEAST_ROUNDS:
        return interval is None and rounds < LEAST_ROUNDS
    return within[0] <= interval[0] <= interval[1] <= within[1]


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)


def _is_moment(text: str) -> bool:
    """Whether it is a date and a time of day in ISO 8601, with its zone."""
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"

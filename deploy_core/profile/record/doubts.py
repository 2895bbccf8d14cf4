"""Whether a record can be true: each number in its range, and all figures computed from the same samples."""

from __future__ import annotations

import datetime
import math
import statistics
from collections.abc import Iterator

from deploy_core.formats import ORIGINAL
from deploy_core.profile.intervals import LEAST_ROUNDS, Interval
from deploy_core.profile.record.record import RATIO, Record, Row
from deploy_core.ranges import Range, out_of_range, shortened

LONGEST_TEXT = 2_000
ROUNDING = 1e-6


def doubts(record: Record) -> Iterator[str]:
    """The values that cannot be true, each with its place in the record."""
    yield from out_of_range(record, lambda text: len(text) <= LONGEST_TEXT)
    formats = [row.format for row in record.rows]
    if formats[:1] != [ORIGINAL.key]:
        yield "the first row is not the original"
    if len(set(formats)) < len(formats):
        yield "a format has two rows"
    if not _is_moment(record.measured_at):
        yield f"measured_at is {shortened(record.measured_at)}"
    for number, row in enumerate(record.rows):
        for name in _inconsistent(row, record):
            yield f"rows[{number}].{name} does not fit the rest"


def _inconsistent(row: Row, record: Record) -> Iterator[str]:
    """The figures of a row that its samples do not give."""
    if not row.samples_ms or len(row.samples_ms) != record.repeats:
        yield "samples_ms"
        return
    least, median, most = min(row.samples_ms), statistics.median(row.samples_ms), max(row.samples_ms)
    ratio = row.median_ms / record.rows[0].median_ms if record.rows[0].median_ms else math.nan
    scaled = [point.median_ms for point in row.scaling if point.threads == record.threads]
    fits = {
        "peak_bytes": row.added_bytes is None or row.added_bytes >= 0,
        "median_ms": _same(row.median_ms, median),
        "ratio": _same(row.ratio, ratio),
        "reduction_percent": _same(1 - row.reduction_percent / 100, ratio),
        "p95_ms": median <= row.p95_ms * (1 + ROUNDING) and row.p95_ms <= most * (1 + ROUNDING),
        "spread_ms": row.spread_ms <= (most - least) + most * ROUNDING,
        "scaling": all(_same(point, median) for point in scaled),
        "median_interval_ms": _is_interval(row.median_interval_ms, record.repeats, Range(least, most)),
        "ratio_interval": _is_interval(row.ratio_interval, record.repeats, RATIO),
    }
    yield from (name for name, does_fit in fits.items() if not does_fit)


def _is_interval(interval: Interval | None, rounds: int, within: Range) -> bool:
    if interval is None or rounds < LEAST_ROUNDS:
        return interval is None and rounds < LEAST_ROUNDS
    return within.least <= interval[0] <= interval[1] <= within.largest


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)


def _is_moment(text: str) -> bool:
    """Whether it is a date and time in ISO 8601 with a time zone."""
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False

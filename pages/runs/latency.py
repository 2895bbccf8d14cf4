"""How long one picture takes with each file: every round, the medians, and the time that each file saves."""

from __future__ import annotations

import streamlit as st

from deploy_core.profile.intervals import LEAST_ROUNDS
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.verdict import headlines
from deploy_core.profile.words import TOO_FEW, counted
from pages.charts.distributions import DistributionMark, draw_distributions, thinned
from pages.charts.intervals import IntervalMark, draw_intervals
from pages.runs.files import UNKNOWN_INTERVAL, fastest_first, title
from pages.runs.headed import head

# The end of the axis, as a factor of the largest p95.
ROOM_BEYOND = 1.25


def draw(run: Record) -> None:
    rows = fastest_first(run)
    colours = head(headlines.steadiness(run))
    end = ROOM_BEYOND * max(row.p95_ms for row in run.rows)
    draw_distributions(
        [_distribution(row, colours[title(row)]) for row in rows],
        "Every timed inference of each file, with the medians",
        "ms for one picture",
        end,
    )
    st.caption(_how_to_read(run, end))
    if run.rows[1:]:
        colours = head(headlines.savings(run))
        draw_intervals(
            [_reduction(row, colours[title(row)]) for row in rows if row is not run.rows[0]],
            "Reduction of the latency against the original",
            "% less time, below 0 more",
            origin=0,
        )


def _how_to_read(run: Record, end: float) -> str:
    drawn = f"{len(thinned(run.rows[0].samples_ms))} of {run.repeats} are drawn"
    beyond = [value for row in run.rows for value in row.samples_ms if value > end]
    return (
        f"A tick is one round ({drawn}), the dot their median, "
        + ("the bar its 95 % interval." if run.repeats >= LEAST_ROUNDS else "without an interval: too few rounds.")
        + (f" Beyond the chart: {counted(len(beyond), 'round')}, up to {max(beyond):.0f} ms." if beyond else "")
    )


def _distribution(row: Row, colour: str) -> DistributionMark:
    low, high = row.median_interval_ms or UNKNOWN_INTERVAL
    hint = f"{title(row)}: median {row.median_ms:.2f} ms, p95 {row.p95_ms:.2f} ms"
    return DistributionMark(title(row), row.samples_ms, row.median_ms, low, high, hint, colour)


def _reduction(row: Row, colour: str) -> IntervalMark:
    reduction = f"{title(row)}: {row.reduction_percent:.1f} %"
    if row.reduction_interval_percent is None:
        return IntervalMark(title(row), row.reduction_percent, *UNKNOWN_INTERVAL, f"{reduction} ({TOO_FEW})", colour)
    low, high = row.reduction_interval_percent
    hint = f"{reduction} (95 %: {low:.1f} to {high:.1f} %)"
    return IntervalMark(title(row), row.reduction_percent, low, high, hint, colour)

"""The charts of a profile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import streamlit as st

from deploy_core.formats import FORMATS
from deploy_core.formats.operators import GROUPS, OTHER
from deploy_core.profile.device.report import Report
from deploy_core.profile.intervals import LEAST_ROUNDS
from deploy_core.profile.record.record import Record, Row, Scaling
from deploy_core.profile.verdict import reasons, verdicts
from deploy_core.profile.words import PERCENT, TOO_FEW, counted
from pages.charts.bars import Bar, draw_bars
from pages.charts.distributions import DistributionMark, draw_distributions, thinned
from pages.charts.intervals import IntervalMark, draw_intervals
from pages.charts.lines import LinePoint, draw_lines
from pages.charts.stacks import StackPart, draw_stacks
from pages.charts.tradeoff import TradeoffPoint, draw_tradeoff
from pages.parts.text import plain

# How far the chart of the latencies goes, in the largest p95.
ROOM_BEYOND = 1.25
# A line that is shorter, in the width of its chart, is not seen.
SEEN_SHARE = 0.05
NOBODY_KNOWS = (None, None)


def latency(run: Record) -> None:
    end = ROOM_BEYOND * max(row.p95_ms for row in run.rows)
    beyond = [value for row in run.rows for value in row.samples_ms if value > end]
    draw_distributions(
        [_distribution(row) for row in run.rows],
        "Every timed inference of each file, with the medians",
        "ms for one picture",
        end,
    )
    drawn = f"{len(thinned(run.rows[0].samples_ms))} of {run.repeats} are drawn"
    st.caption(
        f"A tick is one round ({drawn}), the dot their median, "
        + ("the bar its 95 % interval." if run.repeats >= LEAST_ROUNDS else "without an interval: too few rounds.")
        + (f" {len(beyond)} measurements lie beyond the chart, up to {max(beyond):.0f} ms." if beyond else "")
    )
    if not run.rows[1:]:
        return
    draw_intervals(
        [_reduction(row) for row in run.rows[1:]],
        "Reduction of the latency against the original",
        "% less time, below 0 more",
        origin=0,
        title="Less time than the original",
    )


def _distribution(row: Row) -> DistributionMark:
    low, high = row.median_interval_ms or NOBODY_KNOWS
    hint = f"{title(row)}: median {row.median_ms:.2f} ms, p95 {row.p95_ms:.2f} ms"
    return DistributionMark(title(row), row.samples_ms, row.median_ms, low, high, hint)


def _reduction(row: Row) -> IntervalMark:
    told = f"{title(row)}: {row.reduction_percent:.1f} %"
    if row.ratio_interval is None:
        return IntervalMark(title(row), row.reduction_percent, *NOBODY_KNOWS, f"{told} ({TOO_FEW})")
    high, low = ((1 - bound) * PERCENT for bound in row.ratio_interval)
    return IntervalMark(title(row), row.reduction_percent, low, high, f"{told} (95 %: {low:.1f} to {high:.1f} %)")


def tradeoff(run: Record, reports: Sequence[Report] = ()) -> None:
    """The server's files, and those that a visitor's devices ran with the same weights."""
    fitting = [report for report in reports if report.weights == run.weights]
    points = [
        *_server_points(run, bool(fitting)),
        *(point for report in fitting for point in _device_points(report, run)),
    ]
    draw_tradeoff(
        points,
        "Size of each file against its latency",
        "MB",
        "ms",
        "cosine to the original's answers",
    )
    st.caption(" ".join(_reading(points, run, len(fitting) < len(reports))))


def _reading(points: Sequence[TradeoffPoint], run: Record, are_some_left_out: bool) -> Iterator[str]:
    """How to read the picture, as far as it shows what is to be read."""
    yield "Lower left is better."
    is_crowded = len({point.machine for point in points}) > 1
    if _is_any_line_seen(points):
        whose = " of the same machine" if is_crowded else ""
        yield f"No file{whose} is both smaller and faster than those on the dashed line."
    if any(point.shade is None for point in points):
        yield "Grey: this server's run has no such file, so nobody compared its answers with the original's."
    if is_crowded:
        yield "The axis of time is logarithmic. Point at a mark without a name to read it."
    if are_some_left_out:
        yield f"Only reports with {plain(run.weights)} weights, as in this run, are drawn."


def _is_any_line_seen(points: Sequence[TradeoffPoint]) -> bool:
    """Between files of almost one size, a front's line is hidden by their points."""
    width = SEEN_SHARE * max(point.x for point in points)
    fronts = [[point.x for point in points if point.on_front and point.machine == known.machine] for known in points]
    return any(max(sizes) - min(sizes) > width for sizes in fronts)


def _server_points(run: Record, is_crowded: bool) -> list[TradeoffPoint]:
    front = verdicts.pareto(run.rows)
    return [
        TradeoffPoint(
            title(row) if row in front or not is_crowded else "",
            row.bytes / 1e6,
            row.median_ms,
            row.cosine,
            row in front,
            f"{title(row)}: {row.bytes / 1e6:.1f} MB, {row.median_ms:.2f} ms, cosine {row.cosine:.5f}",
            f"The server, {run.host.cpu}",
        )
        for row in run.rows
    ]


def _device_points(report: Report, run: Record) -> list[TradeoffPoint]:
    """A file agrees with the original as on the server, whatever runs it."""
    cosines = {row.format: row.cosine for row in run.rows}
    front = verdicts.pareto(report.rows)
    return [
        TradeoffPoint(
            f"{FORMATS[row.format].title}, {row.runs_on}",
            row.bytes / 1e6,
            row.median_ms,
            cosines.get(row.format),
            row in front,
            f"{FORMATS[row.format].title}, {row.runs_on}: {row.bytes / 1e6:.1f} MB, {row.median_ms:.2f} ms",
            f"{report.name} (reported by a visitor)",
        )
        for row in report.rows
    ]


def operators(run: Record) -> None:
    parts = [
        StackPart(title(row), group, spent, f"{title(row)}: {group} {spent:.2f} ms")
        for row in run.rows
        for group, spent in reasons.by_group(row).items()
    ]
    if parts:
        draw_stacks(
            parts,
            [*GROUPS, OTHER],
            "Self time of each kind of operator, by file",
            "ms for one picture, under the profiler",
        )
    for row in run.rows:
        if row.delegated_percent is not None:
            left = f"; left outside: {plain(', '.join(row.undelegated))}" if row.undelegated else ""
            st.caption(
                f"{title(row)} does not tell the time of its operators. Its delegate, XNNPACK, computes "
                f"{row.delegated_percent:.0f} % of them{left}."
            )


def scaling(run: Record) -> None:
    lines = [row.title for row in FORMATS.values()]
    st.markdown("**Pictures a second, by batch**")
    draw_lines(
        [
            LinePoint(title(row), found.batch, found.pictures_per_second, hint)
            for row in run.rows
            for found in row.throughput
            if (hint := f"{title(row)}: {found.pictures_per_second:.0f} pictures/s, {found.batch} at once")
        ],
        lines,
        "Throughput by batch",
        "pictures at once",
        "pictures/s",
    )
    alone = [title(row) for row in run.rows if not row.throughput]
    if alone:
        st.caption(f"One picture at a time only: {'; '.join(alone)}.")
    points = [(row, found) for row in run.rows for found in row.scaling]
    if {found.threads for _, found in points} == {run.threads}:
        st.caption(f"Measured with {counted(run.threads, 'thread')} only.")
        return
    st.markdown("**Milliseconds for one picture, by threads**")
    draw_lines(
        [_step(row, found) for row, found in points],
        lines,
        "Latency by threads",
        "threads",
        "ms",
    )
    unsure = sorted({found.threads for _, found in points if found.interval_ms is None})
    st.caption(
        "The bars are 95 % intervals."
        + (f" None with {' or '.join(map(str, unsure))}: too few rounds, or an older record." if unsure else "")
    )


def _step(row: Row, found: Scaling) -> LinePoint:
    low, high = found.interval_ms or NOBODY_KNOWS
    hint = f"{title(row)}: {found.median_ms:.2f} ms, {counted(found.threads, 'thread')}"
    return LinePoint(title(row), found.threads, found.median_ms, hint, low, high)


def costs(run: Record) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        draw_bars([bar(row, row.load_ms, f"{row.load_ms:.0f} ms") for row in run.rows], "Load time", title="Load")
        draw_bars(
            [bar(row, row.first_ms, f"{row.first_ms:.1f} ms") for row in run.rows], "First answer", title="First answer"
        )
    with right:
        held = [(row, (row.peak_bytes - row.runtime_bytes) / 1e6) for row in run.rows]
        draw_bars([bar(row, value, f"{value:.0f} MB") for row, value in held], "Memory", title="Memory that it adds")
        sizes = [(row, row.bytes / 1e6) for row in run.rows]
        draw_bars([bar(row, value, f"{value:.1f} MB") for row, value in sizes], "File size", title="File size")
    st.caption(
        f"{_visits(run)} Memory comes on top of the {run.rows[0].runtime_bytes / 1e6:.0f} MB that Python with torch "
        "holds already: each brings its own runtime, and the original the code of its model, timm. Load is without "
        "importing that, except in records of version 2."
    )


def _visits(run: Record) -> str:
    if run.visits == 1:
        return "One fresh process for each file, so load and first answer are single measurements: give it more time."
    return f"Medians of {run.visits} fresh processes for each file."


def title(row: Row) -> str:
    return FORMATS[row.format].title


def bar(row: Row, value: float, text: str) -> Bar:
    return Bar(title(row), value, text, f"{title(row)}: {text}")

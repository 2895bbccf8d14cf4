"""Size against latency: the server's files and those that visitors' devices ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import streamlit as st

from deploy_core.formats import FORMATS
from deploy_core.profile.device.report import Report
from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import verdicts
from pages.charts.tradeoff import TradeoffPoint, draw_tradeoff
from pages.parts.text import escaped
from pages.runs.files import title

# A shorter line, as a share of the chart's width, is hidden by its points.
SEEN_SHARE = 0.05


def draw(run: Record, reports: Sequence[Report] = ()) -> None:
    """Draws the files of a run, and those of the reports with the same weights."""
    fitting = [report for report in reports if report.weights == run.weights]
    on_server = _server_points(run, bool(fitting))
    on_devices = [point for report in fitting for point in _device_points(report, run)]
    points = [*on_server, *on_devices]
    draw_tradeoff(
        points,
        "Size of each file against its latency",
        "MB",
        "ms",
        "cosine to the original's answers",
    )
    st.caption(" ".join(_how_to_read(points, run, len(fitting) < len(reports))))


def _how_to_read(points: Sequence[TradeoffPoint], run: Record, are_some_left_out: bool) -> Iterator[str]:
    """Sentences that explain the picture; each only if the picture shows what it explains."""
    yield "Lower left is better."
    is_crowded = len({point.machine for point in points}) > 1
    if _is_any_line_seen(points):
        whose = " of the same machine" if is_crowded else ""
        yield f"No file{whose} is both smaller and faster than those on the dashed line."
    if any(point.shade is None for point in points):
        yield "Grey: this server's run has no such file, so its answers were not compared with the original's."
    if is_crowded:
        yield "The time axis is logarithmic. Point at a mark without a name to read it."
    if are_some_left_out:
        yield f"Only reports with {escaped(run.weights)} weights, as in this run, are drawn."


def _is_any_line_seen(points: Sequence[TradeoffPoint]) -> bool:
    """Whether a front's line is visible. Between files of almost the same size, their points hide it."""
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
    """The files of a report. A file's cosine to the original is the server's, because it does not depend on the
    device.
    """
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

"""Size against latency: the server's files and those that visitors' devices ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import streamlit as st

from deploy_core.formats import FORMATS
from deploy_core.profile.device.report import Report
from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import headlines, verdicts
from pages.charts.tradeoff import TradeoffPoint, draw_tradeoff
from pages.parts.text import escaped
from pages.runs.files import title
from pages.runs.headed import head

# A shorter line, as a share of the chart's width, is hidden by its points.
SEEN_SHARE = 0.05


def draw(run: Record, reports: Sequence[Report] = ()) -> None:
    """Draws the files of a run, and those of the reports with the same weights."""
    fitting = [report for report in reports if report.weights == run.weights]
    colours = head(headlines.size_and_speed(run))
    on_server = _server_points(run, colours, bool(fitting))
    on_devices = [point for report in fitting for point in _device_points(report, colours)]
    points = [*on_server, *on_devices]
    draw_tradeoff(
        points,
        "Size of each file against its latency",
        "file size, MB",
        "ms for one picture",
    )
    st.caption(" ".join(_how_to_read(points, run, len(fitting) < len(reports))))


def _how_to_read(points: Sequence[TradeoffPoint], run: Record, are_some_left_out: bool) -> Iterator[str]:
    """Sentences that explain the picture; each only if the picture shows what it explains."""
    yield "Lower left is better."
    is_crowded = len({point.machine for point in points}) > 1
    if _is_any_line_seen(points):
        whose = " of the same machine" if is_crowded else ""
        yield f"No file{whose} is both smaller and faster than those on the dashed line."
    if is_crowded:
        yield "The time axis is logarithmic. Point at a mark without a name to read it."
    if are_some_left_out:
        yield f"Only reports with {escaped(run.weights)} weights, as in this run, are drawn."


def _is_any_line_seen(points: Sequence[TradeoffPoint]) -> bool:
    """Whether a front's line is visible. Between files of almost the same size, their points hide it."""
    width = SEEN_SHARE * max(point.x for point in points)
    fronts = [[point.x for point in points if point.on_front and point.machine == known.machine] for known in points]
    return any(max(sizes) - min(sizes) > width for sizes in fronts)


def _server_points(run: Record, colours: dict[str, str], is_crowded: bool) -> list[TradeoffPoint]:
    front = verdicts.pareto(run.rows)
    return [
        TradeoffPoint(
            title(row) if row in front or not is_crowded else "",
            row.bytes / 1e6,
            row.median_ms,
            colours[title(row)],
            row in front,
            f"{title(row)}: {row.bytes / 1e6:.1f} MB, {row.median_ms:.2f} ms, cosine {row.cosine:.5f}",
            f"The server, {run.host.cpu}",
        )
        for row in run.rows
    ]


def _device_points(report: Report, colours: dict[str, str]) -> list[TradeoffPoint]:
    front = verdicts.pareto(report.rows)
    return [
        TradeoffPoint(
            f"{FORMATS[row.format].title}, {row.runs_on}",
            row.bytes / 1e6,
            row.median_ms,
            colours[FORMATS[row.format].title],
            row in front,
            f"{FORMATS[row.format].title}, {row.runs_on}: {row.bytes / 1e6:.1f} MB, {row.median_ms:.2f} ms",
            f"{report.name} (reported by a visitor)",
        )
        for row in report.rows
    ]

"""Throughput by batch, and latency by threads."""

from __future__ import annotations

import streamlit as st

from deploy_core.formats import FORMATS
from deploy_core.profile.record.record import Record, Row, Scaling
from deploy_core.profile.verdict import headlines
from deploy_core.profile.words import counted
from pages.charts import theme
from pages.charts.lines import LinePoint, draw_lines
from pages.runs.files import UNKNOWN_INTERVAL, title
from pages.runs.headed import head, missing


def draw(run: Record) -> None:
    _by_batch(run)
    _by_threads(run)


def _by_batch(run: Record) -> None:
    if not any(row.throughput for row in run.rows):
        missing(run, "batches")
        return
    head(headlines.batches(run))
    draw_lines(
        [
            LinePoint(title(row), rate.batch, rate.pictures_per_second, hint)
            for row in run.rows
            for rate in row.throughput
            if (hint := f"{title(row)}: {rate.pictures_per_second:.0f} pictures/s, {rate.batch} at once")
        ],
        theme.file_colours(),
        "Throughput by batch",
        "pictures at once",
        "pictures/s",
    )
    alone = [title(row) for row in run.rows if not FORMATS[row.format].takes_batches]
    if alone:
        st.caption(f"One picture at a time only: {'; '.join(alone)}.")


def _by_threads(run: Record) -> None:
    measured = [(row, scaling) for row in run.rows for scaling in row.scaling]
    if all(len(row.scaling) < 2 for row in run.rows):
        st.caption(f"Measured with {counted(run.threads, 'thread')} only.")
        return
    head(headlines.threads(run))
    points = [_point(row, scaling) for row, scaling in measured]
    draw_lines(points, theme.file_colours(), "Latency by threads", "threads", "ms for one picture")
    unsure = sorted({scaling.threads for _, scaling in measured if scaling.interval_ms is None})
    st.caption(
        "The bars are 95 % intervals."
        + (f" None with {' or '.join(map(str, unsure))}: too few rounds, or an older record." if unsure else "")
    )


def _point(row: Row, scaling: Scaling) -> LinePoint:
    low, high = scaling.interval_ms or UNKNOWN_INTERVAL
    hint = f"{title(row)}: {scaling.median_ms:.2f} ms, {counted(scaling.threads, 'thread')}"
    return LinePoint(title(row), scaling.threads, scaling.median_ms, hint, low, high)

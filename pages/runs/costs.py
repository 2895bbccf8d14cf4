"""What a file costs besides its latency: load time, first answer, memory, size."""

from __future__ import annotations

import streamlit as st

from deploy_core.profile.record.record import Record, Row
from pages.charts.bars import Bar, draw_bars
from pages.runs.files import title


def draw(run: Record) -> None:
    left, right = st.columns(2, gap="large")
    loads = [_bar(row, row.load_ms, f"{row.load_ms:.0f} ms") for row in run.rows]
    firsts = [_bar(row, row.first_ms, f"{row.first_ms:.1f} ms") for row in run.rows]
    added = [_bar(row, row.added_bytes / 1e6, f"{row.added_bytes / 1e6:.0f} MB") for row in run.rows]
    sizes = [_bar(row, row.bytes / 1e6, f"{row.bytes / 1e6:.1f} MB") for row in run.rows]
    with left:
        draw_bars(loads, "Load time", title="Load")
        draw_bars(firsts, "First answer", title="First answer")
    with right:
        draw_bars(added, "Memory", title="Memory that it adds")
        draw_bars(sizes, "File size", title="File size")
    st.caption(
        f"{_visits(run)} Python with torch already holds {run.rows[0].runtime_bytes / 1e6:.0f} MB. Memory is what a "
        "file adds to that, with its runtime; the original adds timm, the code of the model. Load leaves out importing "
        "these, except in records of version 2."
    )


def _visits(run: Record) -> str:
    if run.visits == 1:
        return "One fresh process for each file, so load and first answer are single measurements: give it more time."
    return f"Medians of {run.visits} fresh processes for each file."


def _bar(row: Row, value: float, text: str) -> Bar:
    return Bar(title(row), value, text, f"{title(row)}: {text}")

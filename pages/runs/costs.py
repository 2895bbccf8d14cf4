"""What a file costs besides its latency: load time, first answer, memory, size."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.verdict import headlines
from deploy_core.profile.verdict.headlines import Headline
from pages.charts.bars import Bar, draw_bars
from pages.runs.files import title
from pages.runs.headed import head, missing


def draw(run: Record) -> None:
    left, right = st.columns(2, gap="large")
    with right:
        _chart(run, headlines.size(run), "File size", "MB", lambda row: row.bytes / 1e6)
    if not run.visits:
        with left:
            missing(run, "loading, the first answer and memory")
        return
    with left:
        _chart(run, headlines.loading(run), "Load time", "ms", lambda row: row.load_ms)
        _chart(run, headlines.first_answer(run), "First answer", "ms", lambda row: row.first_ms)
    with right:
        _chart(run, headlines.memory(run), "Memory", "MB", lambda row: row.added_bytes and row.added_bytes / 1e6)
    runtime = run.rows[0].runtime_bytes or 0
    st.caption(
        f"{_visits(run)} Python with torch already holds {runtime / 1e6:.0f} MB. Memory is what a file adds to that, "
        "with its runtime; the original adds timm, the code of the model. Load leaves out importing these, except in "
        "records of version 2."
    )


def _chart(run: Record, headline: Headline, alt_text: str, unit: str, value: Callable[[Row], float | None]) -> None:
    colours = head(headline)
    found = {title(row): value(row) for row in run.rows}
    bars = [
        Bar(name, number, f"{number:.1f} {unit}", f"{name}: {number:.1f} {unit}", colours[name])
        for name, number in sorted(found.items(), key=lambda pair: pair[1] or 0)
        if number is not None
    ]
    draw_bars(bars, alt_text, unit=unit)


def _visits(run: Record) -> str:
    if run.visits == 1:
        return "One fresh process for each file, so load and first answer are single measurements: give it more time."
    return f"Medians of {run.visits} fresh processes for each file."

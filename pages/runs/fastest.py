"""The answer: which file is the fastest, and by how much."""

from __future__ import annotations

import streamlit as st

from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import headlines, verdicts
from pages.charts import theme
from pages.charts.bars import Bar, draw_bars
from pages.parts.text import escaped
from pages.runs.files import fastest_first, title

ALT_TEXT = "Median latency of each file"


def draw(run: Record) -> None:
    headline = headlines.speed(run)
    st.header(escaped(headline.text), anchor="fastest")
    colours = theme.emphasis((headline.about or "",))
    draw_bars(
        [
            Bar(
                title(row),
                row.median_ms,
                f"{row.median_ms:.1f} ms",
                f"{title(row)}: {row.median_ms:.2f} ms, {1 / row.ratio:.2f} times as fast as the original",
                colours[title(row)],
            )
            for row in fastest_first(run)
        ],
        ALT_TEXT,
        unit="ms for one picture, median",
    )
    st.caption(verdicts.certainty(run))

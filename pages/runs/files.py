"""The table of all files in a run: five columns, and all figures where they are wanted."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core.formats import FORMATS
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.verdict import tables
from deploy_core.shares import percent
from pages.parts.text import escaped

# A column as wide as its longest text.
ENGINE_PIXELS = 110
# The bounds of an interval that too few rounds leave unknown.
UNKNOWN_INTERVAL = (None, None)
MILLISECONDS = st.column_config.NumberColumn(format="%.2f ms")
COLUMNS = {
    "File": st.column_config.TextColumn(pinned=True),
    "Size": st.column_config.NumberColumn(format="%.2f MB"),
    "Median latency": st.column_config.NumberColumn(format="%.2f ms", help="For one picture: the median of the rounds"),
    "Times as fast": st.column_config.NumberColumn(
        format="%.2f ×", help="The original's median divided by this one; both were measured in turn"
    ),
    "Matches the original": st.column_config.TextColumn(
        help="Share of the proof's pictures on which its first class is the original's, or one that the original finds "
        "as likely"
    ),
    "95 % of the median": st.column_config.TextColumn(help="95 % interval, ms"),
    "95 % of the speed": st.column_config.TextColumn(help="95 % interval of the times as fast"),
    "Reduction": st.column_config.NumberColumn(format="%.2f %%", help="The tutorial's last column"),
    "Spread": st.column_config.NumberColumn(format="%.2f ms", help="Between the quartiles of the rounds"),
    "p95": st.column_config.NumberColumn(format="%.2f ms", help="95 of 100 rounds took at most this"),
    "First answer": MILLISECONDS,
    "Load": MILLISECONDS,
    "Memory": st.column_config.NumberColumn(format="%.0f MB", help="What the file adds to Python with torch"),
    "Engine": st.column_config.TextColumn(
        width=ENGINE_PIXELS,
        help="What ran it here. For int8 in TorchScript: the fastest quantized engine of this torch",
    ),
}


def title(row: Row) -> str:
    return FORMATS[row.format].title


def fastest_first(run: Record) -> list[Row]:
    return sorted(run.rows, key=lambda row: row.median_ms)


def draw(run: Record) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("All files", width="stretch")
        is_everything = st.toggle("Show all columns", key="all_columns")
    table = pd.DataFrame([_line(row) | (_more(row) if is_everything else {}) for row in fastest_first(run)])
    st.dataframe(table.dropna(axis="columns", how="all"), hide_index=True, placeholder="", column_config=COLUMNS)
    for missing in tables.unmeasured(run):
        st.warning(escaped(missing), icon=":material/error:")


def _line(row: Row) -> dict[str, object]:
    return {
        "File": title(row),
        "Size": row.bytes / 1e6,
        "Median latency": row.median_ms,
        "Times as fast": 1 / row.ratio,
        "Matches the original": "No: changes answers"
        if row.disagrees
        else f"{percent(row.top1_agreement)} of pictures",
    }


def matches(row: Row) -> str:
    return "No: changes answers" if row.disagrees else f"{percent(row.top1_agreement)} of pictures"


def _more(row: Row) -> dict[str, object]:
    return {
        "95 % of the median": tables.interval_text(row.median_interval_ms),
        "95 % of the speed": tables.interval_text(row.speed_interval),
        "Reduction": row.reduction_percent,
        "Spread": row.spread_ms,
        "p95": row.p95_ms,
        "First answer": row.first_ms,
        "Load": row.load_ms,
        "Memory": row.added_bytes and row.added_bytes / 1e6,
        "Engine": row.run_engine,
    }

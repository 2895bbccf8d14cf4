"""The table of all files in a run."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core.formats import FORMATS
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.verdict import tables
from pages.parts.text import escaped

# A column as wide as its longest text.
ENGINE_PIXELS = 110
# The bounds of an interval that too few rounds leave unknown.
UNKNOWN_INTERVAL = (None, None)


def title(row: Row) -> str:
    return FORMATS[row.format].title


def draw(run: Record) -> None:
    st.dataframe(
        pd.DataFrame([_line(row) for row in run.rows]),
        hide_index=True,
        column_config={
            "Model": st.column_config.TextColumn(pinned=True),
            "Median": st.column_config.NumberColumn(format="%.2f ms", help="Inference time: the median of the rounds"),
            "95 %": st.column_config.TextColumn(help="95 % interval of the median, ms"),
            "Ratio": st.column_config.TextColumn(help="The median divided by the original's, with its 95 % interval"),
            "Reduction": st.column_config.NumberColumn(format="%.2f %%", help="Against the original"),
            "Spread": st.column_config.NumberColumn(format="%.2f ms", help="Between the quartiles of the rounds"),
            "p95": st.column_config.NumberColumn(format="%.2f ms"),
            "Same answer": st.column_config.NumberColumn(
                format="%.0f %%",
                help="Share of the reference pictures on which its first class is the original's, or one that the "
                "original finds as likely",
            ),
            "Size": st.column_config.NumberColumn(format="%.2f MB"),
            "Engine": st.column_config.TextColumn(
                width=ENGINE_PIXELS,
                help="What ran it here. For int8 in TorchScript: the fastest quantized engine of this torch",
            ),
        },
    )
    for missing in tables.unmeasured(run):
        st.warning(escaped(missing), icon=":material/error:")


def _line(row: Row) -> dict[str, object]:
    return {
        "Model": title(row),
        "Median": row.median_ms,
        "95 %": tables.interval_text(row.median_interval_ms),
        "Ratio": f"{row.ratio:.2f} ({tables.interval_text(row.ratio_interval)})",
        "Reduction": row.reduction_percent,
        "Same answer": row.top1_agreement * 100,
        "Size": row.bytes / 1e6,
        "Engine": row.run_engine,
        "Spread": row.spread_ms,
        "p95": row.p95_ms,
    }

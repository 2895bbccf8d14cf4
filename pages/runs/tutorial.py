"""The last table of the tutorial: the figures of a run next to the tutorial's own."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict import tables


def draw(run: Record) -> None:
    rows = {row.format: row for row in run.rows}
    st.table(
        pd.DataFrame(
            [
                {
                    "Model": line.model,
                    "Self CPU": _cell(row.self_cpu_ms, tables.tutorial_reduction(run.rows[0], row)),
                    "Median": _cell(row.median_ms, row.reduction_percent),
                    "The tutorial's": _cell(line.milliseconds, line.reduction_percent),
                }
                for line in tables.TUTORIAL
                if (row := rows.get(line.format))
            ]
        ).set_index("Model")
    )
    st.caption(
        "Inference time, and its reduction against the original. Self CPU is the tutorial's figure, from PyTorch's "
        "profiler: the median of a few calls, one after the other. Median is over all rounds in turn, without the cost "
        "of the profiler; where the two differ, trust the median. The tutorial measured DeiT-Base on Google Colab."
    )


def _cell(milliseconds: float | None, reduction: float | None) -> str:
    return "" if milliseconds is None or reduction is None else f"{milliseconds:.2f} ms, {reduction:.2f} %"

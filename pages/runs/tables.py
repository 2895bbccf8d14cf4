"""The tables of a profile: every file, two of them side by side, and the tutorial's own."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deploy_core.formats import FORMATS
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.verdict import reasons, tables
from pages.parts import text

# What the original is compared with at first.
USUAL_OTHER = FORMATS["quantized"].title
# As wide as their longest text.
ENGINE_PIXELS = 110
OPERATOR_PIXELS = 300
REASON_PIXELS = 480


def every_file(run: Record) -> None:
    rows = pd.DataFrame([_line(row) for row in run.rows])
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "Model": st.column_config.TextColumn(pinned=True),
            "Median": st.column_config.NumberColumn(format="%.2f ms", help="Inference time: the median of the rounds"),
            "95 %": st.column_config.TextColumn(help="Interval of the median, ms"),
            "Of the original's": st.column_config.TextColumn(help="Ratio of the medians, with its 95 % interval"),
            "Reduction": st.column_config.NumberColumn(format="%.2f %%", help="Against the original"),
            "Spread": st.column_config.NumberColumn(format="%.2f ms", help="Between the quartiles of the rounds"),
            "p95": st.column_config.NumberColumn(format="%.2f ms"),
            "Same answer": st.column_config.NumberColumn(
                format="%.0f %%", help="First answer as the original's, or as likely to it, on the reference pictures"
            ),
            "Size": st.column_config.NumberColumn(format="%.2f MB"),
            "Engine": st.column_config.TextColumn(
                width=ENGINE_PIXELS,
                help="What computed it here: for int8 in TorchScript, the fastest quantized engine of this torch",
            ),
        },
    )
    for missing in tables.unmeasured(run):
        st.warning(text.plain(missing), icon=":material/error:")


def _line(row: Row) -> dict[str, object]:
    return {
        "Model": FORMATS[row.format].title,
        "Median": row.median_ms,
        "95 %": tables.interval_text(row.median_interval_ms),
        "Of the original's": f"{row.ratio:.2f} ({tables.interval_text(row.ratio_interval)})",
        "Reduction": row.reduction_percent,
        "Same answer": row.top1_agreement * 100,
        "Size": row.bytes / 1e6,
        "Engine": row.run_engine,
        "Spread": row.spread_ms,
        "p95": row.p95_ms,
    }


def side_by_side(run: Record) -> None:
    """The operators of two files; nothing where fewer tell theirs."""
    seen = [row for row in run.rows if row.operators]
    if len(seen) < 2:
        return
    st.markdown("**Two files side by side**")
    left, right = st.columns(2)
    by_title = {FORMATS[row.format].title: row for row in seen}
    usual = [*by_title].index(USUAL_OTHER) if USUAL_OTHER in by_title else 1
    one = str(left.selectbox("One", by_title, key="operators_of", filter_mode=None))
    other = str(right.selectbox("The other", by_title, index=usual, key="operators_in", filter_mode=None))
    if one == other:
        st.caption("These are the same file.")
        return
    first, second = by_title[one], by_title[other]
    st.markdown(text.plain(reasons.explanation(first, second)))
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Operator": operator.name,
                    "Kind": operator.group,
                    one: operator.first_ms,
                    other: operator.second_ms,
                    "Difference": operator.difference_ms,
                    "Why": operator.reason or "",
                }
                for operator in reasons.differences(first, second)
            ]
        ),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.3f ms", help="Self time in one inference")
            for name in (one, other)
        }
        | {
            "Operator": st.column_config.TextColumn(width=OPERATOR_PIXELS),
            "Difference": st.column_config.NumberColumn(format="%+.3f ms"),
            "Why": st.column_config.TextColumn(width=REASON_PIXELS),
        },
    )


def tutorial(run: Record) -> None:
    rows = {row.format: row for row in run.rows}
    st.table(
        pd.DataFrame(
            [
                {
                    "Model": told.model,
                    "Self CPU": _cell(row.self_cpu_ms, tables.tutorial_reduction(run.rows[0], row)),
                    "Median": _cell(row.median_ms, row.reduction_percent),
                    "The tutorial's": _cell(told.milliseconds, told.reduction_percent),
                }
                for told in tables.TUTORIAL
                if (row := rows.get(told.format))
            ]
        ).set_index("Model")
    )
    st.caption(
        "Inference time, and how much less than the original's. Self CPU is what the tutorial computes, from PyTorch's "
        "profiler: the median of a few calls one after the other. The median is that of all rounds in turn, without "
        "the profiler's own cost; where the two differ, believe it. The tutorial's figures are of DeiT-Base on Google "
        "Colab."
    )


def _cell(milliseconds: float | None, reduction: float | None) -> str:
    return "" if milliseconds is None or reduction is None else f"{milliseconds:.2f} ms, {reduction:.2f} %"

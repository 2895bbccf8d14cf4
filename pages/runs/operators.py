"""Where the time of each file goes: its operators by kind, and those of two files side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from deploy_core.formats import FORMATS
from deploy_core.formats.operators import GROUPS, OTHER
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.verdict import headlines, reasons
from pages.charts.stacks import StackPart, draw_stacks
from pages.parts.text import escaped
from pages.runs.files import title
from pages.runs.headed import head, missing

# The file that is compared with the original until the visitor picks another.
USUAL_OTHER = FORMATS["quantized"].title
# Columns as wide as their longest text.
OPERATOR_PIXELS = 300
REASON_PIXELS = 480


def draw(run: Record) -> None:
    _kinds(run)
    _side_by_side(run)


def _kinds(run: Record) -> None:
    parts = [
        StackPart(title(row), group, milliseconds, f"{title(row)}: {group} {milliseconds:.2f} ms")
        for row in run.rows
        for group, milliseconds in reasons.by_group(row).items()
    ]
    if parts:
        head(headlines.operators(run))
        draw_stacks(
            parts,
            [*GROUPS, OTHER],
            "Self time of each kind of operator, by file",
            "ms for one picture, under the profiler",
        )
    else:
        missing(run, "operators")
    delegated = [row for row in run.rows if row.delegated_percent is not None]
    if delegated:
        st.caption(_delegated(delegated))


def _delegated(rows: Sequence[Row]) -> str:
    """What is known of files whose runtime hands operators to a delegate."""
    names = " and ".join(title(row) for row in rows)
    shares = "; ".join(
        f"{FORMATS[row.format].delegate} computes {row.delegated_percent:.0f} % of the operators of {title(row)}"
        for row in rows
    )
    outside = sorted({name for row in rows for name in row.undelegated})
    rest = f"; not delegated: {escaped(', '.join(outside))}" if outside else ""
    return f"The runtime of {names} does not report times of operators. {shares}{rest}."


def _side_by_side(run: Record) -> None:
    """The operators of two files; nothing if fewer than two report their operators."""
    by_title = {title(row): row for row in run.rows if row.operators}
    if len(by_title) < 2:
        return
    st.subheader("Two files side by side", anchor=False)
    left, right = st.columns(2)
    usual = [*by_title].index(USUAL_OTHER) if USUAL_OTHER in by_title else 1
    one = str(left.selectbox("One", by_title, key="operators_of", filter_mode=None))
    other = str(right.selectbox("The other", by_title, index=usual, key="operators_in", filter_mode=None))
    if one == other:
        st.caption("These are the same file.")
    else:
        _differences(by_title[one], by_title[other])


def _differences(first: Row, second: Row) -> None:
    st.markdown(escaped(reasons.explanation(first, second)))
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Operator": operator.name,
                    "Kind": operator.group,
                    title(first): operator.first_ms,
                    title(second): operator.second_ms,
                    "Difference": operator.difference_ms,
                    "Why": operator.reason or "",
                }
                for operator in reasons.differences(first, second)
            ]
        ),
        hide_index=True,
        column_config={
            title(row): st.column_config.NumberColumn(format="%.3f ms", help="Self time in one inference")
            for row in (first, second)
        }
        | {
            "Operator": st.column_config.TextColumn(width=OPERATOR_PIXELS),
            "Difference": st.column_config.NumberColumn(format="%+.3f ms"),
            "Why": st.column_config.TextColumn(width=REASON_PIXELS),
        },
    )

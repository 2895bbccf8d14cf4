"""Values with their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd
import streamlit as st

from pages.charts import theme
from pages.charts.parts import ROW_PIXELS, draw, hint, own_colour, row_labels


@dataclass(frozen=True)
class IntervalMark:
    """A value and its 95 % interval; the bounds are None where it is not known.

    Without a ``colour`` it has the theme's.
    """

    label: str
    value: float
    low: float | None
    high: float | None
    hint: str
    colour: str | None = None


def draw_intervals(
    marks: Sequence[IntervalMark], alt_text: str, unit: str, origin: float | None = None, title: str | None = None
) -> None:
    """Draws values with their intervals, in the given order, on one axis that need not begin at zero.

    A vertical line at ``origin``, where it is given, separates the values above it from those below.
    """
    rows = pd.DataFrame([vars(mark) | {"colour": mark.colour or theme.accent()} for mark in marks])
    rows = rows.astype({"low": float, "high": float})
    base = alt.Chart(rows).encode(y=row_labels(), color=own_colour(), **hint())
    scale = alt.Scale(zero=False, nice=True, padding=12)
    axis = alt.Axis(title=unit, tickCount=5)
    line = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=3, opacity=0.45)
    line = line.encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q")
    chart = line + base.mark_point(filled=True, size=90, opacity=1).encode(x=alt.X("value:Q", scale=scale, axis=axis))
    if origin is not None:
        rule = alt.Chart(pd.DataFrame({"value": [origin]})).mark_rule(color=theme.ink(), opacity=0.5)
        chart += rule.encode(x=alt.X("value:Q", scale=scale, axis=axis))
    if title:
        st.markdown(f"**{title}**")
    draw(chart, ROW_PIXELS * len(marks) + 45, alt_text)

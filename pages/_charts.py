"""The charts that the pages draw. Text marks do not follow the theme by themselves, so the ink is chosen here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd
import streamlit as st

ROW_PIXELS = 36
CELL_PIXELS = 34
ROOM_FOR_TEXT = 1.25
INK = {"light": "#2f2d2b", "dark": "#edebe8"}
INK_ON_FULL = {"light": "#ffffff", "dark": "#10201e"}
# The shade of an empty and of a full cell.
SHADES = {"light": ("#f3f6f5", "#0d8276"), "dark": ("#1d2423", "#35c2b1")}


@dataclass(frozen=True)
class Bar:
    """``text`` stands beside the bar; ``hint`` appears when it is pointed at."""

    label: str
    value: float
    text: str
    hint: str


@dataclass(frozen=True)
class Interval:
    """A value, and where it lies with 95 % confidence."""

    label: str
    value: float
    low: float
    high: float
    hint: str


@dataclass(frozen=True)
class Share:
    """A cell of a matrix: ``share`` (0..1) decides its shade, ``text`` stands in it."""

    row: str
    column: str
    share: float
    text: str
    hint: str


@dataclass(frozen=True)
class Dot:
    """A point of a diagram whose axes both go from 0 to 1; ``weight`` decides its size."""

    x: float
    y: float
    weight: float
    hint: str


def draw_bars(bars: Sequence[Bar], alt_text: str, largest: float | None = None, title: str | None = None) -> None:
    """Draws bars in the given order; ``largest`` is the value of a full one, the largest bar's by default."""
    rows = pd.DataFrame([vars(bar) for bar in bars])
    full = ROOM_FOR_TEXT * (largest or max(bar.value for bar in bars))
    base = alt.Chart(rows).encode(
        y=_labels(),
        x=alt.X("value:Q", scale=alt.Scale(domain=[0, full]), axis=None),
        tooltip=_hint(),
    )
    chart = base.mark_bar(height=18, cornerRadiusEnd=4) + base.mark_text(align="left", dx=6, color=_ink()).encode(
        text="text:N"
    )
    if title:
        st.markdown(f"**{title}**")
    st.altair_chart(chart, height=ROW_PIXELS * len(bars) + 10, alt=alt_text)


def draw_intervals(intervals: Sequence[Interval], alt_text: str, unit: str) -> None:
    """Draws values with their intervals, in the given order, on one axis that need not begin at zero."""
    rows = pd.DataFrame([vars(interval) for interval in intervals])
    base = alt.Chart(rows).encode(y=_labels(), tooltip=_hint())
    scale = alt.Scale(zero=False, nice=True, padding=12)
    axis = alt.Axis(title=unit, tickCount=5)
    line = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q")
    line = line.encode(color=alt.value(_accent()))
    point = base.mark_point(filled=True, size=90, opacity=1).encode(x=alt.X("value:Q", scale=scale, axis=axis))
    st.altair_chart(line + point, height=ROW_PIXELS * len(intervals) + 45, alt=alt_text)


def draw_matrix(cells: Sequence[Share], names: Sequence[str], alt_text: str, row: str, column: str) -> None:
    """Draws a square heat map of the classes ``names``; what no cell tells is empty."""
    rows = pd.DataFrame([vars(cell) for cell in cells])
    empty, full = SHADES[_theme()]
    base = alt.Chart(rows).encode(
        x=alt.X("column:N", sort=list(names), scale=alt.Scale(domain=list(names)), title=column, axis=_slanted()),
        y=alt.Y("row:N", sort=list(names), scale=alt.Scale(domain=list(names)), title=row),
        tooltip=_hint(),
    )
    scale = alt.Scale(domain=[0, 1], range=[empty, full], type="pow", exponent=0.5)
    squares = base.mark_rect().encode(color=alt.Color("share:Q", scale=scale, legend=None))
    texts = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition("datum.share > 0.4", alt.value(INK_ON_FULL[_theme()]), alt.value(_ink())),
    )
    st.altair_chart(squares + texts, height=CELL_PIXELS * len(names) + 110, alt=alt_text)


def draw_diagonal(dots: Sequence[Dot], alt_text: str, across: str, up: str) -> None:
    """Draws points against the diagonal on which they should lie."""
    rows = pd.DataFrame([vars(dot) for dot in dots])
    ends = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})
    scale = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%", tickCount=5)
    diagonal = alt.Chart(ends).mark_line(strokeDash=[5, 4], color=_ink(), opacity=0.5).encode(x="x:Q", y="y:Q")
    points = alt.Chart(rows).encode(
        x=alt.X("x:Q", scale=scale, axis=axis, title=across), y=alt.Y("y:Q", scale=scale, axis=axis, title=up)
    )
    points = points.mark_point(filled=True, opacity=1).encode(
        size=alt.Size("weight:Q", scale=alt.Scale(range=[30, 260]), legend=None), tooltip=_hint()
    )
    st.altair_chart(diagonal + points, height=320, alt=alt_text)


def _labels() -> alt.Y:
    return alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=170, ticks=False, domain=False))


def _slanted() -> alt.Axis:
    return alt.Axis(labelAngle=-45, labelOverlap=False)


def _hint() -> alt.Tooltip:
    return alt.Tooltip("hint:N", title=" ")


def _theme() -> str:
    return "dark" if st.context.theme.type == "dark" else "light"


def _ink() -> str:
    return INK[_theme()]


def _accent() -> str:
    return SHADES[_theme()][1]

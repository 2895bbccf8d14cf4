"""Horizontal bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd
import streamlit as st

from pages.charts import theme
from pages.charts.parts import ROW_PIXELS, draw, hint, row_labels

# The text needs a quarter of the longest bar's length to its right.
ROOM_FOR_TEXT = 1.25


@dataclass(frozen=True)
class Bar:
    """``text`` is drawn next to the bar; ``hint`` is its tooltip."""

    label: str
    value: float
    text: str
    hint: str


def draw_bars(bars: Sequence[Bar], alt_text: str, largest: float | None = None, title: str | None = None) -> None:
    """Draws bars in the given order; ``largest`` is the value of a full one, the largest bar's by default."""
    rows = pd.DataFrame([vars(bar) for bar in bars])
    full = ROOM_FOR_TEXT * (largest or max(bar.value for bar in bars))
    base = alt.Chart(rows).encode(
        y=row_labels(),
        x=alt.X("value:Q", scale=alt.Scale(domain=[0, full]), axis=None),
        **hint(),
    )
    texts = base.mark_text(align="left", dx=6, color=theme.ink()).encode(text="text:N")
    if title:
        st.markdown(f"**{title}**")
    draw(base.mark_bar(height=18, cornerRadiusEnd=4) + texts, ROW_PIXELS * len(bars) + 10, alt_text)

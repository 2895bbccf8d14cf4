"""The one kind of chart that the pages draw: labelled horizontal bars with their values beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd
import streamlit as st

BAR_PIXELS = 36
ROOM_FOR_TEXT = 1.25
INK = {"light": "#2f2d2b", "dark": "#edebe8"}


@dataclass(frozen=True)
class Bar:
    """``text`` stands beside the bar; ``hint`` appears when it is pointed at."""

    label: str
    value: float
    text: str
    hint: str


def draw_bars(bars: Sequence[Bar], alt_text: str, largest: float | None = None, title: str | None = None) -> None:
    """Draws bars in the given order; ``largest`` is the value of a full one, the largest bar's by default."""
    rows = pd.DataFrame([vars(bar) for bar in bars])
    full = ROOM_FOR_TEXT * (largest or max(bar.value for bar in bars))
    base = alt.Chart(rows).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=170, ticks=False, domain=False)),
        x=alt.X("value:Q", scale=alt.Scale(domain=[0, full]), axis=None),
        tooltip=alt.Tooltip("hint:N", title=" "),
    )
    # A text mark does not follow the theme by itself.
    ink = INK["dark" if st.context.theme.type == "dark" else "light"]
    chart = base.mark_bar(height=18, cornerRadiusEnd=4) + base.mark_text(align="left", dx=6, color=ink).encode(
        text="text:N"
    )
    if title:
        st.markdown(f"**{title}**")
    st.altair_chart(chart, height=BAR_PIXELS * len(bars) + 10, alt=alt_text)

"""What several charts share: rows with labels, tooltips, colours by name, and drawing with the SVG button below."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import altair as alt
import streamlit as st

from pages.charts import svg

ROW_PIXELS = 36


def draw(chart: alt.Chart | alt.LayerChart, height: int, alt_text: str) -> None:
    """Draws a chart with Streamlit's menu, which saves it as PNG, and a button that saves it as SVG."""
    st.altair_chart(chart, height=height, alt=alt_text)
    svg.offer(alt_text)


def coloured(field: str, colours: Mapping[str, str], used: Collection[str]) -> alt.Color:
    """Gives each name its colour of ``colours``; the legend shows the ``used`` names."""
    scale = alt.Scale(domain=[*colours], range=[*colours.values()])
    values = [name for name in colours if name in used]
    legend = alt.Legend(orient="bottom", columns=2, values=values, labelFontSize=11, labelLimit=130, symbolSize=70)
    return alt.Color(field, scale=scale, sort=[*colours], title=None, legend=legend)


def row_labels() -> alt.Y:
    return alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=170, ticks=False, domain=False))


def hint() -> dict[str, Any]:
    """The tooltip of a mark, which screen readers read too."""
    return {"tooltip": alt.Tooltip("hint:N", title=" "), "description": alt.Description("hint:N")}

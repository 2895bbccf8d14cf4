"""What several charts share: rows with labels, tooltips, colours by name, and drawing with the SVG button below."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from pages.charts import svg

ROW_PIXELS = 36


def draw(chart: alt.Chart | alt.LayerChart, height: int, alt_text: str) -> None:
    """Draws a chart with Streamlit's menu, which saves it as PNG, and a button that saves it as SVG.

    Where two charts differ only in their data, Streamlit replaces rows in the old drawing: categories that stay keep
    their old place, before new ones. With a digest of the data in its specification, a chart with other data is drawn
    anew.
    """
    st.altair_chart(chart.properties(usermeta={"data": _digest(chart)}), height=height, alt=alt_text)
    svg.offer(alt_text)


def _digest(chart: alt.Chart | alt.LayerChart) -> str:
    found = hashlib.sha256()
    for part in (chart, *getattr(chart, "layer", ())):
        if isinstance(part.data, pd.DataFrame):
            found.update(pd.util.hash_pandas_object(part.data).to_numpy().tobytes())
    return found.hexdigest()


def coloured(field: str, colours: Mapping[str, str], used: Collection[str]) -> alt.Color:
    """Gives each name its colour of ``colours``; the legend shows the ``used`` names."""
    scale = alt.Scale(domain=[*colours], range=[*colours.values()])
    values = [name for name in colours if name in used]
    legend = alt.Legend(orient="bottom", columns=2, values=values, labelFontSize=11, labelLimit=130, symbolSize=70)
    return alt.Color(field, scale=scale, sort=[*colours], title=None, legend=legend)


def own_colour() -> alt.Color:
    """Each mark in the colour that its field ``colour`` holds."""
    return alt.Color("colour:N", scale=None, legend=None)


def row_labels() -> alt.Y:
    return alt.Y(
        "label:N", sort=None, title=None, axis=alt.Axis(labelLimit=170, labelOverlap=False, ticks=False, domain=False)
    )


def hint() -> dict[str, Any]:
    """The tooltip of a mark, which screen readers read too."""
    return {"tooltip": alt.Tooltip("hint:N", title=" "), "description": alt.Description("hint:N")}

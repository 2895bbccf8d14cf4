"""The heading of a chart: its conclusion."""

from __future__ import annotations

import streamlit as st

from deploy_core.profile.verdict.headlines import Headline
from pages.charts import theme
from pages.parts.text import escaped


def head(headline: Headline) -> dict[str, str]:
    """Draws the heading; gives the colour of each file in the chart, where only the file it names has its own."""
    st.subheader(escaped(headline.text), anchor=False)
    return theme.emphasis((headline.about or "",))

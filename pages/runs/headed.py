"""The heading of a chart: its conclusion, or why there is no chart."""

from __future__ import annotations

import streamlit as st

from deploy_core.profile.record.record import Record
from deploy_core.profile.verdict.headlines import Headline
from pages.charts import theme
from pages.parts.text import escaped


def missing(run: Record, what: str) -> None:
    """Draws why a run has no ``what``."""
    reason = "only the latency was asked for" if not run.visits else "the time was up"
    st.markdown(f"This run did not measure {what}, because {reason}.")


def head(headline: Headline) -> dict[str, str]:
    """Draws the heading; gives the colour of each file in the chart, where only the file it names has its own."""
    st.subheader(escaped(headline.text), anchor=False)
    return theme.emphasis((headline.about or "",))

"""A button that saves a chart as SVG. Streamlit's menu saves only PNG, but what it draws is an SVG."""

from __future__ import annotations

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

HTML = '<button type="button">Save as SVG</button>'
STYLE = """
button {
  display: block; margin-left: auto; padding: 0; border: 0; background: none; cursor: pointer;
  font: 0.75rem var(--st-font); color: var(--st-text-color); opacity: 0.8;
}
button:hover, button:focus-visible { opacity: 1; text-decoration: underline; }
"""
# Finds the chart by its label for screen readers. Saves it with its background, because its ink fits only that.
SAVE = """
export default function ({ parentElement, data }) {
  const button = parentElement.querySelector("button");
  button.setAttribute("aria-label", `Save as SVG: ${data.chart}`);
  button.onclick = () => {
    const charts = [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')];
    const drawn = charts.find((chart) => chart.getAttribute("aria-label") === data.chart)?.querySelector("svg");
    if (!drawn) return;
    const picture = drawn.cloneNode(true);
    picture.style.background = getComputedStyle(document.querySelector(".stApp")).backgroundColor;
    const text = new XMLSerializer().serializeToString(picture);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    link.download = `${data.chart}.svg`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
}
"""


def offer(alt_text: str) -> None:
    """Draws a button that saves the chart with this description as it is on the page."""
    _button()(key=f"svg {alt_text}", data={"chart": alt_text})


@st.cache_resource
def _button() -> ComponentRenderer:
    return st.components.v2.component("save_as_svg", html=HTML, css=STYLE, js=SAVE)

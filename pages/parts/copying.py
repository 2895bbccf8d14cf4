"""A button that copies a link, and says that it did."""

from __future__ import annotations

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

HTML = '<button type="button"></button><span role="status"></span>'
STYLE = """
:host, div { font-family: var(--st-font); font-size: var(--st-base-font-size, 1rem); color: var(--st-text-color); }
button {
  min-height: 2.5rem; padding: 0.25rem 0.75rem; cursor: pointer; font: inherit; font-size: 0.875rem;
  color: inherit; background: none;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius);
}
button:hover, button:focus-visible { color: var(--st-primary-color); border-color: var(--st-primary-color); }
span { margin-left: 0.75rem; overflow-wrap: anywhere; }
"""
# Browsers give the clipboard to https pages only, so the older way follows. If both fail, the button shows the link.
COPY = """
export default function ({ parentElement, data }) {
  const button = parentElement.querySelector("button");
  const told = parentElement.querySelector("span");
  button.textContent = data.label;
  button.onclick = async () => {
    const link = new URL(data.address, document.baseURI).href;
    told.textContent = (await copied(link)) ? "Copied." : link;
  };
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {}
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  return isDone;
}
"""


def draw(label: str, address: str, key: str) -> None:
    """Draws the button; ``address`` may be relative to the page."""
    _button()(key=key, data={"label": label, "address": address})


@st.cache_resource
def _button() -> ComponentRenderer:
    return st.components.v2.component("copy_link", html=HTML, css=STYLE, js=COPY)

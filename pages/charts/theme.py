"""Colours of the charts, in the light and the dark theme."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from deploy_core.formats import FORMATS

# The colours of kinds of operators. Files have others (``Format.colour``), so that a colour never means a file in one
# chart and a kind of operator in the next.
KIND_COLOURS = (
    "#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#eeca3b", "#b279a2", "#ff9da6", "#9d755d", "#bab0ac",
)  # fmt: skip
# Like the colours of files, at least 3:1 against both backgrounds (WCAG, graphics).
GREY = "#8a8a8a"
INK = {"light": "#2f2d2b", "dark": "#edebe8"}
INK_ON_FULL = {"light": "#ffffff", "dark": "#10201e"}
# The shade of an empty cell and of a full one.
SHADES = {"light": ("#f3f6f5", "#0d8276"), "dark": ("#1d2423", "#35c2b1")}


def ink() -> str:
    """The colour of text marks and lines. Vega's text marks do not follow Streamlit's theme by themselves."""
    return INK[_theme()]


def ink_on_full() -> str:
    """The colour of text on a full cell."""
    return INK_ON_FULL[_theme()]


def shades() -> tuple[str, str]:
    """The shade of an empty cell and of a full one."""
    return SHADES[_theme()]


def accent() -> str:
    return shades()[1]


def file_colours() -> dict[str, str]:
    """The colour of each file, by its title, in the order of the legends."""
    return {row.title: row.colour for row in FORMATS.values()}


def emphasis(titles: Collection[str]) -> dict[str, str]:
    """The colour of each file, by its title, in a chart that is about ``titles``: the other files are grey."""
    return {title: colour if title in titles else GREY for title, colour in file_colours().items()}


def _theme() -> str:
    return "dark" if st.context.theme.type == "dark" else "light"

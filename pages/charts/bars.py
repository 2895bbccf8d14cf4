"""Horizontal bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from pages.charts import theme
from pages.charts.parts import ROW_PIXELS, draw, hint, own_colour, row_labels

# The text needs this share of the longest bar's length to its right.
ROOM_FOR_TEXT = 0.3
CHARACTERS_IN_ROOM = 8
AXIS_PIXELS = 45


@dataclass(frozen=True)
class Bar:
    """``text`` is drawn next to the bar; ``hint`` is its tooltip. Without a ``colour`` it has the theme's."""

    label: str
    value: float
    text: str
    hint: str
    colour: str | None = None


def draw_bars(bars: Sequence[Bar], alt_text: str, largest: float | None = None, unit: str | None = None) -> None:
    """Draws bars in the given order.

    ``largest`` is the value of a full one, the largest bar's by default. With a ``unit`` there is an axis below.
    """
    rows = pd.DataFrame([vars(bar) | {"colour": bar.colour or theme.accent()} for bar in bars])
    room = ROOM_FOR_TEXT * max(1.0, max(len(bar.text) for bar in bars) / CHARACTERS_IN_ROOM)
    full = (1 + room) * (largest or max(bar.value for bar in bars))
    base = alt.Chart(rows).encode(
        y=row_labels(),
        x=alt.X(
            "value:Q",
            scale=alt.Scale(domain=[0, full], nice=False),
            axis=alt.Axis(title=unit, tickCount=5) if unit else None,
        ),
        **hint(),
    )
    texts = base.mark_text(align="left", dx=6, color=theme.ink()).encode(text="text:N")
    marks = base.mark_bar(height=18, cornerRadiusEnd=4).encode(color=own_colour())
    draw(marks + texts, ROW_PIXELS * len(bars) + (AXIS_PIXELS if unit else 10), alt_text)

"""Points against the diagonal of a square from 0 to 1, such as a calibration curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from pages.charts import theme
from pages.charts.parts import draw, hint

PIXELS = 320


@dataclass(frozen=True)
class DiagonalPoint:
    """A point with both coordinates in 0..1; ``weight`` decides its size."""

    x: float
    y: float
    weight: float
    hint: str


def draw_diagonal(points: Sequence[DiagonalPoint], alt_text: str, across: str, up: str) -> None:
    """Draws points and the diagonal on which they should lie. ``across`` and ``up`` are the titles of the axes."""
    rows = pd.DataFrame([vars(point) for point in points])
    ends = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})
    scale = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%", tickCount=5)
    diagonal = alt.Chart(ends).mark_line(strokeDash=[5, 4], color=theme.ink(), opacity=0.5).encode(x="x:Q", y="y:Q")
    dots = alt.Chart(rows).encode(
        x=alt.X("x:Q", scale=scale, axis=axis, title=across), y=alt.Y("y:Q", scale=scale, axis=axis, title=up)
    )
    dots = dots.mark_point(filled=True, opacity=1).encode(
        size=alt.Size("weight:Q", scale=alt.Scale(range=[30, 260]), legend=None), **hint()
    )
    draw(diagonal + dots, PIXELS, alt_text)

"""Matrices, as heat maps with a text in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from pages.charts import theme
from pages.charts.parts import draw, hint

CELL_PIXELS = 34


@dataclass(frozen=True)
class MatrixCell:
    """``share`` (0..1) decides the cell's shade; ``text`` is drawn in it."""

    row: str
    column: str
    share: float
    text: str
    hint: str


def draw_matrix(
    cells: Sequence[MatrixCell], rows: Sequence[str], columns: Sequence[str], alt_text: str, row: str, column: str
) -> None:
    """Draws a heat map with a row and a column for each name; places without a cell stay empty.

    ``row`` and ``column`` are the titles of the axes.
    """
    table = pd.DataFrame([vars(cell) for cell in cells])
    slanted = alt.Axis(labelAngle=-45, labelOverlap=False)
    base = alt.Chart(table).encode(
        x=alt.X("column:N", sort=list(columns), scale=alt.Scale(domain=list(columns)), title=column, axis=slanted),
        y=alt.Y("row:N", sort=list(rows), scale=alt.Scale(domain=list(rows)), title=row),
        **hint(),
    )
    scale = alt.Scale(domain=[0, 1], range=list(theme.shades()), type="pow", exponent=0.5)
    squares = base.mark_rect().encode(color=alt.Color("share:Q", scale=scale, legend=None))
    texts = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition("datum.share > 0.4", alt.value(theme.ink_on_full()), alt.value(theme.ink())),
    )
    draw(squares + texts, CELL_PIXELS * len(rows) + 110, alt_text)

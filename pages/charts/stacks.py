"""Stacked bars, coloured by kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from pages.charts import theme
from pages.charts.parts import ROW_PIXELS, coloured, draw, hint, row_labels


@dataclass(frozen=True)
class StackPart:
    """One part of the stacked bar ``label``; ``kind`` decides its colour."""

    label: str
    kind: str
    value: float
    hint: str


def draw_stacks(parts: Sequence[StackPart], kinds: Sequence[str], alt_text: str, unit: str) -> None:
    """Draws stacked bars in the given order; a kind has the same colour in every chart."""
    colours = dict(zip(kinds, theme.KIND_COLOURS, strict=False))
    table = pd.DataFrame([vars(part) for part in parts])
    chart = (
        alt.Chart(table)
        .mark_bar(height=20)
        .encode(
            y=row_labels(),
            x=alt.X("value:Q", axis=alt.Axis(title=unit, tickCount=5)),
            color=coloured("kind:N", colours, {part.kind for part in parts}),
            order=alt.Order("order:Q"),
            **hint(),
        )
        .transform_calculate(order=f"indexof({list(kinds)}, datum.kind)")
    )
    draw(chart, ROW_PIXELS * table["label"].nunique() + 150, alt_text)

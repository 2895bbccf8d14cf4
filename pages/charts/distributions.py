"""Distributions: every measurement as a tick, with the median over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from pages.charts import theme
from pages.charts.parts import ROW_PIXELS, draw, hint, own_colour, row_labels

# Ticks of one row. Above 2,000 marks in a chart Streamlit draws pixels instead of shapes.
MOST_TICKS = 150


@dataclass(frozen=True)
class DistributionMark:
    """Measurements and their median with its 95 % interval; the bounds are None after too few measurements."""

    label: str
    values: Sequence[float]
    median: float
    low: float | None
    high: float | None
    hint: str
    colour: str


def thinned(values: Sequence[float]) -> Sequence[float]:
    """At most ``MOST_TICKS`` of the values, evenly chosen."""
    return values[:: -(-len(values) // MOST_TICKS)]


def draw_distributions(rows: Sequence[DistributionMark], alt_text: str, unit: str, end: float) -> None:
    """Draws each measurement as a tick, the median and its interval over them, on one axis from zero to ``end``."""
    ticks = pd.DataFrame(
        [
            {"label": row.label, "value": value, "hint": row.hint, "colour": row.colour}
            for row in rows
            for value in thinned(row.values)
        ]
    )
    medians = pd.DataFrame([{key: value for key, value in vars(row).items() if key != "values"} for row in rows])
    medians = medians.astype({"low": float, "high": float})
    x = alt.X("value:Q", scale=alt.Scale(domain=[0, end]), axis=alt.Axis(title=unit, tickCount=5))
    scatter = alt.Chart(ticks).mark_tick(height=18, thickness=1, opacity=0.4, clip=True)
    scatter = scatter.encode(y=row_labels(), x=x, color=own_colour(), **hint())
    base = alt.Chart(medians).encode(y=row_labels(), **hint())
    interval = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=4, color=theme.ink())
    interval = interval.encode(x="low:Q", x2="high:Q")
    middle = base.mark_point(filled=True, size=45, opacity=1, color=theme.ink()).encode(x="median:Q")
    draw(scatter + interval + middle, ROW_PIXELS * len(rows) + 65, alt_text)

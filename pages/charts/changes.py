"""Dots that show how far values moved, left or right of zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from pages.charts import theme
from pages.charts.parts import ROW_PIXELS, coloured, draw, hint, row_labels

# The least half width of the axis, in the chart's unit: on a narrower one, a hundredth of a point would look large.
LEAST_CHANGE = 0.01


@dataclass(frozen=True)
class ChangeMark:
    """How far a value moved; ``group`` decides its colour."""

    label: str
    value: float
    group: str
    hint: str


def draw_changes(changes: Sequence[ChangeMark], colours: Mapping[str, str], alt_text: str, unit: str) -> None:
    """Draws a dot for each change; ``colours`` has a colour for each group."""
    rows = pd.DataFrame([vars(change) for change in changes])
    most = max(LEAST_CHANGE, rows["value"].abs().max())
    x = alt.X(
        "value:Q",
        scale=alt.Scale(domain=[-most, most], nice=True),
        axis=alt.Axis(title=unit, labelExpr="datum.value ? format(datum.value, '+.3~f') : '0'", tickCount=5),
    )
    zero = alt.Chart(pd.DataFrame({"value": [0.0]})).mark_rule(color=theme.ink(), opacity=0.5).encode(x=x)
    dots = (
        alt.Chart(rows)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(y=row_labels(), x=x, color=coloured("group:N", colours, {change.group for change in changes}), **hint())
    )
    draw(zero + dots, ROW_PIXELS * rows["label"].nunique() + 150, alt_text)

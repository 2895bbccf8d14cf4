"""Lines over whole numbers, one for each file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from pages.charts.parts import coloured, draw, hint

PIXELS = 420


@dataclass(frozen=True)
class LinePoint:
    """A point of the line of a file, with its 95 % interval where it has one."""

    line: str
    x: int
    y: float
    hint: str
    low: float | None = None
    high: float | None = None


def draw_lines(points: Sequence[LinePoint], colours: Mapping[str, str], alt_text: str, across: str, up: str) -> None:
    """Draws a line for each file in its colour; nothing without points."""
    if not points:
        return
    table = pd.DataFrame([vars(point) for point in points]).astype({"low": float, "high": float})
    base = alt.Chart(table).encode(
        x=alt.X("x:O", title=across, axis=alt.Axis(labelAngle=0)),
        color=coloured("line:N", colours, {point.line for point in points}),
        **hint(),
    )
    line = base.mark_line(point=alt.OverlayMarkDef(filled=True, size=60)).encode(y=alt.Y("y:Q", title=up))
    interval = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2)
    draw(line + interval.encode(y=alt.Y("low:Q", title=up), y2="high:Q"), PIXELS, alt_text)

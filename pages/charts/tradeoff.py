"""The trade-off of two costs, such as size and latency: points, and a line through the best of each machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import fmean

import altair as alt
import pandas as pd

from pages.charts import theme
from pages.charts.parts import draw, hint

PLOT_PIXELS, LEGEND_PIXELS = 420, 25
# Free space beyond the last point, as a factor of its value; on a logarithmic axis at both ends.
ROOM_FOR_TEXT = 1.25
ROOM_IN_FACTORS = 1.6
# The height of a label, as a share of the chart's height.
LABEL_SHARE = 0.055
SHAPES = ("circle", "triangle-up", "square", "diamond", "cross", "triangle-down")


@dataclass(frozen=True)
class TradeoffPoint:
    """A point; an empty ``label`` is not drawn. ``on_front``: no point of the same ``machine`` is better both ways.

    ``shade`` is 0..1; None draws the point grey.
    """

    label: str
    x: float
    y: float
    shade: float | None
    on_front: bool
    hint: str
    machine: str


def draw_tradeoff(points: Sequence[TradeoffPoint], alt_text: str, across: str, up: str, shade: str) -> None:
    """Draws points, with a line through each machine's front; the lower left is best.

    ``across``, ``up`` and ``shade`` are the titles of the axes and of the legend. With several machines the vertical
    axis is logarithmic, because machines differ by factors.
    """
    table = pd.DataFrame([vars(point) for point in points])
    machines = list(dict.fromkeys(point.machine for point in points))
    right = ROOM_FOR_TEXT * table["x"].max()
    vertical = _VerticalAxis([point.y for point in points], is_logarithmic=len(machines) > 1)
    x = alt.X("x:Q", axis=alt.Axis(title=across, tickCount=6), scale=alt.Scale(domain=[0, right], nice=False))
    y = alt.Y("y:Q", axis=vertical.axis(up), scale=vertical.scale)
    front = (
        alt.Chart(table[table["on_front"]])
        .mark_line(interpolate="step-after", strokeDash=[5, 4], opacity=0.6, color=theme.ink())
        .encode(x=x, y=y, detail="machine:N")
    )
    marks = [dots.encode(x=x, y=y) for dots in _dots(table, machines, shade)]
    names = [texts.encode(x=x, y=y) for texts in _names(points, right / 2, vertical)]
    draw(alt.LayerChart(layer=[front, *marks, *names]), PLOT_PIXELS + LEGEND_PIXELS * len(machines), alt_text)


def _dots(table: pd.DataFrame, machines: Sequence[str], shade: str) -> Iterator[alt.Chart]:
    """The points with a shade, and the grey ones."""
    # The scale begins at the smallest shade, so that small differences are visible.
    scale = alt.Scale(domain=[table["shade"].min(), 1], scheme="viridis")
    legend = alt.Legend(orient="bottom", format=".4f", titleLimit=400, gradientLength=220, tickCount=2)
    shaded = alt.Color("shade:Q", scale=scale, title=shade, legend=legend)
    are_several = len(machines) > 1
    shape = alt.Shape(
        "machine:N",
        scale=alt.Scale(domain=list(machines), range=SHAPES[: len(machines)]),
        legend=alt.Legend(orient="top", direction="vertical", title=None, labelLimit=400) if are_several else None,
    )
    known = table["shade"].notna()
    for rows, colour in ((table[known], shaded), (table[~known], alt.value(theme.GREY))):
        dots = alt.Chart(rows).mark_point(filled=True, size=130, opacity=1, stroke=theme.ink(), strokeWidth=0.5)
        yield dots.encode(color=colour, shape=shape, **hint())


def _names(points: Sequence[TradeoffPoint], middle: float, vertical: _VerticalAxis) -> Iterator[alt.Chart]:
    """Labels: right of the points in the left half, left of the others.

    All lie at different heights, because on a phone those of the left half reach into the right one.
    """
    named = sorted((point for point in points if point.label), key=lambda point: point.y)
    names = pd.DataFrame([{"x": point.x, "label": point.label, "is_right": point.x > middle} for point in named])
    names["y"] = vertical.apart([point.y for point in named])
    left, right = names[~names["is_right"]], names[names["is_right"]]
    yield alt.Chart(left).mark_text(align="left", dx=11, color=theme.ink(), fontSize=11).encode(text="label:N")
    yield alt.Chart(right).mark_text(align="right", dx=-11, color=theme.ink(), fontSize=11).encode(text="label:N")


class _VerticalAxis:
    """A vertical axis with room for labels, from zero or in powers of ten."""

    def __init__(self, heights: Sequence[float], is_logarithmic: bool) -> None:
        self._is_logarithmic = is_logarithmic
        self._low = min(heights) / ROOM_IN_FACTORS if is_logarithmic else 0
        self._top = max(heights) * (ROOM_IN_FACTORS if is_logarithmic else ROOM_FOR_TEXT)

    @property
    def scale(self) -> alt.Scale:
        return alt.Scale(type="log" if self._is_logarithmic else "linear", domain=[self._low, self._top], nice=False)

    def axis(self, title: str) -> alt.Axis:
        if not self._is_logarithmic:
            return alt.Axis(title=title, tickCount=5)
        powers = range(floor(log10(self._low)), ceil(log10(self._top)))
        return alt.Axis(title=title, values=[step * 10**power for power in powers for step in (1, 2, 5)], format="~g")

    def apart(self, heights: Sequence[float]) -> list[float]:
        """Moves the ascending heights of labels as little as possible, until no two labels overlap."""
        if not self._is_logarithmic:
            return _apart(heights, LABEL_SHARE * self._top)
        least = LABEL_SHARE * (log10(self._top) - log10(self._low))
        return [10**height for height in _apart([log10(height) for height in heights], least)]


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """Moves ascending heights as little as possible, so that each is at least ``least`` above the one before.

    With ``number * least`` subtracted from each height, this is isotonic regression, by pooling adjacent violators.
    """
    pools: list[list[float]] = []
    for number, height in enumerate(heights):
        pools.append([height - number * least])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    levels = [fmean(pool) for pool in pools for _ in pool]
    return [level + number * least for number, level in enumerate(levels)]

"""The trade-off of two costs, such as size and latency: points, and a line through the best of each machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import fmean

import altair as alt
import pandas as pd

from pages.charts import theme
from pages.charts.parts import draw, hint, own_colour

PLOT_PIXELS, AXIS_PIXELS, LEGEND_PIXELS = 380, 45, 25
LABEL_PIXELS = 17
# The column of names to the right of the points, for names of about 25 letters.
NAMES_PIXELS, GAP_PIXELS = 150, 18
# Free space beyond the last point, as a factor of its value; on a logarithmic axis at both ends.
ROOM = 1.08
ROOM_IN_FACTORS = 1.6
SHAPES = ("circle", "triangle-up", "square", "diamond", "cross", "triangle-down")


@dataclass(frozen=True)
class TradeoffPoint:
    """A point; an empty ``label`` is not drawn. ``on_front``: no point of the same ``machine`` is better both ways."""

    label: str
    x: float
    y: float
    colour: str
    on_front: bool
    hint: str
    machine: str


def draw_tradeoff(points: Sequence[TradeoffPoint], alt_text: str, across: str, up: str) -> None:
    """Draws points, with a line through each machine's front; the lower left is best.

    ``across`` and ``up`` are the titles of the axes. With several machines the vertical axis is logarithmic, because
    machines differ by factors. The names stand in a column beside the points, each joined to its point by a line: so
    no two names overlap, however close their points are and however narrow the page is.
    """
    named = sorted((point for point in points if point.label), key=lambda point: point.y)
    pixels = max(PLOT_PIXELS, LABEL_PIXELS * len(named))
    vertical = _VerticalAxis([point.y for point in points], pixels, is_logarithmic=_are_several(points))
    places = vertical.apart([point.y for point in named])
    right = ROOM * max(point.x for point in points)
    x = alt.X(
        "x:Q",
        axis=alt.Axis(title=across, tickCount=4, titleAlign="left", titleAnchor="start"),
        scale=alt.Scale(domain=[0, right], nice=False, range=[0, _from_right(NAMES_PIXELS + GAP_PIXELS)]),
    )
    y = alt.Y("y:Q", axis=vertical.axis(up), scale=vertical.scale)
    table = pd.DataFrame([vars(point) for point in points])
    names = pd.DataFrame([vars(point) | {"place": place} for point, place in zip(named, places, strict=True)])
    layers = [
        alt.Chart(table[table["on_front"]])
        .mark_line(interpolate="step-after", strokeDash=[5, 4], opacity=0.6, color=theme.ink())
        .encode(x=x, y=y, detail="machine:N"),
        alt.Chart(names)
        .mark_rule(opacity=0.35, color=theme.ink())
        .encode(x=x, y=y, x2={"value": _from_right(NAMES_PIXELS + 4)}, y2="place:Q"),
        _dots(table, points).encode(x=x, y=y),
        alt.Chart(names)
        .mark_text(align="left", color=theme.ink(), fontSize=11, x=_from_right(NAMES_PIXELS), limit=NAMES_PIXELS)
        .encode(y=alt.Y("place:Q", axis=vertical.axis(up), scale=vertical.scale), text="label:N"),
    ]
    machines = len({point.machine for point in points})
    draw(alt.LayerChart(layer=layers), pixels + AXIS_PIXELS + LEGEND_PIXELS * machines, alt_text)


def _are_several(points: Sequence[TradeoffPoint]) -> bool:
    return len({point.machine for point in points}) > 1


def _from_right(pixels: int) -> alt.ExprRef:
    return alt.ExprRef(f"width - {pixels}")


def _dots(table: pd.DataFrame, points: Sequence[TradeoffPoint]) -> alt.Chart:
    machines = list(dict.fromkeys(point.machine for point in points))
    legend = alt.Legend(orient="top", direction="vertical", title=None, labelLimit=400)
    shape = alt.Shape(
        "machine:N",
        scale=alt.Scale(domain=machines, range=SHAPES[: len(machines)]),
        legend=legend if len(machines) > 1 else None,
    )
    dots = alt.Chart(table).mark_point(filled=True, size=130, opacity=1, stroke=theme.ink(), strokeWidth=0.5)
    coloured: alt.Chart = dots.encode(color=own_colour(), shape=shape, **hint())
    return coloured


class _VerticalAxis:
    """A vertical axis of about ``pixels`` with room for labels, from zero or in powers of ten."""

    def __init__(self, heights: Sequence[float], pixels: int, is_logarithmic: bool) -> None:
        self._is_logarithmic, self._share = is_logarithmic, LABEL_PIXELS / pixels
        self._low = min(heights) / ROOM_IN_FACTORS if is_logarithmic else 0
        self._top = max(heights) * (ROOM_IN_FACTORS if is_logarithmic else ROOM)

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
            return _apart(heights, self._share * self._top, self._low, self._top)
        low, top = log10(self._low), log10(self._top)
        moved = _apart([log10(height) for height in heights], self._share * (top - low), low, top)
        return [10**height for height in moved]


def _apart(heights: Sequence[float], least: float, low: float, top: float) -> list[float]:
    """Moves ascending heights as little as possible, so that each is at least ``least`` above the one before, and all
    lie within ``low`` and ``top``, which have room for them.

    With ``number * least`` subtracted from each height, this is isotonic regression, by pooling adjacent violators; its
    solution within bounds is the solution without them, cut off there.
    """
    pools: list[list[float]] = []
    for number, height in enumerate(heights):
        pools.append([height - number * least])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    highest = top - (len(heights) - 1) * least
    levels = [min(max(fmean(pool), low), highest) for pool in pools for _ in pool]
    return [level + number * least for number, level in enumerate(levels)]

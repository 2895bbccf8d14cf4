"""The charts that the pages draw. Text marks do not follow the theme by themselves, so the ink is chosen here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import fmean
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from pages.charts import svg

ROW_PIXELS = 36
CELL_PIXELS = 34
ROOM_FOR_TEXT = 1.25
ROOM_IN_FACTORS = 1.6
PLOT_PIXELS, LEGEND_PIXELS = 420, 25
# More marks than 2,000, and Streamlit draws pixels instead of shapes.
MOST_TICKS = 150
# The height of a label, in that of a chart.
LABEL_SHARE = 0.055
# Less than a hundredth of a point on either side would look like much.
LEAST_CHANGE = 0.01
KIND_COLOURS = (
    "#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#eeca3b", "#b279a2", "#ff9da6", "#9d755d", "#bab0ac",
)  # fmt: skip
# By file, so that no colour means a file in one chart and a kind of operator in the next.
FILE_COLOURS = (
    "#7e57c2", "#b39ddb", "#00897b", "#4db6ac", "#9ccc65", "#d81b60", "#f48fb1", "#a1887f", "#ffb300",
)  # fmt: skip
SHAPES = ("circle", "triangle-up", "square", "diamond", "cross", "triangle-down")
GREY = "#9a9a9a"
INK = {"light": "#2f2d2b", "dark": "#edebe8"}
INK_ON_FULL = {"light": "#ffffff", "dark": "#10201e"}
# The shade of an empty and of a full cell.
SHADES = {"light": ("#f3f6f5", "#0d8276"), "dark": ("#1d2423", "#35c2b1")}


@dataclass(frozen=True)
class Bar:
    """``text`` stands beside the bar; ``hint`` appears when it is pointed at."""

    label: str
    value: float
    text: str
    hint: str


@dataclass(frozen=True)
class Change:
    """How far a value moved; ``group`` decides its colour."""

    label: str
    value: float
    group: str
    hint: str


@dataclass(frozen=True)
class Interval:
    """A value, and where it lies with 95 % confidence; None where nobody knows."""

    label: str
    value: float
    low: float | None
    high: float | None
    hint: str


@dataclass(frozen=True)
class Share:
    """A cell of a matrix: ``share`` (0..1) decides its shade, ``text`` stands in it."""

    row: str
    column: str
    share: float
    text: str
    hint: str


@dataclass(frozen=True)
class Dot:
    """A point of a diagram whose axes both go from 0 to 1; ``weight`` decides its size."""

    x: float
    y: float
    weight: float
    hint: str


@dataclass(frozen=True)
class Distribution:
    """Every measurement, and their median with its 95 % interval; None where there were too few."""

    label: str
    values: Sequence[float]
    median: float
    low: float | None
    high: float | None
    hint: str


@dataclass(frozen=True)
class Spot:
    """A point, with a ``label`` or none; ``on_front``: no other of its ``machine`` is better both ways.

    ``shade`` is 0..1; None draws it grey.
    """

    label: str
    x: float
    y: float
    shade: float | None
    on_front: bool
    hint: str
    machine: str


@dataclass(frozen=True)
class Piece:
    """A part of a stacked bar."""

    label: str
    kind: str
    value: float
    hint: str


@dataclass(frozen=True)
class Step:
    """A point of a line, and its 95 % interval where it has one."""

    line: str
    x: int
    y: float
    hint: str
    low: float | None = None
    high: float | None = None


def draw_bars(bars: Sequence[Bar], alt_text: str, largest: float | None = None, title: str | None = None) -> None:
    """Draws bars in the given order; ``largest`` is the value of a full one, the largest bar's by default."""
    rows = pd.DataFrame([vars(bar) for bar in bars])
    full = ROOM_FOR_TEXT * (largest or max(bar.value for bar in bars))
    base = alt.Chart(rows).encode(
        y=_labels(),
        x=alt.X("value:Q", scale=alt.Scale(domain=[0, full]), axis=None),
        **_hint(),
    )
    chart = base.mark_bar(height=18, cornerRadiusEnd=4) + base.mark_text(align="left", dx=6, color=_ink()).encode(
        text="text:N"
    )
    if title:
        st.markdown(f"**{title}**")
    _draw(chart, ROW_PIXELS * len(bars) + 10, alt_text)


def draw_changes(changes: Sequence[Change], files: Sequence[str], alt_text: str, unit: str) -> None:
    """Draws a dot for each change, left or right of nothing; its group is one of the ``files``, and has its colour."""
    rows = pd.DataFrame([vars(change) for change in changes])
    groups = [change.group for change in changes]
    most = max(LEAST_CHANGE, rows["value"].abs().max())
    x = alt.X(
        "value:Q",
        scale=alt.Scale(domain=[-most, most], nice=True),
        axis=alt.Axis(title=unit, format="+.2~f", tickCount=5),
    )
    nothing = alt.Chart(pd.DataFrame({"value": [0.0]})).mark_rule(color=_ink(), opacity=0.5).encode(x=x)
    dots = (
        alt.Chart(rows)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(y=_labels(), x=x, color=_coloured("group:N", files, groups, FILE_COLOURS), **_hint())
    )
    _draw(nothing + dots, ROW_PIXELS * rows["label"].nunique() + 150, alt_text)


def draw_intervals(
    intervals: Sequence[Interval], alt_text: str, unit: str, origin: float | None = None, title: str | None = None
) -> None:
    """Draws values with their intervals, in the given order, on one axis.

    It need not begin at zero; where there is an ``origin``, a line shows which values are above it and which below.
    """
    rows = pd.DataFrame([vars(interval) for interval in intervals]).astype({"low": float, "high": float})
    base = alt.Chart(rows).encode(y=_labels(), **_hint())
    scale = alt.Scale(zero=False, nice=True, padding=12)
    axis = alt.Axis(title=unit, tickCount=5)
    line = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=3, opacity=0.45)
    line = line.encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=alt.value(_accent()))
    chart = line + base.mark_point(filled=True, size=90, opacity=1).encode(x=alt.X("value:Q", scale=scale, axis=axis))
    if origin is not None:
        rule = alt.Chart(pd.DataFrame({"value": [origin]})).mark_rule(color=_ink(), opacity=0.5)
        chart += rule.encode(x=alt.X("value:Q", scale=scale, axis=axis))
    if title:
        st.markdown(f"**{title}**")
    _draw(chart, ROW_PIXELS * len(intervals) + 45, alt_text)


def draw_matrix(
    cells: Sequence[Share], rows: Sequence[str], columns: Sequence[str], alt_text: str, row: str, column: str
) -> None:
    """Draws a heat map with a row and a column for each name; what no cell tells is empty."""
    table = pd.DataFrame([vars(cell) for cell in cells])
    empty, full = SHADES[_theme()]
    base = alt.Chart(table).encode(
        x=alt.X("column:N", sort=list(columns), scale=alt.Scale(domain=list(columns)), title=column, axis=_slanted()),
        y=alt.Y("row:N", sort=list(rows), scale=alt.Scale(domain=list(rows)), title=row),
        **_hint(),
    )
    scale = alt.Scale(domain=[0, 1], range=[empty, full], type="pow", exponent=0.5)
    squares = base.mark_rect().encode(color=alt.Color("share:Q", scale=scale, legend=None))
    texts = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition("datum.share > 0.4", alt.value(INK_ON_FULL[_theme()]), alt.value(_ink())),
    )
    _draw(squares + texts, CELL_PIXELS * len(rows) + 110, alt_text)


def draw_diagonal(dots: Sequence[Dot], alt_text: str, across: str, up: str) -> None:
    """Draws points against the diagonal on which they should lie."""
    rows = pd.DataFrame([vars(dot) for dot in dots])
    ends = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})
    scale = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%", tickCount=5)
    diagonal = alt.Chart(ends).mark_line(strokeDash=[5, 4], color=_ink(), opacity=0.5).encode(x="x:Q", y="y:Q")
    points = alt.Chart(rows).encode(
        x=alt.X("x:Q", scale=scale, axis=axis, title=across), y=alt.Y("y:Q", scale=scale, axis=axis, title=up)
    )
    points = points.mark_point(filled=True, opacity=1).encode(
        size=alt.Size("weight:Q", scale=alt.Scale(range=[30, 260]), legend=None), **_hint()
    )
    _draw(diagonal + points, 320, alt_text)


def thinned(values: Sequence[float]) -> Sequence[float]:
    """At most ``MOST_TICKS`` of the values, evenly chosen."""
    return values[:: -(-len(values) // MOST_TICKS)]


def draw_distributions(rows: Sequence[Distribution], alt_text: str, unit: str, end: float) -> None:
    """Draws each measurement as a tick, the median and its interval over them, on one axis from zero to ``end``."""
    ticks = pd.DataFrame(
        [{"label": row.label, "value": value, "hint": row.hint} for row in rows for value in thinned(row.values)]
    )
    medians = pd.DataFrame([{key: value for key, value in vars(row).items() if key != "values"} for row in rows])
    medians = medians.astype({"low": float, "high": float})
    x = alt.X("value:Q", scale=alt.Scale(domain=[0, end]), axis=alt.Axis(title=unit, tickCount=5))
    scatter = (
        alt.Chart(ticks).mark_tick(height=18, thickness=1, opacity=0.4, clip=True).encode(y=_labels(), x=x, **_hint())
    )
    base = alt.Chart(medians).encode(y=_labels(), **_hint())
    interval = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=4, color=_ink())
    interval = interval.encode(x="low:Q", x2="high:Q")
    middle = base.mark_point(filled=True, size=45, opacity=1, color=_ink()).encode(x="median:Q")
    _draw(scatter + interval + middle, ROW_PIXELS * len(rows) + 65, alt_text)


def draw_tradeoff(spots: Sequence[Spot], alt_text: str, across: str, up: str, shade: str) -> None:
    """Draws points, with a line through each machine's front; the lower left is best.

    Machines differ by factors, so the height of several is logarithmic.
    """
    table = pd.DataFrame([vars(spot) for spot in spots])
    machines = list(dict.fromkeys(spot.machine for spot in spots))
    right = ROOM_FOR_TEXT * table["x"].max()
    x = alt.X("x:Q", axis=alt.Axis(title=across, tickCount=6), scale=alt.Scale(domain=[0, right], nice=False))
    heights = _Heights([spot.y for spot in spots], len(machines) > 1)
    y = alt.Y("y:Q", axis=heights.axis(up), scale=heights.scale)
    front = (
        alt.Chart(table[table["on_front"]])
        .mark_line(interpolate="step-after", strokeDash=[5, 4], opacity=0.6, color=_ink())
        .encode(x=x, y=y, detail="machine:N")
    )
    # What all of them reach tells nothing, so the scale begins at the least; and everybody sees its ends apart.
    scale = alt.Scale(domain=[table["shade"].min(), 1], scheme="viridis")
    legend = alt.Legend(orient="bottom", format=".4f", titleLimit=400, gradientLength=220, tickCount=2)
    shape = alt.Shape(
        "machine:N",
        scale=alt.Scale(domain=machines, range=SHAPES[: len(machines)]),
        legend=alt.Legend(orient="top", direction="vertical", title=None, labelLimit=400)
        if len(machines) > 1
        else None,
    )
    shaded = alt.Color("shade:Q", scale=scale, title=shade, legend=legend)
    charts = front
    for rows, colour in ((table[table["shade"].notna()], shaded), (table[table["shade"].isna()], alt.value(GREY))):
        points = alt.Chart(rows).mark_point(filled=True, size=130, opacity=1, stroke=_ink(), strokeWidth=0.5)
        charts += points.encode(x=x, y=y, color=colour, shape=shape, **_hint())
    # No two at one height, because on a phone the names on the left reach those on the right.
    named = sorted((spot for spot in spots if spot.label), key=lambda spot: spot.y)
    names = pd.DataFrame([{"x": spot.x, "label": spot.label, "is_right": spot.x > right / 2} for spot in named])
    names["y"] = heights.apart([spot.y for spot in named])
    on_left, on_right = (
        alt.Chart(names[names["is_right"] == side]).encode(x=x, y=y, text="label:N") for side in (False, True)
    )
    charts += on_left.mark_text(align="left", dx=11, color=_ink(), fontSize=11)
    charts += on_right.mark_text(align="right", dx=-11, color=_ink(), fontSize=11)
    _draw(charts, PLOT_PIXELS + LEGEND_PIXELS * len(machines), alt_text)


class _Heights:
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
        """Ascending heights of labels, moved as little as makes them legible."""
        if not self._is_logarithmic:
            return _apart(heights, LABEL_SHARE * self._top)
        least = LABEL_SHARE * (log10(self._top) - log10(self._low))
        return [10**place for place in _apart([log10(height) for height in heights], least)]


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """Ascending heights, moved as little as puts each ``least`` above the one before, so that labels are legible.

    Isotonic regression on what is left of the heights without those steps, by pooling adjacent violators.
    """
    pools: list[list[float]] = []
    for place, height in enumerate(heights):
        pools.append([height - place * least])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    levels = [fmean(pool) for pool in pools for _ in pool]
    return [level + place * least for place, level in enumerate(levels)]


def draw_stacks(pieces: Sequence[Piece], kinds: Sequence[str], alt_text: str, unit: str) -> None:
    """Draws stacked bars in the given order; a kind has the same colour in every chart."""
    table = pd.DataFrame([vars(piece) for piece in pieces])
    chart = (
        alt.Chart(table)
        .mark_bar(height=20)
        .encode(
            y=_labels(),
            x=alt.X("value:Q", axis=alt.Axis(title=unit, tickCount=5)),
            color=_coloured("kind:N", kinds, [piece.kind for piece in pieces], KIND_COLOURS),
            order=alt.Order("order:Q"),
            **_hint(),
        )
        .transform_calculate(order=f"indexof({list(kinds)}, datum.kind)")
    )
    _draw(chart, ROW_PIXELS * table["label"].nunique() + 150, alt_text)


def draw_lines(steps: Sequence[Step], lines: Sequence[str], alt_text: str, across: str, up: str) -> None:
    """Draws a line for each file, over whole numbers, coloured by its place in ``lines``; nothing without steps."""
    if not steps:
        return
    table = pd.DataFrame([vars(step) for step in steps]).astype({"low": float, "high": float})
    base = alt.Chart(table).encode(
        x=alt.X("x:O", title=across, axis=alt.Axis(labelAngle=0)),
        color=_coloured("line:N", lines, [step.line for step in steps], FILE_COLOURS),
        **_hint(),
    )
    line = base.mark_line(point=alt.OverlayMarkDef(filled=True, size=60)).encode(y=alt.Y("y:Q", title=up))
    interval = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2)
    _draw(line + interval.encode(y=alt.Y("low:Q", title=up), y2="high:Q"), 420, alt_text)


def _draw(chart: alt.Chart | alt.LayerChart, height: int, alt_text: str) -> None:
    """A chart with Streamlit's menu, which saves it as PNG, and the button that saves it as SVG."""
    st.altair_chart(chart, height=height, alt=alt_text)
    svg.offer(alt_text)


def _coloured(field: str, known: Sequence[str], used: Sequence[str], colours: Sequence[str]) -> alt.Color:
    """A colour for each of the ``known`` names, whichever of them are used; the legend tells those."""
    scale = alt.Scale(domain=list(known), range=list(colours[: len(known)]))
    values = [name for name in known if name in used]
    legend = alt.Legend(orient="bottom", columns=2, values=values, labelFontSize=11, labelLimit=130, symbolSize=70)
    return alt.Color(field, scale=scale, sort=list(known), title=None, legend=legend)


def _labels() -> alt.Y:
    return alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=170, ticks=False, domain=False))


def _slanted() -> alt.Axis:
    return alt.Axis(labelAngle=-45, labelOverlap=False)


def _hint() -> dict[str, Any]:
    """What a mark says when it is pointed at, and to a screen reader."""
    return {"tooltip": alt.Tooltip("hint:N", title=" "), "description": alt.Description("hint:N")}


def _theme() -> str:
    return "dark" if st.context.theme.type == "dark" else "light"


def _ink() -> str:
    return INK[_theme()]


def _accent() -> str:
    return SHADES[_theme()][1]

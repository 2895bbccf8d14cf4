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

ROW_PIXELS = 36
CELL_PIXELS = 34
ROOM_FOR_TEXT = 1.25
ROOM_IN_FACTORS = 1.6
PLOT_PIXELS, LEGEND_PIXELS = 420, 25
# More marks than 2,000, and Streamlit draws pixels instead of shapes.
MOST_TICKS = 150
# The height of a label, in that of a chart; and where the worst shade begins, unless something is worse.
LABEL_SHARE = 0.055
LEAST_SHADE = 0.99
# Less than a hundredth of a point on either side would look like much.
LEAST_CHANGE = 0.01
KIND_COLOURS = (
    "#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#eeca3b", "#b279a2", "#ff9da6", "#9d755d", "#bab0ac",
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
    """A value, and where it lies with 95 % confidence."""

    label: str
    value: float
    low: float
    high: float
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
    """Every measurement, and their median with its 95 % interval."""

    label: str
    values: Sequence[float]
    median: float
    low: float
    high: float
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
    """A point of a line."""

    line: str
    x: int
    y: float
    hint: str


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
    st.altair_chart(chart, height=ROW_PIXELS * len(bars) + 10, alt=alt_text)


def draw_changes(changes: Sequence[Change], alt_text: str, unit: str) -> None:
    """Draws a dot for each change, in its group's colour, left or right of nothing."""
    rows = pd.DataFrame([vars(change) for change in changes])
    groups = list(dict.fromkeys(change.group for change in changes))
    nothing = alt.Chart(pd.DataFrame({"value": [0.0]})).mark_rule(color=_ink(), opacity=0.5).encode(x="value:Q")
    most = max(LEAST_CHANGE, rows["value"].abs().max())
    x = alt.X(
        "value:Q",
        scale=alt.Scale(domain=[-most, most], nice=True),
        axis=alt.Axis(title=unit, format="+.2~f", tickCount=7),
    )
    dots = (
        alt.Chart(rows)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(y=_labels(), x=x, color=_coloured("group:N", groups, groups), **_hint())
    )
    st.altair_chart(nothing + dots, height=ROW_PIXELS * rows["label"].nunique() + 150, alt=alt_text)


def draw_intervals(intervals: Sequence[Interval], alt_text: str, unit: str) -> None:
    """Draws values with their intervals, in the given order, on one axis that need not begin at zero."""
    rows = pd.DataFrame([vars(interval) for interval in intervals])
    base = alt.Chart(rows).encode(y=_labels(), **_hint())
    scale = alt.Scale(zero=False, nice=True, padding=12)
    axis = alt.Axis(title=unit, tickCount=5)
    line = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q")
    line = line.encode(color=alt.value(_accent()))
    point = base.mark_point(filled=True, size=90, opacity=1).encode(x=alt.X("value:Q", scale=scale, axis=axis))
    st.altair_chart(line + point, height=ROW_PIXELS * len(intervals) + 45, alt=alt_text)


def draw_matrix(cells: Sequence[Share], names: Sequence[str], alt_text: str, row: str, column: str) -> None:
    """Draws a square heat map of the classes ``names``; what no cell tells is empty."""
    rows = pd.DataFrame([vars(cell) for cell in cells])
    empty, full = SHADES[_theme()]
    base = alt.Chart(rows).encode(
        x=alt.X("column:N", sort=list(names), scale=alt.Scale(domain=list(names)), title=column, axis=_slanted()),
        y=alt.Y("row:N", sort=list(names), scale=alt.Scale(domain=list(names)), title=row),
        **_hint(),
    )
    scale = alt.Scale(domain=[0, 1], range=[empty, full], type="pow", exponent=0.5)
    squares = base.mark_rect().encode(color=alt.Color("share:Q", scale=scale, legend=None))
    texts = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition("datum.share > 0.4", alt.value(INK_ON_FULL[_theme()]), alt.value(_ink())),
    )
    st.altair_chart(squares + texts, height=CELL_PIXELS * len(names) + 110, alt=alt_text)


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
    st.altair_chart(diagonal + points, height=320, alt=alt_text)


def thinned(values: Sequence[float]) -> Sequence[float]:
    """At most ``MOST_TICKS`` of the values, evenly chosen."""
    return values[:: -(-len(values) // MOST_TICKS)]


def draw_distributions(rows: Sequence[Distribution], alt_text: str, unit: str, end: float) -> None:
    """Draws each measurement as a tick, the median and its interval over them, on one axis from zero to ``end``."""
    ticks = pd.DataFrame(
        [{"label": row.label, "value": value, "hint": row.hint} for row in rows for value in thinned(row.values)]
    )
    medians = pd.DataFrame([{key: value for key, value in vars(row).items() if key != "values"} for row in rows])
    x = alt.X("value:Q", scale=alt.Scale(domain=[0, end]), axis=alt.Axis(title=unit, tickCount=5))
    scatter = (
        alt.Chart(ticks).mark_tick(height=18, thickness=1, opacity=0.4, clip=True).encode(y=_labels(), x=x, **_hint())
    )
    base = alt.Chart(medians).encode(y=_labels(), **_hint())
    interval = base.mark_rule(strokeWidth=4, color=_ink()).encode(x="low:Q", x2="high:Q")
    middle = base.mark_point(filled=True, size=45, opacity=1, color=_ink()).encode(x="median:Q")
    st.altair_chart(scatter + interval + middle, height=ROW_PIXELS * len(rows) + 45, alt=alt_text)


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
    scale = alt.Scale(domain=[min(LEAST_SHADE, table["shade"].min()), 1], scheme="redyellowgreen")
    legend = alt.Legend(orient="bottom", format=".3f", titleLimit=400, gradientLength=220, tickCount=2)
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
    for is_right in (False, True):
        side = sorted(
            (spot for spot in spots if spot.label and (spot.x > right / 2) == is_right), key=lambda spot: spot.y
        )
        if side:
            names = pd.DataFrame([{"x": spot.x, "label": spot.label} for spot in side])
            names["y"] = heights.apart([spot.y for spot in side])
            texts = alt.Chart(names).encode(x=x, y=y, text="label:N")
            charts += (
                texts.mark_text(align="right", dx=-11, color=_ink(), fontSize=11)
                if is_right
                else texts.mark_text(align="left", dx=11, color=_ink(), fontSize=11)
            )
    st.altair_chart(charts, height=PLOT_PIXELS + LEGEND_PIXELS * len(machines), alt=alt_text)


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
            color=_coloured("kind:N", kinds, [piece.kind for piece in pieces]),
            order=alt.Order("order:Q"),
            **_hint(),
        )
        .transform_calculate(order=f"indexof({list(kinds)}, datum.kind)")
    )
    st.altair_chart(chart, height=ROW_PIXELS * table["label"].nunique() + 150, alt=alt_text)


def draw_lines(steps: Sequence[Step], lines: Sequence[str], alt_text: str, across: str, up: str) -> None:
    """Draws a line for each name, over whole numbers, coloured by its place in ``lines``; nothing without steps."""
    if not steps:
        return
    table = pd.DataFrame([vars(step) for step in steps])
    chart = (
        alt.Chart(table)
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=60))
        .encode(
            x=alt.X("x:O", title=across, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("y:Q", title=up),
            color=_coloured("line:N", lines, [step.line for step in steps]),
            **_hint(),
        )
    )
    st.altair_chart(chart, height=420, alt=alt_text)


def _coloured(field: str, known: Sequence[str], used: Sequence[str]) -> alt.Color:
    """A colour for each of the ``known`` names, whichever of them are used; the legend tells those."""
    scale = alt.Scale(domain=list(known), range=KIND_COLOURS[: len(known)])
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

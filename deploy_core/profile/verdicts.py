"""What the numbers of a run say, in words: which is faster, or that it is a tie; where the time went; what to ship."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from deploy_core.formats import FORMATS
from deploy_core.profile.intervals import Interval, estimates
from deploy_core.profile.record import Record, Row
from deploy_core.profile.rounds import LEAST_ROUNDS
from deploy_core.types import OperatorTime

PERCENT = 100
# A difference that is sure but smaller than this is of no use to anybody.
TIE = 0.02
LEAST_DIFFERENCE_MS = 0.02
# Files whose sizes, or times, are so near each other that something else may decide.
NEAR = 0.05


@dataclass(frozen=True)
class Verdict:
    """How two artifacts of one run compare: ``ratio`` is the second's median in that of the first's."""

    first: str
    second: str
    ratio: float
    interval: Interval
    rounds: int

    @property
    def is_known(self) -> bool:
        """Whether there were rounds enough to tell anything."""
        return self.rounds >= LEAST_ROUNDS

    @property
    def is_tie(self) -> bool:
        low, high = self.interval
        return not self.is_known or low <= 1 <= high or abs(self.ratio - 1) < TIE

    @property
    def text(self) -> str:
        first, second = FORMATS[self.first].title, FORMATS[self.second].title
        if not self.is_known:
            return f"{self.rounds} rounds are too few to say whether {second} or {first} is faster."
        if self.is_tie:
            return f"{second} and {first} are equally fast, as far as this run can tell."
        low, high = (abs(bound - 1) for bound in sorted(self.interval, key=lambda bound: abs(bound - 1)))
        word = "slower" if self.ratio > 1 else "faster"
        sure = f"95 %: {low * PERCENT:.0f} to {high * PERCENT:.0f} %"
        return f"{second} is {percent(abs(self.ratio - 1))} {word} than {first} ({sure})."


def percent(share: float) -> str:
    """A share as people write it: ``18 %``."""
    return f"{share * PERCENT:.0f} %"


def between(first: Row, second: Row) -> Verdict:
    """Compares two rows of one run, paired by their rounds."""
    found = estimates({"first": first.samples_ms, "second": second.samples_ms})["second"]
    return Verdict(first.format, second.format, found.ratio, found.ratio_interval, len(first.samples_ms))


def certainty(run: Record) -> str:
    """Whether the run went on long enough, in one sentence."""
    bound = percent(run.bound)
    if run.settled:
        return f"Every ratio to the original is known to ±{bound} (95 %)."
    widest = max(run.rows, key=_half_width)
    if run.repeats < LEAST_ROUNDS:
        return f"{run.repeats} rounds are too few for an interval. Measure longer."
    ended = f"{run.repeats} rounds" if run.budget_seconds is None else f"The {run.budget_seconds:g} seconds"
    return (
        f"{ended} ended before every ratio was known to ±{bound}: {FORMATS[widest.format].title} is at "
        f"±{_half_width(widest) * PERCENT:.1f} %. Measure longer, or when the machine is quieter."
    )


def _half_width(row: Row) -> float:
    low, high = row.ratio_interval
    return (high - low) / 2 / row.ratio


@dataclass(frozen=True)
class OperatorDifference:
    """An operator whose time differs between two files, and why where that is known."""

    name: str
    group: str
    difference_ms: float
    reason: str | None

    @property
    def text(self) -> str:
        return f"{self.name} {self.difference_ms:+.2f} ms{f', {self.reason}' if self.reason else ''}"


@dataclass(frozen=True)
class _Reason:
    """An operator that the second file has and the first has not, and what it makes cost more or less."""

    cause: str
    effect: str
    costs_more: bool
    words: str


REASONS = (
    _Reason(
        r"prepacked::conv2d.*",
        r"aten::(copy_|clone|contiguous)",
        True,
        "the prepacked patch convolution returns channels-last, and what follows copies it back",
    ),
    _Reason(r"quantized::linear_dynamic", r"aten::addmm", False, "its Linear layers are int8"),
    _Reason(r"quantized::linear_dynamic", r"quantized::linear_dynamic", True, "in the place of float products"),
    _Reason(r"MatMulInteger.*|DynamicQuantizeMatMul", r"MatMul|Gemm", False, "its Linear layers are int8"),
    _Reason(
        r"MatMulInteger.*|DynamicQuantizeMatMul",
        r"MatMulInteger.*|DynamicQuantizeMatMul",
        True,
        "in the place of float products",
    ),
    _Reason(r"DynamicQuantizeLinear", r"DynamicQuantizeLinear", True, "activations are scaled to int8 while it runs"),
)


def differences(first: Row, second: Row) -> tuple[OperatorDifference, ...]:
    """The operators by how much more time the second file spends on them, the largest difference first."""
    own, other = _by_name(first.operators), _by_name(second.operators)
    groups = {operator.name: operator.group for operator in (*first.operators, *second.operators)}
    extra = set(other) - set(own)
    apart = {name: other.get(name, 0.0) - own.get(name, 0.0) for name in groups}
    rows = [
        OperatorDifference(name, groups[name], milliseconds, _reason(name, extra, milliseconds > 0))
        for name, milliseconds in apart.items()
    ]
    told = [row for row in rows if abs(row.difference_ms) >= LEAST_DIFFERENCE_MS]
    return tuple(sorted(told, key=lambda row: abs(row.difference_ms), reverse=True))


def main_difference(first: Row, second: Row) -> str | None:
    """Which kind of operator makes most of the difference of two files, and which operator of that kind; None where
    the files are equally fast, or one does not tell its operators."""
    if between(first, second).is_tie or not (first.operators and second.operators):
        return None
    own, other = by_group(first), by_group(second)
    kinds = {kind: other.get(kind, 0.0) - own.get(kind, 0.0) for kind in (*own, *other)}
    kind = max(kinds, key=lambda kind: abs(kinds[kind]))
    inside = next((found.text for found in differences(first, second) if found.group == kind), None)
    return f"Most of it in {kind}, {kinds[kind]:+.2f} ms{f' ({inside})' if inside else ''}."


def by_group(row: Row) -> dict[str, float]:
    """Milliseconds of one inference by group of operators, the largest first."""
    spent: dict[str, float] = defaultdict(float)
    for operator in row.operators:
        spent[operator.group] += operator.self_ms
    return dict(sorted(spent.items(), key=lambda pair: pair[1], reverse=True))


class Weighed(Protocol):
    """Whatever has a size and a speed."""

    @property
    def bytes(self) -> int: ...

    @property
    def median_ms(self) -> float: ...


SomeRow = TypeVar("SomeRow", bound=Weighed)


def pareto(rows: Sequence[SomeRow]) -> tuple[SomeRow, ...]:
    """The rows that no other is both smaller and faster than, the smallest first."""
    front: list[SomeRow] = []
    for row in sorted(rows, key=lambda row: (row.bytes, row.median_ms)):
        if not front or row.median_ms < front[-1].median_ms:
            front.append(row)
    return tuple(front)


@dataclass(frozen=True)
class Limits:
    """What a visitor can live with; None for no limit. ``agreement`` is the least share of equal top-1 answers."""

    bytes: int | None = None
    milliseconds: float | None = None
    agreement: float | None = None


@dataclass(frozen=True)
class Target:
    """Where a file is to run.

    ``takes`` says which formats run there, ``prefers`` what counts first, ``near`` how much more of that is as good,
    ``then`` what decides among those, and ``caution`` what the measuring machine tells of it.
    """

    title: str
    takes: Callable[[str], bool]
    prefers: Callable[[Row], float]
    near: float
    then: Callable[[Row], float]
    caution: Callable[[Record], str]


@dataclass(frozen=True)
class Recommendation:
    """What to ship for a target, None where nothing keeps the limits, and why."""

    target: str
    format: str | None
    reason: str

    @property
    def text(self) -> str:
        title = FORMATS[self.format].title if self.format else "nothing"
        return f"For {self.target}: {title}. {self.reason}"


def _platforms(key: str) -> str:
    return " ".join(runtime.platforms for runtime in FORMATS[key].runtimes)


TARGETS: dict[str, Target] = {
    "phone": Target(
        "a phone app",
        lambda key: any(name in _platforms(key) for name in ("Android", "iOS")),
        lambda row: row.bytes,
        NEAR,
        lambda row: row.median_ms,
        lambda _: "A PC is not a phone: sizes and answers hold there, milliseconds do not.",
    ),
    "web": Target(
        "a web page",
        lambda key: "browsers" in _platforms(key),
        lambda row: row.bytes,
        NEAR,
        lambda row: row.median_ms,
        lambda _: "Every visitor downloads it, so its size comes first; a browser's speed is its own.",
    ),
    "server": Target(
        "a server like this",
        lambda _: True,
        lambda row: row.median_ms,
        TIE,
        lambda row: row.bytes,
        lambda run: f"Measured on {run.host.cpu} with {run.threads} threads.",
    ),
}


def recommend(run: Record, target: Target, limits: Limits) -> Recommendation:
    """The file to ship for ``target`` within ``limits``: the smallest for devices, the fastest for a server.

    Among files that are about as good in that, the faster one for devices, the smaller one for a server.
    """
    able = [row for row in run.rows if target.takes(row.format)]
    kept = [row for row in able if not _broken(row, limits)]
    if not able:
        return Recommendation(target.title, None, "No file of this run runs there.")
    if not kept:
        return Recommendation(
            target.title, None, f"No file that runs there keeps these limits. {_nearest(able, limits)}"
        )
    best = min(kept, key=target.prefers)
    rivals = [row for row in kept if target.prefers(row) <= target.prefers(best) * (1 + target.near)]
    chosen = min(rivals, key=target.then)
    return Recommendation(target.title, chosen.format, _praise(run, chosen, target))


def _broken(row: Row, limits: Limits) -> list[str]:
    found = []
    if limits.bytes is not None and row.bytes > limits.bytes:
        found.append(f"{row.bytes / 1e6:.1f} MB")
    if limits.milliseconds is not None and row.median_ms > limits.milliseconds:
        found.append(f"{row.median_ms:.1f} ms")
    if limits.agreement is not None and row.top1_agreement < limits.agreement:
        found.append(f"{percent(row.top1_agreement)} equal answers")
    if row.disagrees:
        found.append("answers too far from the original's")
    return found


def _nearest(able: Sequence[Row], limits: Limits) -> str:
    nearest = min(able, key=lambda row: (len(_broken(row, limits)), row.bytes))
    return f"The nearest is {FORMATS[nearest.format].title}: {', '.join(_broken(nearest, limits))}."


def _praise(run: Record, chosen: Row, target: Target) -> str:
    original = run.rows[0]
    caution = target.caution(run)
    if chosen is original:
        return f"Nothing else within the limits is better there. {caution}"
    return (
        f"{chosen.bytes / 1e6:.1f} MB instead of {original.bytes / 1e6:.1f}, {chosen.ratio:.2f} times the original's "
        f"{original.median_ms:.1f} ms, the same first answer on {percent(chosen.top1_agreement)} of the reference "
        f"pictures. {caution}"
    )


def _by_name(operators: Sequence[OperatorTime]) -> dict[str, float]:
    spent: dict[str, float] = defaultdict(float)
    for operator in operators:
        spent[operator.name] += operator.self_ms
    return spent


def _reason(name: str, extra: set[str], costs_more: bool) -> str | None:
    for reason in REASONS:
        fits = reason.costs_more is costs_more and re.fullmatch(reason.effect, name)
        if fits and any(re.fullmatch(reason.cause, other) for other in extra):
            return reason.words
    return None

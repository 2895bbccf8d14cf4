"""What the numbers of a run say, in words: which is faster, or that it is a tie; where the time went; what to ship."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy_core.formats import FORMATS
from deploy_core.profile.intervals import Interval, estimates
from deploy_core.profile.record import Record, Row
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

    @property
    def is_tie(self) -> bool:
        low, high = self.interval
        return low <= 1 <= high or abs(self.ratio - 1) < TIE

    @property
    def text(self) -> str:
        first, second = FORMATS[self.first].title, FORMATS[self.second].title
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
    return Verdict(first.format, second.format, found.ratio, found.ratio_interval)


def certainty(run: Record) -> str:
    """Whether the run went on long enough, in one sentence."""
    bound = percent(run.bound)
    if run.settled:
        return f"Every ratio to the original is known to ±{bound} (95 %)."
    widest = max(run.rows, key=_half_width)
    ended = f"{run.repeats} rounds" if run.budget_seconds is None else f"The {run.budget_seconds:g} seconds"
    return (
        f"{ended} ended before every ratio was known to ±{bound}: {FORMATS[widest.format].title} is at "
        f"±{percent(_half_width(widest))}. Measure longer, or when the machine is quieter."
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
        return f"`{self.name}` {self.difference_ms:+.2f} ms{f': {self.reason}' if self.reason else ''}"


# What the second file does that the first does not, by the operators that it has, and what that costs where.
REASONS: Sequence[tuple[str, str, str]] = (
    (
        r"prepacked::conv2d.*",
        r"aten::(copy_|clone|contiguous)",
        "the prepacked patch convolution returns channels-last, and what follows copies it back",
    ),
    (r"quantized::linear_dynamic", r"aten::addmm", "its Linear layers are int8"),
    (r"quantized::linear_dynamic", r"quantized::linear_dynamic", "int8 products take the place of float ones"),
    (r"MatMulInteger.*|DynamicQuantizeMatMul", r".*MatMul.*|.*Gemm.*", "its Linear layers are int8"),
    (r"DynamicQuantizeLinear", r"DynamicQuantizeLinear", "activations are scaled to int8 while it runs"),
)


def differences(first: Row, second: Row) -> tuple[OperatorDifference, ...]:
    """The operators by how much more time the second file spends on them, the largest difference first."""
    own, other = _by_name(first.operators), _by_name(second.operators)
    groups = {operator.name: operator.group for operator in (*first.operators, *second.operators)}
    extra = set(other) - set(own)
    rows = [
        OperatorDifference(name, groups[name], other.get(name, 0.0) - own.get(name, 0.0), _reason(name, extra))
        for name in groups
    ]
    told = [row for row in rows if abs(row.difference_ms) >= LEAST_DIFFERENCE_MS]
    return tuple(sorted(told, key=lambda row: abs(row.difference_ms), reverse=True))


def by_group(row: Row) -> dict[str, float]:
    """Milliseconds of one inference by group of operators, the largest first."""
    spent: dict[str, float] = defaultdict(float)
    for operator in row.operators:
        spent[operator.group] += operator.self_ms
    return dict(sorted(spent.items(), key=lambda pair: pair[1], reverse=True))


def pareto(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows that no other is both smaller and faster than, the smallest first."""
    front: list[Row] = []
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
    """Where a file is to run: ``takes`` says which formats do; ``caution`` what the measuring machine tells of it."""

    title: str
    takes: Callable[[str], bool]
    prefers: Callable[[Row], float]
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
        lambda _: "A PC is not a phone: sizes and answers hold there, milliseconds do not.",
    ),
    "web": Target(
        "a web page",
        lambda key: "browsers" in _platforms(key),
        lambda row: row.bytes,
        lambda _: "Every visitor downloads it, so its size comes first; a browser's speed is its own.",
    ),
    "server": Target(
        "a server like this",
        lambda _: True,
        lambda row: row.median_ms,
        lambda run: f"The fastest on {run.host.cpu} with {run.threads} threads.",
    ),
}


def recommend(run: Record, target: Target, limits: Limits) -> Recommendation:
    """The file to ship for ``target`` within ``limits``: the smallest for devices, the fastest for a server.

    Among files that are about as good in that, the faster one, then the smaller one.
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
    rivals = [row for row in kept if target.prefers(row) <= target.prefers(best) * (1 + NEAR)]
    chosen = min(rivals, key=lambda row: (row.median_ms, row.bytes))
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
        return f"Nothing else is better there. {caution}"
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


def _reason(name: str, extra: set[str]) -> str | None:
    for cause, effect, words in REASONS:
        if re.fullmatch(effect, name) and any(re.fullmatch(cause, other) for other in extra):
            return words
    return None

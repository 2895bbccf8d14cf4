"""Why one file is slower than another: compares the times of their operators."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from deploy_core.profile.record.record import Row
from deploy_core.profile.verdict.verdicts import between
from deploy_core.types import OperatorTime

LEAST_DIFFERENCE_MS = 0.02
# A profiler times the operators outside the rounds. If it measures more than this many times the median of the rounds,
# the times of the operators explain nothing.
FARTHEST = 1.25
MOST_EXPLAINED = 1.5
# The part of the median that is not in the operators: the runtime around them, and the cost of its profiler.
OUTSIDE = "outside the operators"


@dataclass(frozen=True)
class OperatorDifference:
    """An operator whose time differs between two files; ``reason`` is None if it is not known."""

    name: str
    group: str
    first_ms: float
    second_ms: float
    reason: str | None

    @property
    def difference_ms(self) -> float:
        return self.second_ms - self.first_ms

    @property
    def text(self) -> str:
        return f"{self.name} {self.difference_ms:+.2f} ms{f', {self.reason}' if self.reason else ''}"


@dataclass(frozen=True)
class _Reason:
    """A known effect: if only the second file has the operator ``cause``, the operator ``effect`` costs more or less.

    ``cause`` and ``effect`` are patterns of operator names.
    """

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
    """The operators that take different time in the two files, the largest difference first."""
    own, other = _by_name(first.operators), _by_name(second.operators)
    groups = {operator.name: operator.group for operator in (*first.operators, *second.operators)}
    extra = set(other) - set(own)
    rows = [
        OperatorDifference(name, group, one, two, _reason(name, extra, two > one))
        for name, group in groups.items()
        for one, two in [(own.get(name, 0.0), other.get(name, 0.0))]
    ]
    visible = [row for row in rows if abs(row.difference_ms) >= LEAST_DIFFERENCE_MS]
    return tuple(sorted(visible, key=lambda row: abs(row.difference_ms), reverse=True))


def explanation(first: Row, second: Row) -> str:
    """Whether the second file is slower or faster, and which operators make most of the difference."""
    verdict = between(first, second)
    if not (verdict.outcome.is_difference and first.operators and second.operators):
        return verdict.text
    return f"{verdict.text} {main_difference(first, second)}"


def main_difference(first: Row, second: Row) -> str:
    """The group of operators that makes at least half of the difference of the medians, and its main operator.

    A group that takes less time in the slower file explains nothing. Neither do operators that were measured while the
    machine was slower than in the rounds.
    """
    difference = second.median_ms - first.median_ms
    if any(sum(by_group(row).values()) > FARTHEST * row.median_ms for row in (first, second)):
        return "Their operators were seen at a slower moment than the rounds, so they do not say why. Measure again."
    own, other = _by_kind(first), _by_kind(second)
    kinds = {kind: other.get(kind, 0.0) - own.get(kind, 0.0) for kind in (*own, *other)}
    kind = max(kinds, key=lambda kind: kinds[kind] * difference)
    explained = kinds[kind]
    if not difference**2 / 2 <= explained * difference <= MOST_EXPLAINED * difference**2:
        return f"No one kind of operator explains half of these {difference:+.2f} ms."
    inside = next(
        (row.text for row in differences(first, second) if row.group == kind and row.difference_ms * difference > 0),
        None,
    )
    place = kind if kind == OUTSIDE else f"in {kind}"
    return f"Most of it is {place}, {explained:+.2f} ms{f' ({inside})' if inside else ''}."


def by_group(row: Row) -> dict[str, float]:
    """The milliseconds of one inference for each group of operators, the largest first."""
    spent: dict[str, float] = defaultdict(float)
    for operator in row.operators:
        spent[operator.group] += operator.self_ms
    return dict(sorted(spent.items(), key=lambda pair: pair[1], reverse=True))


def _by_kind(row: Row) -> dict[str, float]:
    """``by_group``, and the rest of the median as ``OUTSIDE``."""
    groups = by_group(row)
    return groups | {OUTSIDE: row.median_ms - sum(groups.values())}


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

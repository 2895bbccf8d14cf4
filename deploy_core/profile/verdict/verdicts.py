"""Verdicts on the files of one run, in words: which is faster, whether the run can tell, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar

from deploy_core.formats import FORMATS
from deploy_core.profile.intervals import LEAST_ROUNDS, Interval, SpeedOutcome, estimates, half_width, outcome_of
from deploy_core.profile.record.record import Record, Row
from deploy_core.profile.words import NO_DIFFERENCE, PERCENT, counted
from deploy_core.shares import percent

# A smaller difference has no practical use, even if it is sure.
TIE = 0.02
# Two files are equal if the interval is within this. A settled run is precise enough to show it.
ALIKE = 0.05
PAIRS_KEPT = 200


@dataclass(frozen=True)
class Verdict:
    """The comparison of two artifacts of one run; ``ratio`` is the second median divided by the first."""

    first: str
    second: str
    ratio: float
    interval: Interval | None
    rounds: int

    @property
    def outcome(self) -> SpeedOutcome:
        return outcome_of(self.ratio, self.interval, TIE, ALIKE)

    @property
    def text(self) -> str:
        first, second = FORMATS[self.first].title, FORMATS[self.second].title
        if self.interval is None:
            return (
                f"{NO_DIFFERENCE} between {second} and {first} after {counted(self.rounds, 'round')}; measure longer."
            )
        if self.outcome is SpeedOutcome.EQUAL:
            within = max(abs(bound - 1) for bound in self.interval)
            return f"{second} and {first} are equally fast, to within {math.ceil(within * PERCENT)} %."
        if self.outcome is SpeedOutcome.UNKNOWN:
            low, high = self.interval
            return (
                f"{NO_DIFFERENCE} between {second} and {first}: {second} takes {low:.2f} to {high:.2f} times as long "
                "(95 %); measure longer."
            )
        low, high = sorted(abs(bound - 1) * PERCENT for bound in self.interval)
        sure = f"95 %: {low:.0f} to {high:.0f} %"
        return f"{second} is {percent(abs(self.ratio - 1))} {self.outcome.value} than {first} ({sure})."


@lru_cache(maxsize=PAIRS_KEPT)
def between(first: Row, second: Row) -> Verdict:
    """Compares two rows of one run, paired by rounds. Cached, because a page asks at each click."""
    estimate = estimates({"first": first.samples_ms, "second": second.samples_ms})["second"]
    return Verdict(first.format, second.format, estimate.ratio, estimate.ratio_interval, len(first.samples_ms))


def certainty(run: Record) -> str:
    """Whether the run was long enough, in one sentence."""
    bound = percent(run.bound)
    if run.settled:
        return f"Every ratio to the original is known to ±{bound} (95 %)."
    if run.repeats < LEAST_ROUNDS:
        return f"{counted(run.repeats, 'round')} cannot give an interval: that takes {LEAST_ROUNDS}."
    widest = max(run.rows, key=_half_width)
    rounds, seconds = counted(run.repeats, "round"), run.budget_seconds
    ended = rounds if seconds is None else f"The {seconds:g} seconds"
    return (
        f"{ended} ended before every ratio was known to ±{bound}: {FORMATS[widest.format].title} is at "
        f"±{_half_width(widest) * PERCENT:.1f} %. Measure longer, or when the machine is quieter."
    )


def _half_width(row: Row) -> float:
    return half_width(row.ratio, row.ratio_interval)


class HasSizeAndSpeed(Protocol):
    """A measured file: a ``Row`` or a ``DeviceRow``."""

    @property
    def bytes(self) -> int: ...

    @property
    def median_ms(self) -> float: ...


SomeRow = TypeVar("SomeRow", bound=HasSizeAndSpeed)


def pareto(rows: Sequence[SomeRow]) -> tuple[SomeRow, ...]:
    """The Pareto front: the rows for which no other is both smaller and faster, the smallest first."""
    front: list[SomeRow] = []
    for row in sorted(rows, key=lambda row: (row.bytes, row.median_ms)):
        if not front or row.median_ms < front[-1].median_ms:
            front.append(row)
    return tuple(front)

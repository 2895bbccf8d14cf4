"""Bootstrap intervals of medians and of their ratios.

Source: Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# With fewer rounds, bootstrap intervals are too narrow.
LEAST_ROUNDS = 12
# More rounds add nothing, and a record with this many is still small enough to send.
MOST_ROUNDS = 5000
RESAMPLES = 1000
# This many at a time fit into the processor's cache.
DRAWN_AT_ONCE = 50
SEED = 0
SURE = (2.5, 97.5)

Interval = tuple[float, float]


class SpeedOutcome(Enum):
    """The second of two compared with the first, as far as the interval of their ratio shows."""

    UNKNOWN = "no reliable difference"
    EQUAL = "as fast"
    SLOWER = "slower"
    FASTER = "faster"

    @property
    def is_difference(self) -> bool:
        return self in (SpeedOutcome.SLOWER, SpeedOutcome.FASTER)


@dataclass(frozen=True)
class Estimate:
    """A median in milliseconds and its ratio to the first one's, with 95 % intervals; None for too few rounds."""

    median: float
    median_interval: Interval | None
    ratio: float
    ratio_interval: Interval | None

    @property
    def half_width(self) -> float:
        """Half the width of the ratio's interval, as a share of the ratio."""
        return half_width(self.ratio, self.ratio_interval)


def half_width(ratio: float, interval: Interval | None) -> float:
    """Half the width of the interval, as a share of the ratio; infinite without an interval."""
    return (interval[1] - interval[0]) / 2 / ratio if interval else math.inf


def outcome_of(ratio: float, interval: Interval | None, least: float, alike: float) -> SpeedOutcome:
    """The outcome of a comparison from the ratio and its 95 % interval.

    A difference needs an interval without 1 and a ratio at least ``least`` away from 1. Equality needs an interval
    within plus or minus ``alike`` of 1.
    """
    if interval is None:
        return SpeedOutcome.UNKNOWN
    low, high = interval
    if not low <= 1 <= high and abs(ratio - 1) >= least:
        return SpeedOutcome.SLOWER if ratio > 1 else SpeedOutcome.FASTER
    return SpeedOutcome.EQUAL if 1 - alike <= low and high <= 1 + alike else SpeedOutcome.UNKNOWN


def estimates(samples: Mapping[str, Sequence[float]]) -> dict[str, Estimate]:
    """The medians of samples measured in the same rounds, in milliseconds, and their ratios to the first one's.

    The bootstrap draws whole rounds, so whatever slowed all files down in a round cancels out of the ratios.
    """
    import numpy as np

    table = np.array([*samples.values()])
    measured = np.median(table, axis=1)
    if table.shape[1] < LEAST_ROUNDS:
        return {
            name: Estimate(float(median), None, float(median / measured[0]), None)
            for name, median in zip(samples, measured, strict=True)
        }
    medians = _resampled_medians(table, np.random.default_rng(SEED))
    ratios = medians / medians[0]
    return {
        name: Estimate(float(median), _interval(own), float(median / measured[0]), _interval(ratio))
        for name, median, own, ratio in zip(samples, measured, medians, ratios, strict=True)
    }


def ratio_of_medians(first: Sequence[float], second: Sequence[float]) -> tuple[float, Interval | None]:
    """The second median divided by the first, and its 95 % interval, for samples that were not measured in turn."""
    import numpy as np

    ratio = float(np.median(second) / np.median(first))
    if min(len(first), len(second)) < LEAST_ROUNDS:
        return ratio, None
    generator = np.random.default_rng(SEED)
    one, other = (_resampled_medians(np.array([samples]), generator)[0] for samples in (first, second))
    return ratio, _interval(other / one)


def _resampled_medians(table: npt.NDArray[np.float64], generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """The medians of each row, shape (rows, RESAMPLES), in bootstrap samples of the columns (rounds)."""
    import numpy as np

    rounds = table.shape[1]
    middle = slice((rounds - 1) // 2, rounds // 2 + 1)
    medians = []
    for _ in range(RESAMPLES // DRAWN_AT_ONCE):
        drawn = generator.integers(0, rounds, (DRAWN_AT_ONCE, rounds), dtype=np.int32)
        # numpy sorts many times faster than it finds a median.
        medians.append([np.sort(row[drawn], axis=1)[:, middle].mean(axis=1) for row in table])
    return np.concatenate(medians, axis=1)


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    import numpy as np

    low, high = np.percentile(values, SURE)
    return float(low), float(high)

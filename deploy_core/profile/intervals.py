"""How sure a median is: bootstrap intervals (Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# A bootstrap of fewer medians than that takes chance for certainty.
LEAST_ROUNDS = 12
# More rounds tell nothing more, and a record of so many can still be sent around.
MOST_ROUNDS = 5000
RESAMPLES = 1000
# So many at a time stay in the processor's cache.
DRAWN_AT_ONCE = 50
SEED = 0
SURE = (2.5, 97.5)

Interval = tuple[float, float]


class Finding(Enum):
    """What the interval of a ratio says of the second of two."""

    UNKNOWN = "cannot tell"
    EQUAL = "as fast"
    SLOWER = "slower"
    FASTER = "faster"

    @property
    def is_difference(self) -> bool:
        return self in (Finding.SLOWER, Finding.FASTER)


@dataclass(frozen=True)
class Estimate:
    """A median in milliseconds and its ratio to the first's, each with its 95 % interval; None for too few rounds."""

    median: float
    median_interval: Interval | None
    ratio: float
    ratio_interval: Interval | None

    @property
    def half_width(self) -> float:
        """Of the ratio's interval, as a share of the ratio."""
        return half_width(self.ratio, self.ratio_interval)


def half_width(ratio: float, interval: Interval | None) -> float:
    """How much of the ratio its interval reaches to either side; boundless where there is none."""
    return (interval[1] - interval[0]) / 2 / ratio if interval else math.inf


def judged(ratio: float, interval: Interval | None, least: float, alike: float) -> Finding:
    """What a ratio says with its interval: a difference of at least ``least``, if it is sure that there is one.

    They are equal only if it is sure that they do not differ by more than ``alike``.
    """
    if interval is None:
        return Finding.UNKNOWN
    low, high = interval
    if not low <= 1 <= high and abs(ratio - 1) >= least:
        return Finding.SLOWER if ratio > 1 else Finding.FASTER
    return Finding.EQUAL if 1 - alike <= low and high <= 1 + alike else Finding.UNKNOWN


def estimates(samples: Mapping[str, Sequence[float]]) -> dict[str, Estimate]:
    """Medians of rounds in which each took its turn, and their ratios to the first one's.

    Whole rounds are drawn again, so that what slowed a round down for all cancels out of the ratios.
    """
    import numpy as np

    table = np.array([*samples.values()])
    measured = np.median(table, axis=1)
    if table.shape[1] < LEAST_ROUNDS:
        return {
            name: Estimate(float(median), None, float(median / measured[0]), None)
            for name, median in zip(samples, measured, strict=True)
        }
    medians = _drawn_again(table, np.random.default_rng(SEED))
    ratios = medians / medians[0]
    return {
        name: Estimate(float(median), _interval(own), float(median / measured[0]), _interval(ratio))
        for name, median, own, ratio in zip(samples, measured, medians, ratios, strict=True)
    }


def ratio_of_medians(first: Sequence[float], second: Sequence[float]) -> tuple[float, Interval | None]:
    """How the second's median compares to the first's, where they were not measured in turn, and its 95 % interval."""
    import numpy as np

    ratio = float(np.median(second) / np.median(first))
    if min(len(first), len(second)) < LEAST_ROUNDS:
        return ratio, None
    generator = np.random.default_rng(SEED)
    one, other = (_drawn_again(np.array([samples]), generator)[0] for samples in (first, second))
    return ratio, _interval(other / one)


def _drawn_again(table: npt.NDArray[np.float64], generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """The median of each row in ``RESAMPLES`` bootstrap samples of the columns."""
    import numpy as np

    rounds = table.shape[1]
    middle = slice((rounds - 1) // 2, rounds // 2 + 1)
    found = []
    for _ in range(RESAMPLES // DRAWN_AT_ONCE):
        drawn = generator.integers(0, rounds, (DRAWN_AT_ONCE, rounds), dtype=np.int32)
        # Numpy sorts many times faster than it looks for a median.
        found.append([np.sort(row[drawn], axis=1)[:, middle].mean(axis=1) for row in table])
    return np.concatenate(found, axis=1)


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    import numpy as np

    low, high = np.percentile(values, SURE)
    return float(low), float(high)

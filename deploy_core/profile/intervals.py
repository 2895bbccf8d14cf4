"""How sure a median is: bootstrap intervals (Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RESAMPLES = 1000
SEED = 0
SURE = (2.5, 97.5)

Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A median in milliseconds and its ratio to the first's, each with its 95 % interval."""

    median: float
    median_interval: Interval
    ratio: float
    ratio_interval: Interval

    @property
    def half_width(self) -> float:
        """Of the ratio's interval, as a share of the ratio."""
        low, high = self.ratio_interval
        return (high - low) / 2 / self.ratio


def estimates(samples: Mapping[str, Sequence[float]]) -> dict[str, Estimate]:
    """Medians of rounds in which each took its turn, and their ratios to the first one's.

    Whole rounds are drawn again, so that what slowed a round down for all cancels out of the ratios.
    """
    import numpy as np

    table = np.array([*samples.values()])
    generator = np.random.default_rng(SEED)
    drawn = generator.integers(0, table.shape[1], (RESAMPLES, table.shape[1]), dtype=np.int32)
    medians = np.stack([np.median(row[drawn], axis=1) for row in table])
    measured = np.median(table, axis=1)
    ratios = medians / medians[0]
    return {
        name: Estimate(float(median), _interval(own), float(median / measured[0]), _interval(ratio))
        for name, median, own, ratio in zip(samples, measured, medians, ratios, strict=True)
    }


def ratio_of_medians(first: Sequence[float], second: Sequence[float]) -> tuple[float, Interval]:
    """How the second's median compares to the first's, where they were not measured in turn, and its 95 % interval."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    one, other = (np.array(samples) for samples in (first, second))
    medians = [np.median(row[generator.integers(0, len(row), (RESAMPLES, len(row)))], axis=1) for row in (one, other)]
    return float(np.median(other) / np.median(one)), _interval(medians[1] / medians[0])


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    import numpy as np

    low, high = np.percentile(values, SURE)
    return float(low), float(high)

"""A share as text, and its interval. Standard library only."""

from __future__ import annotations

import math

# The 97.5th percentile of the normal distribution: intervals are 95 % ones.
Z = 1.959964


def percent(share: float, digits: int = 0) -> str:
    """A share in per cent, such as ``46 %``."""
    return f"{share * 100:.{digits}f} %"


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; unlike the normal approximation, it stays inside 0..1 for few pictures."""
    share, weight = hits / count, Z * Z / count
    center = (share + weight / 2) / (1 + weight)
    half = Z * math.sqrt(share * (1 - share) / count + weight / (4 * count)) / (1 + weight)
    return max(0.0, center - half), min(1.0, center + half)

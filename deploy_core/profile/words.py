"""Numbers as people write them."""

from __future__ import annotations

PERCENT = 100
# Stands where an interval would.
TOO_FEW = "too few rounds"


def percent(share: float) -> str:
    """A share: ``18 %``."""
    return f"{share * PERCENT:.0f} %"


def counted(number: int, noun: str) -> str:
    """``1 round``, ``2 rounds``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"

"""Numbers as text for people."""

from __future__ import annotations

PERCENT = 100
# Shown instead of an interval.
TOO_FEW = "too few rounds"


def percent(share: float) -> str:
    """A share in per cent: ``18 %``."""
    return f"{share * PERCENT:.0f} %"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 round``, ``2 rounds``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"

"""Numbers as text for people."""

from __future__ import annotations

PERCENT = 100
# For two speeds that a run cannot tell apart.
NO_DIFFERENCE = "No reliable difference"
TOO_SHORT = f"{NO_DIFFERENCE}; measure longer"
# Shown instead of an interval.
TOO_FEW = "too few rounds"


def about(seconds: float) -> str:
    """A duration that is not known exactly: ``about 40 seconds``, ``about 2.5 minutes``."""
    tens, halves = max(10, round(seconds / 10) * 10), round(seconds / 30) / 2
    return f"about {tens} seconds" if seconds < 95 else f"about {halves:g} minutes"


def times_as_fast(ratio: float) -> str:
    """A file's speed, from its time divided by the original's: ``1.9 times as fast as the original``."""
    return f"{1 / ratio:.1f} times as fast as the original"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 round``, ``2 rounds``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"

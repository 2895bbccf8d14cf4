"""Progress on standard error."""

from __future__ import annotations

import sys

from deploy_core.types import Event, Progress


def tell(event: Event) -> None:
    print(f"[{event.fraction:4.0%}] {event.message}", file=sys.stderr, flush=True)


def each_percent() -> Progress:
    """Progress that prints an event only when the percentage has changed."""
    printed: list[str] = []

    def tell_once(event: Event) -> None:
        percent = f"{event.fraction:.0%}"
        if percent not in printed:
            printed[:] = [percent]
            tell(event)

    return tell_once

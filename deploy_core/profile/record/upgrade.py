"""What records of older versions say, in the words of this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy_core.profile.intervals import LEAST_ROUNDS

Document = dict[str, Any]


def _from_2(document: Document) -> Document:
    """Version 2 did not tell of how many rounds a point of ``scaling`` was, and gave few rounds an interval, too."""
    has_too_few = document.get("repeats") in range(LEAST_ROUNDS)

    def row(old: Document) -> Document:
        def point(scaling: Document) -> Document:
            if scaling.get("threads") == document.get("threads"):
                return scaling | {"interval_ms": interval("median_interval_ms"), "rounds": document.get("repeats")}
            return scaling | {"interval_ms": None, "rounds": None}

        def interval(name: str) -> object:
            return None if has_too_few else old.get(name)

        intervals = {name: interval(name) for name in ("median_interval_ms", "ratio_interval") if name in old}
        return old | intervals | _each(old, "scaling", point)

    return (
        document
        | {"version": 3, "visits": 1}
        | _each(document, "rows", row)
        | _each(document, "unmeasured", lambda failed: failed | {"threads": None})
    )


UPGRADES: dict[int, Callable[[Document], Document]] = {2: _from_2}


def upgraded(document: Document) -> Document:
    """A document of this version, as far as one can be made; what it lacks, it lacks afterwards, too."""
    version = document.get("version")
    while type(version) is int and version in UPGRADES:
        document = UPGRADES[version](document)
        version = document["version"]
    return document


def _each(document: Document, name: str, change: Callable[[Document], Document]) -> Document:
    """The list of that name with each part changed, where it is there and is one."""
    parts = document.get(name)
    if not isinstance(parts, list):
        return {}
    return {name: [change(part) if isinstance(part, dict) else part for part in parts]}

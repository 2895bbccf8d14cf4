"""Converts records of older versions to the current one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy_core.profile.intervals import LEAST_ROUNDS

Document = dict[str, Any]


def _from_2(document: Document) -> Document:
    """Version 2 saved no rounds and intervals in ``scaling``, and computed intervals from too few rounds."""
    has_too_few = document.get("repeats") in range(LEAST_ROUNDS)

    def row(old: Document) -> Document:
        def point(scaling: Document) -> Document:
            if scaling.get("threads") == document.get("threads"):
                return scaling | {"interval_ms": interval("median_interval_ms"), "rounds": document.get("repeats")}
            return scaling | {"interval_ms": None, "rounds": None}

        def interval(name: str) -> object:
            return None if has_too_few else old.get(name)

        intervals = {name: interval(name) for name in ("median_interval_ms", "ratio_interval") if name in old}
        return old | intervals | _with_each(old, "scaling", point)

    return (
        document
        | {"version": 3, "visits": 1}
        | _with_each(document, "rows", row)
        | _with_each(document, "unmeasured", lambda failed: failed | {"threads": None})
    )


def _from_3(document: Document) -> Document:
    """Version 3 did not save how long a run took. In it, every file was examined."""
    return document | {"version": 4, "took_seconds": None}


UPGRADES: dict[int, Callable[[Document], Document]] = {2: _from_2, 3: _from_3}


def upgraded(document: Document) -> Document:
    """The document in the current version, if ``UPGRADES`` leads there. Fields that are missing stay missing."""
    version = document.get("version")
    while type(version) is int and version in UPGRADES:
        document = UPGRADES[version](document)
        version = document["version"]
    return document


def _with_each(document: Document, name: str, change: Callable[[Document], Document]) -> Document:
    """The list ``name`` with ``change`` applied to each part; empty if the document has no such list."""
    parts = document.get(name)
    if not isinstance(parts, list):
        return {}
    return {name: [change(part) if isinstance(part, dict) else part for part in parts]}

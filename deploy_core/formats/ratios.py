"""The size and the time of one file against another of the same build, in words, for ``Format.effect``.

The times come from the check of the build, one picture at a time: they show a direction, and do not compare machines.
"""

from __future__ import annotations

from deploy_core.formats.format import ORIGINAL_KEY
from deploy_core.types import Artifact, BuildResult

# Two times, or two sizes, that differ by a smaller share are called about the same.
ALIKE_TIMES, ALIKE_SIZES = 0.25, 0.05


def size_against(result: BuildResult, key: str, other: str) -> str:
    """The size of the file ``key`` as a share or a multiple of that of ``other``; both are keys of formats."""
    one, two = _artifact(result, key), _artifact(result, other)
    if one is None or two is None:
        return "its size has nothing here to be compared with"
    return _ratio(one.bytes / two.bytes, ALIKE_SIZES, "the bytes", other)


def time_against(result: BuildResult, key: str, other: str) -> str:
    """The time of one answer of the file ``key`` as a share or a multiple of that of ``other``."""
    one, two = _artifact(result, key), _artifact(result, other)
    if one is None or two is None:
        return "its speed has nothing here to be compared with"
    return _ratio(one.relative_time / two.relative_time, ALIKE_TIMES, "the time", other)


def _artifact(result: BuildResult, key: str) -> Artifact | None:
    return next((artifact for artifact in result.artifacts if artifact.format == key), None)


def _ratio(ratio: float, alike: float, of_what: str, other: str) -> str:
    owner = "of the original" if other == ORIGINAL_KEY else f"of the {other} file"
    if abs(ratio - 1) < alike:
        return f"about {of_what} {owner}"
    if ratio > 2:
        return f"{ratio:.1f} times {of_what} {owner}"
    return f"{ratio * 100:.0f} % of {of_what} {owner}"

"""The size of one file against another of the same build, in words, for ``Format.effect``."""

from __future__ import annotations

from deploy_core.formats.format import ORIGINAL_KEY
from deploy_core.types import Artifact, BuildResult

# Two sizes that differ by a smaller share are called about the same.
ALIKE = 0.05


def size_against(result: BuildResult, key: str, other: str) -> str:
    """The size of the file ``key`` as a share or a multiple of that of ``other``; both are keys of formats."""
    one, two = _artifact(result, key), _artifact(result, other)
    if one is None or two is None:
        return "its size has nothing here to be compared with"
    ratio = one.bytes / two.bytes
    owner = "of the original" if other == ORIGINAL_KEY else f"of the {other} file"
    if abs(ratio - 1) < ALIKE:
        return f"about the bytes {owner}"
    if ratio > 2:
        return f"{ratio:.1f} times the bytes {owner}"
    return f"{ratio * 100:.0f} % of the bytes {owner}"


def _artifact(result: BuildResult, key: str) -> Artifact | None:
    return next((artifact for artifact in result.artifacts if artifact.format == key), None)

"""TARGETS: where a file can go, and which file to recommend there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from deploy_core.formats import FORMATS, ORIGINAL, Format
from deploy_core.types import Artifact, Platform, Verdict


@dataclass(frozen=True)
class Target:
    """A place where apps run; ``key`` names its card, ``takes`` says whether it runs a format.

    ``native`` is the format of the place's own runtime. It comes first, also where this machine cannot run it.
    """

    key: str
    title: str
    takes: Callable[[Format], bool]
    native: str = ""


# A server has no row: there speed decides, and the profile knows it.
TARGETS = (
    Target("android", "For Android", lambda row: row.runs_on(Platform.ANDROID)),
    Target("ios", "For iOS", lambda row: row.runs_on(Platform.IOS), native="coreml"),
    Target("web", "For the web", lambda row: row.runs_on(Platform.BROWSERS)),
)


def is_refused(artifact: Artifact) -> bool:
    """Whether its answers are so far from the original's that nobody should ship it."""
    return artifact.disagrees or (artifact.proof is not None and artifact.proof.verdict is Verdict.CHANGES)


def is_unproven(row: Format, artifact: Artifact | None) -> bool:
    """Whether no verdict can or could be given on the file: it does not run here, or the proof was not enough."""
    return not row.runs_here or (artifact is not None and (artifact.proof is None or artifact.proof.verdict is None))


def recommended(target: Target, keys: Iterable[str], built: Mapping[str, Artifact]) -> Format | None:
    """The format of ``keys`` to ship to ``target``, built or not; None if there is none.

    The place's own format comes first. A file with a verdict comes before one without. Then a runtime that is
    maintained decides, then the bytes of a weight, then the order of the table. The original is no file for an app.
    """

    def rank(row: Format) -> tuple[bool, bool, bool, int]:
        unproven = is_unproven(row, built.get(row.key))
        return row.key != target.native, unproven, not row.is_maintained, row.weight_bytes

    rows = (FORMATS[key] for key in keys if key != ORIGINAL.key)
    fit = [row for row in rows if target.takes(row) and not (row.key in built and is_refused(built[row.key]))]
    return min(fit, key=rank, default=None)

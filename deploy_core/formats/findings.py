"""The findings that the inspections of several families share: what a file needs, against what a runtime has.

A finding that does not hold names a limit: a runtime that does not load the file, or does not run all of it well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy_core.errors import InvalidArtifact
from deploy_core.types import Finding

# Up to so many names are written out; of more, their number.
FEW = 3


def version_read(what: str, version: int, readable: range, reader: str) -> Finding:
    """Whether a runtime reads files of this version."""
    holds = version in readable
    verdict = "read" if holds else "not read"
    return Finding(holds, f"{what} {version}: {verdict} by {reader} ({readable.start} to {readable.stop - 1}).")


def coverage(reader: str, what: str, used: Collection[str], known: Collection[str], remedy: str = "") -> Finding:
    """Whether a runtime knows all that a file uses of one kind; if not, which names it lacks.

    ``what`` is the kind, in the plural; ``remedy`` follows the missing names.
    """
    if not used:
        return Finding(True, f"The file uses no {what}.")
    missing = sorted(set(used) - set(known))
    if missing:
        names = ", ".join(missing)
        return Finding(
            False, f"{reader} lacks {len(missing)} of the {len(used)} {what} that the file uses: {names}{remedy}."
        )
    shown = ", ".join(sorted(used)) if len(used) <= FEW else len(used)
    return Finding(True, f"{reader} has all {what} that the file uses ({shown}).")


def listed(path: Path) -> list[str]:
    """The lines of a runtime's list of operators, without its comments."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turns every exception inside the block into InvalidArtifact; ``what`` is the kind of file, for people."""
    try:
        yield
    except Exception as error:
        # The parsers of these formats raise a dozen kinds of exception on damaged files.
        raise InvalidArtifact(f"{path.name} is damaged or no {what}.", "Build it again.") from error

"""How far a run can be trusted."""

from __future__ import annotations

from collections.abc import Mapping

from deploy_core.profile.intervals import LEAST_ROUNDS
from deploy_core.profile.record.record import Record
from deploy_core.profile.words import counted
from deploy_core.shares import percent

# Above this share of the processors, other work slows some files down more than others.
BUSY = 0.25


def weaknesses(run: Record, hashes: Mapping[str, str]) -> tuple[str, ...]:
    """What speaks against a run, in sentences. ``hashes`` are the SHA-256 of the files that exist now, by format."""
    found = []
    if run.others_load > BUSY:
        found.append(
            f"The machine was busy: other work took {percent(run.others_load)} of its processors. Measure again when "
            "it is quiet."
        )
    if run.repeats < LEAST_ROUNDS:
        found.append(f"The run is too short: {counted(run.repeats, 'round')} of at least {LEAST_ROUNDS}.")
    changed = [row for row in run.rows if hashes.get(row.format, row.sha256) != row.sha256]
    if changed:
        found.append(
            f"{counted(len(changed), 'file')} changed since: the run measured another version. Measure the files again."
        )
    return tuple(found)

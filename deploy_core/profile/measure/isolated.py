"""Runs the two measurements in new processes: each file alone (``alone``), and all files in turn (``turns``)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deploy_core.errors import JobFailed
from deploy_core.processes.local import run_in_new_process
from deploy_core.profile.measure import mark
from deploy_core.profile.measure.alone import Examination, Examine
from deploy_core.profile.measure.rounds import Rounds, Until
from deploy_core.profile.measure.turns import Contender, TimeFiles
from deploy_core.settings import Settings
from deploy_core.types import Progress, silent

# What error messages call these processes.
NAME = "measuring process"


def examine_isolated(request: Examine, settings: Settings) -> Examination:
    """``examine_file`` in a new process."""
    return run_in_new_process(NAME, request, settings)


def time_isolated(
    model: str,
    contenders: Mapping[str, Contender],
    threads: int,
    until: Until,
    settings: Settings,
    progress: Progress = silent,
) -> Rounds:
    """``time_files`` in a new process.

    A file that crashes the process is excluded, with the reason in ``Rounds.failed``; the rest are measured again.
    Raises what the first one fails with, because nothing is left to compare with.
    """
    remaining, failed = dict(contenders), dict[str, str]()
    first = next(iter(remaining))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mark"
        while True:
            request = TimeFiles(model, remaining, threads, until, path)
            try:
                timed = run_in_new_process(NAME, request, settings, progress)
            except JobFailed as error:
                name = mark.read(path)
                if name is None or name == first:
                    raise
                failed[name] = f"{error.problem} It was this file's turn. Build it again."
                del remaining[name]
            else:
                return replace(timed, failed=failed | timed.failed)

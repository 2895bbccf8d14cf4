"""Runs the two measurements in processes of their own: each file alone (``alone``), all files in turn (``turns``)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deploy_core.errors import JobFailed
from deploy_core.processes.local import WorkerProcess, followed, run_in_new_process
from deploy_core.profile.measure import host, mark
from deploy_core.profile.measure.alone import Examination, Examine, Prepare
from deploy_core.profile.measure.rounds import Rounds, Until
from deploy_core.profile.measure.turns import Contender, TimeFiles
from deploy_core.settings import Settings
from deploy_core.types import Progress, silent

# What error messages call these processes.
NAME = "measuring process"
MOST_AT_ONCE = 4


class NewProcesses:
    """New processes, one for each examination.

    Importing torch takes one core, so as many as there are cores (at most ``MOST_AT_ONCE``) do that at the same time,
    while none measures.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ready: list[WorkerProcess] = []

    def take(self, wanted: int) -> WorkerProcess:
        """A process that has answered nothing yet. ``wanted`` are needed still, with this one."""
        if not self._ready:
            self._ready = [
                WorkerProcess(NAME, self._settings) for _ in range(min(wanted, host.usable_cpus(), MOST_AT_ONCE))
            ]
            for begun in [process.submit(Prepare()) for process in self._ready]:
                begun.result()
        return self._ready.pop()

    def close(self) -> None:
        for process in self._ready:
            process.close()


def examine_isolated(request: Examine, processes: NewProcesses, wanted: int = 1) -> Examination:
    """``examine_file`` in a new process. ``wanted`` examinations follow, with this one."""
    process = processes.take(wanted)
    try:
        return process.submit(request).result()
    finally:
        process.close()


def time_isolated(
    model: str,
    contenders: Mapping[str, Contender],
    threads: int,
    until: Until,
    settings: Settings,
    progress: Progress = silent,
    process: WorkerProcess | None = None,
) -> Rounds:
    """``time_files`` in ``process``, where it is given, else in a new one.

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
                if process is None:
                    timed = run_in_new_process(NAME, request, settings, progress)
                else:
                    timed = followed(process.submit(request), progress)
            except JobFailed as error:
                name = mark.read(path)
                if name is None or name == first:
                    raise
                failed[name] = f"{error.problem} It was this file's turn. Build it again."
                del remaining[name]
            else:
                return replace(timed, failed=failed | timed.failed)

"""Runs the two measurements in new processes: each file alone (``alone``), and all files in turn (``turns``)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deploy_core import documents
from deploy_core.errors import JobFailed
from deploy_core.processes.local import Task, WorkerProcess
from deploy_core.profile.measure import mark
from deploy_core.profile.measure.alone import Examination, ExamineRequest
from deploy_core.profile.measure.rounds import Rounds, Until
from deploy_core.profile.measure.turns import Contender, TurnsRequest
from deploy_core.settings import Settings
from deploy_core.types import Progress, silent


def examine_isolated(request: ExamineRequest, settings: Settings) -> Examination:
    """``examine_file`` in a new process."""
    return documents.structured(_in_new_process(Task("examine", documents.plain(request)), settings), Examination)


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
            request = TurnsRequest(model, remaining, threads, until, path)
            task = Task("time_files", documents.plain(request))
            try:
                timed = documents.structured(_in_new_process(task, settings, progress), Rounds)
            except JobFailed as error:
                name = mark.read(path)
                if name is None or name == first:
                    raise
                failed[name] = f"{error.problem} It was this file's turn. Build it again."
                del remaining[name]
            else:
                return replace(timed, failed=failed | timed.failed)


def _in_new_process(task: Task, settings: Settings, progress: Progress = silent) -> object:
    process = WorkerProcess("measuring process", settings)
    try:
        handle = process.submit(task)
        for event in handle.events():
            progress(event)
        return handle.result()
    finally:
        process.close()

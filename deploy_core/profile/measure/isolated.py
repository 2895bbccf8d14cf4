"""The two measurements, each in a fresh process: one artifact alone, and all of them in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deploy_core import documents
from deploy_core.errors import JobFailed
from deploy_core.processes.local import Task, WorkerProcess
from deploy_core.profile.measure import mark
from deploy_core.profile.measure.alone import Examination
from deploy_core.profile.measure.rounds import Rounds, Until
from deploy_core.settings import Settings
from deploy_core.types import Progress, silent

# A format, and the path of its file.
Contender = tuple[str, str]


def examine(request: dict[str, object], settings: Settings) -> Examination:
    """``request`` is what the worker's task takes."""
    return documents.structured(_in_a_fresh_process(Task("examine", request), settings), Examination)


def take_turns(
    model: str,
    contenders: Mapping[str, Contender],
    threads: int,
    until: Until,
    settings: Settings,
    progress: Progress = silent,
) -> Rounds:
    """As ``rounds.take_turns``. Who brings the process down drops out with a reason, and the others begin again.

    Raises what the first fails with, because without it there is nothing to compare with.
    """
    remaining, failed = dict(contenders), dict[str, str]()
    first = next(iter(remaining))
    with tempfile.TemporaryDirectory() as folder:
        in_hand = Path(folder) / "in_hand"
        while True:
            request = {
                "model": model,
                "contenders": remaining,
                "threads": threads,
                "until": documents.plain(until),
                "in_hand": str(in_hand),
            }
            try:
                found = documents.structured(
                    _in_a_fresh_process(Task("take_turns", request), settings, progress), Rounds
                )
            except JobFailed as error:
                name = mark.read(in_hand)
                if name is None or name == first:
                    raise
                failed[name] = f"{error.problem} It was this file's turn. Build it again."
                del remaining[name]
            else:
                return replace(found, failed=failed | found.failed)


def _in_a_fresh_process(task: Task, settings: Settings, progress: Progress = silent) -> object:
    process = WorkerProcess("measuring process", settings)
    try:
        handle = process.submit(task)
        for event in handle.events():
            progress(event)
        return handle.result()
    finally:
        process.close()

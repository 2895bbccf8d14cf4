"""A visitor's checkpoint becomes a model file, read by a process that may die of it (``reader``)."""

from __future__ import annotations

from dataclasses import replace

from deploy_core import documents
from deploy_core.models.hub import HubName
from deploy_core.models.own.corrections import Corrections
from deploy_core.processes.line import Line, Waiting, unseen
from deploy_core.processes.local import Task, WorkerProcess
from deploy_core.settings import Settings
from deploy_core.storage.visitors import VisitorsFile

MODULE = "deploy_core.worker.reader"
# A checkpoint is read, changed and written to the disk in this time.
READ_SECONDS = 180.0
# torch is too large to be kept for the next visitor, and must not be loaded twice for a correction right after.
IDLE_SECONDS = 20.0


def reader_process(settings: Settings) -> WorkerProcess:
    """The process that reads checkpoints, let go soon after it has."""
    brief = replace(settings, idle_seconds=min(settings.idle_seconds, IDLE_SECONDS))
    return WorkerProcess("process that reads checkpoints", brief, module=MODULE, is_bare=True)


def take_in_task(upload: VisitorsFile, name: str, corrections: Corrections) -> Task:
    """Makes a model file of an upload, beside it."""
    request = {"upload": documents.plain(upload), "name": name, "corrections": documents.plain(corrections)}
    return Task("take_in", request)


def fetch_task(source: HubName, visitor: str, corrections: Corrections) -> Task:
    """Downloads a model from the Hub and makes a model file of it: a task of the worker's."""
    return Task(
        "fetch", {"source": documents.plain(source), "visitor": visitor, "corrections": documents.plain(corrections)}
    )


class Intake:
    """Reads one checkpoint at a time, in the order they came."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process, self._line = process, Line(1)

    def take_in(self, upload: VisitorsFile, name: str, corrections: Corrections, tell: Waiting = unseen) -> str:
        """Makes a model of an upload; returns what ``models.find`` knows it by. Raises DeployError."""
        return self._ask(take_in_task(upload, name, corrections), tell)

    def correct(self, model: VisitorsFile, corrections: Corrections, tell: Waiting = unseen) -> str:
        """Corrects a visitor's model; returns what ``models.find`` knows it by. Raises DeployError."""
        request = {"model": documents.plain(model), "corrections": documents.plain(corrections)}
        return self._ask(Task("correct", request), tell)

    def end_if_stuck(self) -> None:
        """Ends a process that hangs, so that the next question finds a new one."""
        self._process.end_if_stuck()

    def close(self) -> None:
        self._process.close()

    def _ask(self, task: Task, tell: Waiting) -> str:
        with self._line.turn(tell):
            reference: str = self._process.submit(task, READ_SECONDS).result()
        return reference

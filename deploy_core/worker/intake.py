"""A visitor's checkpoint becomes a model file. ``worker.reader`` reads it, a process that may crash on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deploy_core.models.own.corrections import Corrections
from deploy_core.processes.line import Waiting, WaitingLine, unseen
from deploy_core.processes.local import WorkerProcess
from deploy_core.processes.task import AnswerT, Task
from deploy_core.settings import Settings
from deploy_core.storage.visitors import VisitorsFile
from deploy_core.worker.tasks import Correct, TakeIn, TakenIn

MODULE = "deploy_core.worker.reader"
# Reading, changing and writing a checkpoint takes less than this.
READ_SECONDS = 180.0
# torch is too large to keep in memory for the next visitor. A correction often follows right away.
IDLE_SECONDS = 20.0


def reader_process(settings: Settings) -> WorkerProcess:
    """The process that reads checkpoints. It ends soon after its work."""
    brief = replace(settings, idle_seconds=min(settings.idle_seconds, IDLE_SECONDS))
    return WorkerProcess("process that reads checkpoints", brief, module=MODULE, is_bare=True)


class Intake:
    """Reads one checkpoint at a time, first come, first served."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process, self._line = process, WaitingLine(1)

    def take_in(
        self,
        upload: VisitorsFile,
        name: str,
        corrections: Corrections,
        documents: Mapping[str, str] | None = None,
        tell: Waiting = unseen,
    ) -> TakenIn:
        """Makes a model file of an upload; ``documents`` are the texts of the files beside it. Raises DeployError."""
        return self._ask(TakeIn(upload, name, corrections, dict(documents or {})), tell)

    def correct(self, model: VisitorsFile, corrections: Corrections, tell: Waiting = unseen) -> str:
        """Corrects a visitor's model. Returns its reference for ``load.find``. Raises DeployError."""
        return self._ask(Correct(model, corrections), tell)

    def end_if_stuck(self) -> None:
        """Ends the process if it hangs. The next checkpoint starts a new one."""
        self._process.end_if_stuck()

    def close(self) -> None:
        self._process.close()

    def _ask(self, task: Task[AnswerT], tell: Waiting) -> AnswerT:
        with self._line.turn(tell):
            return self._process.submit(task, READ_SECONDS).result()

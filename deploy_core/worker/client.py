"""The questions that pages ask a model. A process beside the web process answers, so no native library runs here.

Pictures travel through a socket and are never written to disk.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

from deploy_core.inference.file_answers import DeviceQuestion, FileAnswer
from deploy_core.models import load
from deploy_core.pictures.pool import Decoders, Prepared
from deploy_core.processes.line import Waiting, WaitingLine, unseen
from deploy_core.processes.local import WorkerProcess
from deploy_core.processes.shared import SharedAnswers
from deploy_core.processes.task import AnswerT, Task
from deploy_core.types import ModelChoice, Prediction
from deploy_core.worker.tasks import Abilities, AskFile, Classify, CompareFile, Forget, ListAbilities, Look, Seen


class Inference:
    """Answers up to ``at_once`` questions at a time; all share one copy of each model.

    ``decoders`` prepare pictures before they wait for their turn, so that a slow picture delays nobody else. An answer
    may take ``seconds``. Every method raises DeployError.
    """

    def __init__(self, process: WorkerProcess, decoders: Decoders, at_once: int = 1, seconds: float = math.inf) -> None:
        self._process, self._decoders, self._seconds = process, decoders, seconds
        self._line = WaitingLine(at_once)
        self._shared = SharedAnswers[Seen]()

    @property
    def is_stuck(self) -> bool:
        """Whether the process that answers hangs."""
        return self._process.is_stuck

    def classify(
        self, model: ModelChoice, picture: bytes, name: str, top: int | None = None, tell: Waiting = unseen
    ) -> Prediction:
        """The most probable classes of a picture file's bytes."""
        prepared = self._prepared(model, picture)
        return self._ask(Classify(model, name, top, prepared.read, prepared.preprocess), tell, prepared)

    def look(
        self, model: ModelChoice, picture: bytes, name: str, top: int | None = None, tell: Waiting = unseen
    ) -> Seen:
        """As ``classify``, and where the model looks. Those who ask the same at the same time share one answer."""
        spec = load.find(model.reference)
        identity = (model, load.weights_identity(spec, model.weights), spec.preprocessing)
        question = (*identity, hashlib.sha256(picture).hexdigest(), top)

        def ask() -> Seen:
            prepared = self._prepared(model, picture)
            about = Classify(model, name, top, prepared.read, prepared.preprocess)
            return self._ask(Look(about), tell, prepared)

        seen = self._shared.answer(question, ask)
        return replace(seen, prediction=replace(seen.prediction, source=name))

    def file_answer(self, model: ModelChoice, key: str, picture: bytes, tell: Waiting = unseen) -> FileAnswer:
        """What the stored file at ``key`` answers, compared with the original."""
        return self._ask(CompareFile(model, key), tell, self._prepared(model, picture))

    def device_question(self, model: ModelChoice, key: str, picture: bytes, tell: Waiting = unseen) -> DeviceQuestion:
        """The input and the answer of the stored file at ``key`` for a picture.

        The picture is read at its full size, as a visitor's device reads it.
        """
        return self._ask(AskFile(model, key), tell, self._prepared(model, picture, whole=True))

    def forget(self, owner: str) -> None:
        """Removes a visitor's models from the process's memory."""
        if self._process.process_id is not None:
            self._ask(Forget(owner))

    def abilities(self) -> Abilities:
        """What can be built here."""
        return self._ask(ListAbilities())

    def end_if_stuck(self) -> None:
        """Ends the process if it hangs. The next question starts a new one."""
        self._process.end_if_stuck()

    def close(self) -> None:
        self._process.close()

    def _prepared(self, model: ModelChoice, picture: bytes, whole: bool = False) -> Prepared:
        return self._decoders.prepare(picture, load.find(model.reference).preprocessing, whole)

    def _ask(self, task: Task[AnswerT], tell: Waiting = unseen, picture: Prepared | None = None) -> AnswerT:
        with self._line.turn(tell):
            return self._process.submit(task, self._seconds, picture.input if picture else b"").result()

"""Answers from a process beside the web process, so that no native runtime lives in the web process.

Pictures travel through a socket and are never written to disk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from deploy_core import documents
from deploy_core.inference.file_answers import DeviceQuestion, FileAnswer
from deploy_core.models import load
from deploy_core.pictures.pool import Decoders, Prepared
from deploy_core.processes.line import Line, Waiting, unseen
from deploy_core.processes.local import Task, WorkerProcess
from deploy_core.types import Prediction


@dataclass(frozen=True)
class Abilities:
    """What this installation can build: engines, the one for phones first, and the reason why not for each format."""

    engines: tuple[str, ...]
    formats: dict[str, str | None]


class Inference:
    """The questions that pages ask of torch. ``at_once`` are answered at a time, by one copy of each model.

    Pictures are prepared by ``decoders`` before they wait for their turn, so that none holds up the others' answers.
    """

    def __init__(self, process: WorkerProcess, decoders: Decoders, at_once: int = 1, seconds: float = math.inf) -> None:
        self._process, self._decoders, self._seconds = process, decoders, seconds
        self._line = Line(at_once)

    @property
    def is_stuck(self) -> bool:
        """Whether the process that answers does nothing any more."""
        return self._process.is_stuck

    def classify(
        self, model: str, weights: str, picture: bytes, name: str, top: int | None = None, tell: Waiting = unseen
    ) -> Prediction:
        """The most probable classes of the bytes of a picture file. Raises DeployError."""
        prepared = self._prepared(model, picture)
        spent = {"read": prepared.read, "preprocess": prepared.preprocess}
        request = {"model": model, "weights": weights, "name": name, "top": top} | spent
        return documents.structured(self._ask(Task("classify", request, prepared.input), tell), Prediction)

    def attention(self, model: str, weights: str, picture: bytes, tell: Waiting = unseen) -> list[list[float]]:
        """Where the model looks, as ``attention.rollout`` tells it, by rows. Raises DeployError."""
        task = Task("attention", {"model": model, "weights": weights}, self._prepared(model, picture).input)
        rows: list[list[float]] = self._ask(task, tell)
        return rows

    def file_answer(self, model: str, weights: str, key: str, picture: bytes, tell: Waiting = unseen) -> FileAnswer:
        """The answer of the stored file ``key``, compared with the original's of ``model``. Raises DeployError."""
        request = {"model": model, "weights": weights, "key": key}
        return documents.structured(
            self._ask(Task("file_answer", request, self._prepared(model, picture).input), tell), FileAnswer
        )

    def device_question(
        self, model: str, weights: str, key: str, picture: bytes, tell: Waiting = unseen
    ) -> DeviceQuestion:
        """The input of the stored file ``key`` for a picture, and its answer. Raises DeployError.

        The picture is read in its full size, as a visitor's device reads it.
        """
        request = {"model": model, "weights": weights, "key": key}
        prepared = self._prepared(model, picture, whole=True)
        return documents.structured(self._ask(Task("device_question", request, prepared.input), tell), DeviceQuestion)

    def forget(self, owner: str) -> None:
        """Lets go of a visitor's models, where the process has them."""
        if self._process.process_id is not None:
            self._ask(Task("forget", {"owner": owner}), unseen)

    def abilities(self) -> Abilities:
        """What can be built here. Raises DeployError."""
        return documents.structured(self._ask(Task("abilities", {}), unseen), Abilities)

    def end_if_stuck(self) -> None:
        """Ends a process that hangs, so that the next question finds a new one."""
        self._process.end_if_stuck()

    def close(self) -> None:
        self._process.close()

    def _prepared(self, model: str, picture: bytes, whole: bool = False) -> Prepared:
        return self._decoders.prepare(picture, load.find(model).preprocessing, whole)

    def _ask(self, task: Task, tell: Waiting) -> Any:
        with self._line.turn(tell):
            return self._process.submit(task, self._seconds).result()

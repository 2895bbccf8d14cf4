"""Answers from a process beside the web process, so that no native runtime lives in the web process.

Pictures travel through a socket and are never written to disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy_core import documents
from deploy_core.errors import QueueFull
from deploy_core.own import Corrections
from deploy_core.processes import Task, WorkerProcess
from deploy_core.replies import Given, Reply
from deploy_core.types import Prediction

MOST_WAITING = 100
LOOK_SECONDS = 0.2
# Told now and then, while it is so: how many come before.
Waiting = Callable[[int], None]


def unseen(ahead: int) -> None:
    """For callers who show nothing while they wait."""


@dataclass(frozen=True)
class Abilities:
    """What this installation can build: engines, the one for phones first, and the reason why not for each format."""

    engines: tuple[str, ...]
    formats: dict[str, str | None]


class Line:
    """Lets ``at_once`` in at a time, in the order they came."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: list[object] = []
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, tell: Waiting) -> Iterator[None]:
        """Waits for the turn and holds it until the block ends. Raises QueueFull, and whatever ``tell`` raises."""
        ticket = object()
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                raise QueueFull("Too many visitors wait for an answer now.", "Try again in a minute.")
            self._waiting.append(ticket)
        try:
            while (ahead := self._ahead(ticket)) is not None:
                tell(ahead)
        except BaseException:
            self._leave(ticket)
            raise
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _ahead(self, ticket: object) -> int | None:
        """None once it is this ticket's turn; else, after a while, how many come before it."""
        with self._changed:
            if self._waiting[0] is not ticket or not self._free:
                self._changed.wait(LOOK_SECONDS)
            if self._waiting[0] is ticket and self._free:
                self._waiting.pop(0)
                self._free -= 1
                self._changed.notify_all()
                return None
            return self._waiting.index(ticket) + 1

    def _leave(self, ticket: object) -> None:
        with self._changed:
            self._waiting.remove(ticket)
            self._changed.notify_all()


class Inference:
    """The questions that pages ask of torch. ``at_once`` are answered at a time, by one copy of each model."""

    def __init__(self, process: WorkerProcess, at_once: int = 1) -> None:
        self._process = process
        self._line = Line(at_once)

    def classify(
        self, model: str, weights: str, picture: bytes, name: str, top: int | None = None, tell: Waiting = unseen
    ) -> Prediction:
        """The most probable classes of the bytes of a picture file. Raises DeployError."""
        request = {"model": model, "weights": weights, "name": name, "top": top}
        return documents.structured(self._ask(Task("classify", request, picture), tell), Prediction)

    def attention(self, model: str, weights: str, picture: bytes, tell: Waiting = unseen) -> list[list[float]]:
        """Where the model looks, as ``attention.rollout`` tells it, by rows. Raises DeployError."""
        rows: list[list[float]] = self._ask(Task("attention", {"model": model, "weights": weights}, picture), tell)
        return rows

    def reply(self, model: str, weights: str, key: str, picture: bytes, tell: Waiting = unseen) -> Reply:
        """What the stored file at ``key`` answers, beside the original of ``model``. Raises DeployError."""
        request = {"model": model, "weights": weights, "key": key}
        return documents.structured(self._ask(Task("reply", request, picture), tell), Reply)

    def give(self, model: str, weights: str, key: str, picture: bytes, tell: Waiting = unseen) -> Given:
        """What the stored file at ``key`` is asked, and answers, about a picture. Raises DeployError."""
        request = {"model": model, "weights": weights, "key": key}
        return documents.structured(self._ask(Task("give", request, picture), tell), Given)

    def take_in(self, checkpoint: Path, name: str, folder: Path, told: Corrections, tell: Waiting = unseen) -> str:
        """Makes a model of a visitor's checkpoint; returns what ``models.find`` knows it by. Raises DeployError."""
        reference: str = self._ask(take_in_task(str(checkpoint), name, folder, told), tell)
        return reference

    def correct(self, model: str, told: Corrections, tell: Waiting = unseen) -> str:
        """Corrects a visitor's model; returns what ``models.find`` knows it by. Raises DeployError."""
        reference: str = self._ask(Task("correct", {"model": model, "corrections": documents.plain(told)}), tell)
        return reference

    def forget(self, owner: str) -> None:
        """Lets go of a visitor's models, where the process has them."""
        if self._process.process_id is not None:
            self._ask(Task("forget", {"owner": owner}), unseen)

    def abilities(self) -> Abilities:
        """What can be built here. Raises DeployError."""
        return documents.structured(self._ask(Task("abilities", {}), unseen), Abilities)

    def close(self) -> None:
        self._process.close()

    def _ask(self, task: Task, tell: Waiting) -> Any:
        with self._line.turn(tell):
            return self._process.submit(task).result()


def take_in_task(source: str, name: str, folder: Path, told: Corrections) -> Task:
    """Makes a model file of a checkpoint, or of a name on the Hub, in ``folder``."""
    request = {"source": source, "name": name, "folder": str(folder), "corrections": documents.plain(told)}
    return Task("take_in", request)

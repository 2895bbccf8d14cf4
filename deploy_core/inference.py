"""Answers from a process beside the web process, so that no native runtime lives in the web process.

Pictures travel through a socket and are never written to disk.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy_core import documents
from deploy_core.processes import Executor, Task
from deploy_core.types import Prediction


@dataclass(frozen=True)
class Abilities:
    """What this installation can build: engines, the one for phones first, and the reason why not for each format."""

    engines: tuple[str, ...]
    formats: dict[str, str | None]


class Inference:
    """The two questions that pages ask of torch. They are answered one after the other."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def classify(self, model: str, weights: str, picture: bytes, name: str, top: int = 5) -> Prediction:
        """The most probable classes of the bytes of a picture file. Raises DeployError."""
        request = {"model": model, "weights": weights, "name": name, "top": top}
        answer = self._executor.submit(Task("classify", request, picture)).result()
        return documents.structured(answer, Prediction)

    def abilities(self) -> Abilities:
        """What can be built here. Raises DeployError."""
        return documents.structured(self._executor.submit(Task("abilities", {})).result(), Abilities)

    def close(self) -> None:
        self._executor.close()

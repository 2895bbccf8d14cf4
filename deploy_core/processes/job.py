"""What is known of a job at one moment, and how jobs are named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deploy_core import documents
from deploy_core.errors import DeployError
from deploy_core.processes.task import Task


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED = (State.DONE, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Job:
    """A job's state at one moment.

    ``fraction`` is 0..1. ``ahead`` counts the jobs that run before it. ``elapsed_seconds`` counts from its first
    event. ``remaining_seconds`` extrapolates the pace so far; it is None when that is not known yet, or when the job
    already takes longer than that. ``medians`` are the newest that an event brought.
    """

    name: str
    state: State
    stage: str = ""
    fraction: float = 0.0
    ahead: int = 0
    elapsed_seconds: float = 0.0
    remaining_seconds: float | None = None
    error: DeployError | None = None
    result: Any = None
    medians: Mapping[str, float] = field(default_factory=dict)


def job_name(task: Task[Any]) -> str:
    """The name of the job that does ``task``. Equal tasks have equal names."""
    digest = hashlib.sha256(json.dumps(documents.plain(task), sort_keys=True).encode()).hexdigest()
    return f"{task.kind}-{digest[:16]}"

"""Heavy work outside the caller's process: submit it, look at it, cancel it.

A job is a folder on disk and, while it runs, one ``python -m deploy_core.worker``. Jobs run one at a time, in the
order they came, because they would only fight for the cores.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from deploy_core import worker
from deploy_core.errors import DeployError, JobFailed
from deploy_core.files import make_folder, remove_leftovers
from deploy_core.settings import PREFIX, Settings
from deploy_core.types import Event

PROJECT = Path(__file__).parents[1]


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED = (State.DONE, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Job:
    """What is known of a job at one moment. ``ahead`` counts the jobs that run before it."""

    name: str
    state: State
    event: Event | None
    error: DeployError | None
    ahead: int


def job_name(kind: str, subject: str) -> str:
    """The name that a submission of this kind on this subject gets."""
    return f"{kind}-{subject}"


@dataclass(eq=False)
class _Attempt:
    """One submission. ``place`` is its folder; ``process`` is set while its worker runs."""

    place: Path
    future: Future[None] = field(default_factory=Future)
    process: subprocess.Popen[bytes] | None = None
    status: int | None = None
    is_cancelled: bool = False


class Jobs:
    """The queue of one application. Two submissions under the same name are one job while it is unfinished."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.home / "jobs"
        self._runner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs")
        self._lock = threading.Lock()
        self._attempts: dict[str, _Attempt] = {}

    def submit(self, kind: str, subject: str, request: dict[str, Any]) -> str:
        """Queues a job of a kind that the worker knows; returns its name, made of the kind and the subject."""
        name = job_name(kind, subject)
        with self._lock:
            # A new attempt goes to the end of the line, also where an earlier one had the same name.
            earlier = self._attempts.pop(name, None)
            if earlier and not earlier.future.done() and not earlier.is_cancelled:
                self._attempts[name] = earlier
                return name
            attempt = _Attempt(make_folder(self._root / f"{name}-{uuid.uuid4().hex[:8]}"))
            (attempt.place / worker.REQUEST).write_text(json.dumps({"kind": kind, "request": request}))
            attempt.future = self._runner.submit(self._run, attempt, request.get("folder"))
            self._attempts[name] = attempt
        if earlier:
            shutil.rmtree(earlier.place, ignore_errors=True)
        return name

    def look(self, name: str) -> Job | None:
        """The job's state now; None for a name that was never submitted here."""
        with self._lock:
            attempt = self._attempts.get(name)
            if attempt is None:
                return None
            names = list(self._attempts)
            ahead = sum(not self._attempts[other].future.done() for other in names[: names.index(name)])
        # The future is asked before the events are read: a job that ends in between is then still running.
        is_done, is_running = attempt.future.done(), attempt.future.running()
        last = _last_entry(attempt.place / worker.EVENTS)
        event = Event(**last["event"]) if "event" in last else None
        if attempt.is_cancelled:
            return Job(name, State.CANCELLED, event, None, 0)
        if not is_done:
            return Job(name, State.RUNNING if is_running else State.WAITING, event, None, ahead)
        if "end" in last:
            return Job(name, State.DONE, event, None, 0)
        return Job(name, State.FAILED, event, _why(last, attempt.status), 0)

    def cancel(self, name: str) -> None:
        """Ends a job, waiting or running, at once; what it had begun to write is removed."""
        with self._lock:
            attempt = self._attempts.get(name)
            if attempt is None or attempt.future.done():
                return
            attempt.is_cancelled = True
            attempt.future.cancel()
            if attempt.process:
                attempt.process.kill()

    def close(self) -> None:
        """Cancels what waits or runs, and returns when it has ended."""
        for name in list(self._attempts):
            self.cancel(name)
        self._runner.shutdown()

    def _run(self, attempt: _Attempt, folder: str | None) -> None:
        environment = os.environ | {"PYTHONPATH": str(PROJECT), f"{PREFIX}HOME": str(self._settings.home)}
        command = [sys.executable, "-m", "deploy_core.worker", str(attempt.place)]
        with (attempt.place / worker.LOG).open("wb") as log:
            with self._lock:
                if attempt.is_cancelled:
                    return
                # Nothing is ever written to its standard input: the pipe ends when this process does.
                attempt.process = subprocess.Popen(  # noqa: S603
                    command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment
                )
            with attempt.process:
                attempt.status = attempt.process.wait()
        if attempt.status != 0 and folder is not None:
            remove_leftovers(Path(folder))


def _why(last: dict[str, Any], status: int | None) -> DeployError:
    if "error" in last:
        return DeployError(**last["error"])
    stage = f" while {last['event']['message'].lower()}" if "event" in last else ""
    if status == -signal.SIGKILL:
        return JobFailed(f"The worker was killed{stage}; most often the memory ran out.", "Try a smaller model.")
    return JobFailed(f"The worker ended without a result{stage}.", "Try again; the server's log has the details.")


def _last_entry(path: Path) -> dict[str, Any]:
    """The newest whole line; a line that is still being written is left for the next look."""
    try:
        lines = path.read_text().split("\n")[:-1]
    except FileNotFoundError:
        return {}
    entry: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return entry

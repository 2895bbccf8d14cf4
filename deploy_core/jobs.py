"""Heavy work outside the caller's process: submit it, look at it, cancel it.

A job is a folder on disk and, while it runs, one ``python -m deploy_core.worker``. Jobs run one at a time, in the
order they came, because they would only fight for the cores.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
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


class Jobs:
    """The queue of one application. Two submissions under the same name are one job while it is unfinished."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.home / "jobs"
        self._runner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs")
        self._lock = threading.Lock()
        self._futures: dict[str, Future[None]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._cancelled: set[str] = set()

    def submit(self, kind: str, subject: str, request: dict[str, Any]) -> str:
        """Queues a job of a kind that the worker knows; returns its name, made of the kind and the subject."""
        name = job_name(kind, subject)
        with self._lock:
            if name in self._futures and not self._futures[name].done():
                return name
            self._cancelled.discard(name)
            place = self._root / name
            shutil.rmtree(place, ignore_errors=True)
            make_folder(place)
            (place / worker.REQUEST).write_text(json.dumps({"kind": kind, "request": request}))
            # A new attempt goes to the end of the line, also where an earlier one had the same name.
            self._futures.pop(name, None)
            self._futures[name] = self._runner.submit(self._run, name, request.get("folder"))
        return name

    def look(self, name: str) -> Job | None:
        """The job's state now; None for a name that was never submitted here."""
        with self._lock:
            future = self._futures.get(name)
            if future is None:
                return None
            names = list(self._futures)
            ahead = sum(not self._futures[other].done() for other in names[: names.index(name)])
        last = _last_entry(self._root / name / worker.EVENTS)
        event = Event(**last["event"]) if "event" in last else None
        if name in self._cancelled:
            return Job(name, State.CANCELLED, event, None, 0)
        if not future.done():
            state = State.RUNNING if future.running() else State.WAITING
            return Job(name, state, event, None, ahead)
        if "end" in last:
            return Job(name, State.DONE, event, None, 0)
        return Job(name, State.FAILED, event, _why(last), 0)

    def cancel(self, name: str) -> None:
        """Ends a job, waiting or running, at once; what it had begun to write is removed."""
        with self._lock:
            future = self._futures.get(name)
            if future is None or future.done():
                return
            self._cancelled.add(name)
            future.cancel()
            if name in self._processes:
                self._processes[name].kill()

    def close(self) -> None:
        """Cancels what waits or runs, and returns when it has ended."""
        for name in list(self._futures):
            self.cancel(name)
        self._runner.shutdown()

    def _run(self, name: str, folder: str | None) -> None:
        place = self._root / name
        environment = os.environ | {"PYTHONPATH": str(PROJECT), f"{PREFIX}HOME": str(self._settings.home)}
        command = [sys.executable, "-m", "deploy_core.worker", str(place)]
        with (place / worker.LOG).open("wb") as log:
            with self._lock:
                if name in self._cancelled:
                    return
                process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603
                self._processes[name] = process
            process.wait()
        with self._lock:
            del self._processes[name]
        if process.returncode != 0 and folder is not None:
            remove_leftovers(Path(folder))


def _why(last: dict[str, Any]) -> DeployError:
    if "error" in last:
        return DeployError(**last["error"])
    stage = f" while {last['event']['message'].lower()}" if "event" in last else ""
    return JobFailed(
        f"The worker ended without a result{stage}.",
        "It may have run out of memory: try a smaller model. The log has the details.",
    )


def _last_entry(path: Path) -> dict[str, Any]:
    """The newest whole line; a line that is still being written is left for the next look."""
    try:
        lines = path.read_text().split("\n")[:-1]
    except FileNotFoundError:
        return {}
    entry: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return entry

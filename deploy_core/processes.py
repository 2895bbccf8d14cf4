"""Work in another process: ``submit`` gives a handle with its events, a way to cancel it, and its result.

``WorkerProcess`` runs tasks on this machine, in one long-lived ``python -m deploy_core.worker``. A cluster's executor
takes its place by keeping the same two protocols.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import psutil

from deploy_core import errors
from deploy_core import settings as environment
from deploy_core.errors import DeployError, JobCancelled, JobFailed
from deploy_core.settings import Settings
from deploy_core.types import Event

PROJECT = Path(__file__).parents[1]
# ONNX Runtime and ExecuTorch take as many threads as torch, and torch as many as OpenMP.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, DeployError)}


@dataclass(frozen=True)
class Task:
    """What to do: a key of ``worker.TASKS``, its request as plain values, and bytes that go with it."""

    kind: str
    request: dict[str, Any]
    blob: bytes = field(default=b"", repr=False)


class Handle(Protocol):
    def events(self) -> Iterator[Event]:
        """Each event as it happens; ends when the task does."""

    def result(self) -> Any:
        """Waits for the end. Raises the task's DeployError, JobFailed where it died, JobCancelled."""

    def cancel(self) -> None:
        """Ends the task now; from any thread."""


class Executor(Protocol):
    def submit(self, task: Task) -> Handle: ...

    def close(self) -> None:
        """Ends what runs, and gives everything back."""


class WorkerProcess:
    """One long-lived process that does ``at_once`` tasks at a time: one after the other, unless told otherwise.

    It is started by the first task, replaced when it died, and let go, with its memory, when it had nothing to do for
    ``idle_seconds``. Who cancels a task ends the process, and with it the tasks beside that one. ``name`` tells people
    which process it was; ``niceness`` is how far it gives way to others; ``module`` is what it runs. A process that
    holds more than ``most_bytes`` of memory is replaced before its next task.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        niceness: int = 0,
        module: str = "deploy_core.worker",
        at_once: int = 1,
        most_bytes: float = math.inf,
    ) -> None:
        self.name, self._most_bytes = name, most_bytes
        self._settings, self._module, self._niceness, self._at_once = settings, module, niceness, at_once
        self._turns = threading.Semaphore(at_once)
        self._guard = threading.Lock()
        self._under_way = 0
        self._worker: _Worker | None = None
        self._idle: threading.Timer | None = None

    @property
    def process_id(self) -> int | None:
        """The process now; None while there is none."""
        worker = self._worker
        return worker.process.pid if worker else None

    def submit(self, task: Task) -> LocalTask:
        """Begins a task, after waiting for its turn."""
        self._turns.acquire()
        try:
            with self._guard:
                if self._idle:
                    self._idle.cancel()
                if self._worker is None or self._worker.process.poll() is not None or self._is_full(self._worker):
                    self._end()
                    self._worker = _Worker.start(self._module, self._niceness, self._at_once, self._settings)
                self._under_way += 1
                worker = self._worker
        except BaseException:
            self._turns.release()
            raise
        return LocalTask(self.name, task, worker, self._ended)

    def close(self) -> None:
        if self._idle:
            self._idle.cancel()
        self._end()

    def _ended(self) -> None:
        """A task is over: the next one may begin; after the last, the clock that lets the process go starts."""
        with self._guard:
            self._under_way -= 1
            if not self._under_way:
                self._idle = threading.Timer(self._settings.idle_seconds, self._let_go)
                self._idle.daemon = True
                self._idle.start()
        self._turns.release()

    def _is_full(self, worker: _Worker) -> bool:
        return not self._under_way and psutil.Process(worker.process.pid).memory_info().rss > self._most_bytes

    def _let_go(self) -> None:
        with self._guard:
            if not self._under_way:
                self._end()

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker:
            worker.end()


class LocalTask:
    """A task in a worker process."""

    def __init__(self, name: str, task: Task, worker: _Worker, ended: Callable[[], None]) -> None:
        self._name, self._worker, self._ended = name, worker, ended
        self._guard = threading.Lock()
        self._is_cancelled = False
        self._stage = ""
        self._end: dict[str, Any] | None = None
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        try:
            worker.send(task, self._messages)
        except OSError:
            self._finish({})

    def events(self) -> Iterator[Event]:
        while self._end is None:
            message = self._messages.get()
            if "event" in message:
                event = Event(**message["event"])
                self._stage = event.message
                yield event
            else:
                if not message:
                    self._worker.kill()
                    self._worker.process.wait()
                self._finish(message)

    def result(self) -> Any:
        for _ in self.events():
            pass
        end = self._end or {}
        if "result" in end:
            return end["result"]
        if self._is_cancelled:
            raise JobCancelled("It was cancelled.", "Start it again when you want it.")
        if "error" in end:
            raise _KINDS[end["error"].pop("kind")](**end["error"])
        raise self._death()

    def cancel(self) -> None:
        # Under the guard, because once this task has ended the process belongs to the next one.
        with self._guard:
            if self._end is None:
                self._is_cancelled = True
                self._worker.kill()

    def _finish(self, message: dict[str, Any]) -> None:
        with self._guard:
            self._end = message
        self._ended()

    def _death(self) -> JobFailed:
        stage = f" while {self._stage[0].lower()}{self._stage[1:]}" if self._stage else ""
        if self._worker.process.wait() == -signal.SIGKILL:
            return JobFailed(f"The {self._name} ran out of memory or was killed{stage}.", "Try a smaller model.")
        return JobFailed(
            f"The {self._name} ended without a result{stage}.", "Try again; the server's log has the details."
        )


class _Worker:
    def __init__(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        self.process, self._socket = process, ours
        self._connection = Connection(os.dup(ours.fileno()))
        self._guard = threading.Lock()
        self._numbers = itertools.count()
        self._tasks: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._is_gone = False
        threading.Thread(target=self._receive, name="worker", daemon=True).start()

    @classmethod
    def start(cls, module: str, niceness: int, at_once: int, settings: Settings) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            # What it prints belongs to the server's log. In a session of its own, so that its children end with it.
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", module, str(theirs.fileno()), str(niceness), str(at_once)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,
                env=os.environ | {"PYTHONPATH": str(PROJECT)} | environment.environment(settings) | _native(settings),
                start_new_session=True,
            )
        return cls(process, ours)

    def send(self, task: Task, messages: queue.SimpleQueue[dict[str, Any]]) -> None:
        """Hands a task over; what is told of it goes to ``messages``, an empty message where the process is gone."""
        with self._guard:
            if self._is_gone:
                raise BrokenPipeError
            number = next(self._numbers)
            self._tasks[number] = messages
            order = {"task": number, "kind": task.kind, "request": task.request}
            self._connection.send_bytes(json.dumps(order).encode())
            self._connection.send_bytes(task.blob)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        # Whoever waits for a message wakes up, even if a child of the process has kept its end open.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self.kill()
        self.process.wait()
        self._socket.close()

    def _receive(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                message = json.loads(self._connection.recv_bytes())
                number = message.pop("task")
                # What ends a task is the last that is told of it.
                with self._guard:
                    messages = self._tasks[number] if "event" in message else self._tasks.pop(number)
                messages.put(message)
        with self._guard:
            self._is_gone = True
            for messages in self._tasks.values():
                messages.put({})
            self._connection.close()


def _native(settings: Settings) -> dict[str, str]:
    """What the libraries below read from the environment when they are loaded."""
    found = dict.fromkeys(THREADS, str(settings.cpu_threads)) if settings.cpu_threads else {}
    return found | ({"HF_HUB_OFFLINE": "1"} if settings.offline else {})


def event_message(event: Event) -> dict[str, Any]:
    """An event as the worker sends it."""
    return {"event": asdict(event)}


def error_message(error: DeployError) -> dict[str, Any]:
    """An error as the worker sends it."""
    return {"error": {"kind": type(error).__name__, "problem": error.problem, "remedy": error.remedy}}

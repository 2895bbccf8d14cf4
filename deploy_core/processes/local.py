"""Work in another process: ``submit`` gives a handle with its events, a way to cancel it, and its result.

``WorkerProcess`` runs tasks on this machine, in one long-lived ``python -m deploy_core.worker.main``. A cluster's
executor takes its place by keeping the same two protocols.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import psutil

from deploy_core import errors
from deploy_core import settings as environment
from deploy_core.errors import DeployError, JobCancelled, JobFailed, TookTooLong
from deploy_core.settings import Settings
from deploy_core.types import Event

PROJECT = Path(__file__).parents[2]
# ONNX Runtime and ExecuTorch take as many threads as torch, and torch as many as OpenMP.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# How often a process says that it lives. One that neither says anything nor computes for STUCK_SECONDS is ended.
PULSE_SECONDS = 2.0
STUCK_SECONDS = 8.0
# How often whoever waits for a task looks whether its process still lives.
LOOK_SECONDS = 0.25
# After this process itself was stopped, the first look would be wrong: so long a doubt must last.
DOUBT_SECONDS = 1.0
LEAST_CPU_SECONDS = 0.05
# What a process that reads strangers' files inherits of the environment: no token, no password.
HARMLESS = re.compile(r"PATH|HOME|LANG|LC_\w+|TMPDIR|TZ|LD_LIBRARY_PATH|(MALLOC|OMP|MKL|OPENBLAS)_\w+")
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

    It is started by the first task, replaced when it died or hangs, and let go, with its memory, when it had nothing to
    do for ``idle_seconds``. Who cancels a task ends the process, and with it the tasks beside that one. ``name`` tells
    people which process it was; ``niceness`` is how far it gives way to others; ``module`` is what it runs. A process
    that holds more than ``most_bytes`` of memory is replaced before its next task. ``is_bare`` leaves out of its
    environment all that a stranger should not learn; ``descriptors`` are open files that it inherits.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        niceness: int = 0,
        module: str = "deploy_core.worker.main",
        at_once: int = 1,
        most_bytes: float = math.inf,
        is_bare: bool = False,
        descriptors: Sequence[int] = (),
    ) -> None:
        self.name, self._most_bytes = name, most_bytes
        self._settings, self._at_once = settings, at_once
        self._arguments = (module, niceness, at_once, is_bare, descriptors)
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

    @property
    def is_stuck(self) -> bool:
        """Whether there is a process that neither says anything nor computes."""
        worker = self._worker
        return worker is not None and worker.process.poll() is None and worker.is_stuck()

    def give_way(self, niceness: int) -> None:
        """Lets others go before the process from now on; a process cannot take that back."""
        worker = self._worker
        if worker is not None:
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, worker.process.pid, niceness)

    def end_if_stuck(self) -> None:
        """Ends a process that hangs, so that the next task finds a new one."""
        worker = self._worker
        if worker is not None and self.is_stuck:
            worker.hangs = True
            worker.kill()

    def start(self) -> None:
        """Starts the process, if there is none, so that the first task finds it ready."""
        with self._guard:
            self._ready_worker()

    def submit(self, task: Task, seconds: float = math.inf) -> LocalTask:
        """Begins a task, after waiting for its turn; the process is ended where it takes longer than ``seconds``."""
        self._turns.acquire()
        try:
            with self._guard:
                if self._idle:
                    self._idle.cancel()
                worker = self._ready_worker()
                self._under_way += 1
        except BaseException:
            self._turns.release()
            raise
        return LocalTask(self.name, task, worker, seconds, self._ended)

    def close(self) -> None:
        if self._idle:
            self._idle.cancel()
        self._end()

    def _ready_worker(self) -> _Worker:
        if self._worker is None or self._worker.process.poll() is not None or self._is_full(self._worker):
            self._end()
            self._worker = _Worker.start(self._settings, *self._arguments)
        return self._worker

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

    def __init__(self, name: str, task: Task, worker: _Worker, seconds: float, ended: Callable[[], None]) -> None:
        self._name, self._worker, self._seconds, self._ended = name, worker, seconds, ended
        self._guard = threading.Lock()
        self._is_cancelled = self._is_late = False
        self._stage = ""
        self._end: dict[str, Any] | None = None
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._begun = time.monotonic()
        worker.send(task, self._messages)

    def events(self) -> Iterator[Event]:
        while self._end is None:
            try:
                message = self._messages.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                self._end_what_hangs()
                continue
            if "event" in message:
                event = Event(**message["event"])
                self._stage = event.message
                self._begun = time.monotonic()
                yield event
            else:
                if not message:
                    self._worker.kill()
                    self._worker.process.wait()
                self._finish(message)

    def result(self) -> Any:
        """As ``Handle.result``; a pair of the result and its bytes where the task gave bytes, too."""
        for _ in self.events():
            pass
        end = self._end or {}
        if "result" in end:
            return (end["result"], end["blob"]) if "blob" in end else end["result"]
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

    def _end_what_hangs(self) -> None:
        """Kills the process where this task takes too long, or where it does nothing at all any more."""
        now = time.monotonic()
        self._is_late = now - max(self._begun, self._worker.ready_at or now) > self._seconds
        if self._is_late or self._worker.is_stuck():
            self._worker.hangs = True
            self._worker.kill()

    def _finish(self, message: dict[str, Any]) -> None:
        with self._guard:
            self._end = message
        self._ended()

    def _death(self) -> JobFailed:
        stage = f" while {self._stage[0].lower()}{self._stage[1:]}" if self._stage else ""
        if self._is_late:
            return TookTooLong(f"The {self._name} took longer than {self._seconds:g} seconds{stage}.", "Try again.")
        if self._worker.hangs:
            return JobFailed(f"The {self._name} stopped answering{stage}, and was replaced.", "Try again.")
        if self._worker.process.wait() == -signal.SIGKILL:
            return JobFailed(f"The {self._name} ran out of memory or was killed{stage}.", "Try a smaller model.")
        return JobFailed(
            f"The {self._name} ended without a result{stage}.", "Try again; the server's log has the details."
        )


class _Worker:
    """One process and the socket to it. It takes tasks since ``ready_at``; ``hangs`` once it was ended for that."""

    def __init__(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        self.process, self._socket = process, ours
        self.ready_at: float | None = None
        self.hangs = False
        self._connection = Connection(os.dup(ours.fileno()))
        self._guard = threading.Lock()
        self._numbers = itertools.count()
        self._tasks: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._is_gone = False
        self._moved_at, self._computed = time.monotonic(), 0.0
        self._doubted_at: float | None = None
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._receive, name="worker", daemon=True).start()
        threading.Thread(target=self._hand_over, name="worker", daemon=True).start()

    @classmethod
    def start(
        cls, settings: Settings, module: str, niceness: int, at_once: int, is_bare: bool, descriptors: Sequence[int]
    ) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            # What it prints belongs to the server's log. In a group of its own, so that its children end with it. Not
            # in a session of its own: Linux shares the processor evenly between sessions, however nice they are.
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", module, *map(str, (theirs.fileno(), niceness, at_once, *descriptors))],
                pass_fds=[theirs.fileno(), *descriptors],
                stdin=subprocess.DEVNULL,
                stdout=2,
                env=_inherited(is_bare)
                | {"PYTHONPATH": str(PROJECT)}
                | environment.environment(settings)
                | _native(settings),
                process_group=0,
            )
        return cls(process, ours)

    def send(self, task: Task, messages: queue.SimpleQueue[dict[str, Any]]) -> None:
        """Hands a task over; what is told of it goes to ``messages``, an empty message where the process is gone.

        A process that does not take the task holds up nobody here.
        """
        with self._guard:
            if self._is_gone:
                messages.put({})
                return
            number = next(self._numbers)
            self._tasks[number] = messages
            order = {"task": number, "kind": task.kind, "request": task.request}
            self._outgoing.put(json.dumps(order).encode())
            self._outgoing.put(task.blob)

    def is_stuck(self) -> bool:
        """Whether the process has neither said anything nor computed for ``STUCK_SECONDS``."""
        try:
            process = psutil.Process(self.process.pid)
            times = process.cpu_times()
            is_reading = process.status() == psutil.STATUS_DISK_SLEEP
        except psutil.NoSuchProcess:
            return False
        with self._guard:
            computed, now = times.user + times.system, time.monotonic()
            if is_reading or computed - self._computed > LEAST_CPU_SECONDS:
                self._moved_at, self._computed = now, computed
            if now - self._moved_at <= STUCK_SECONDS:
                self._doubted_at = None
                return False
            self._doubted_at = self._doubted_at or now
            return now - self._doubted_at > DOUBT_SECONDS

    def kill(self) -> None:
        """Ends the process and all that it started."""
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            below = psutil.Process(self.process.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        # Whoever waits for a message wakes up, even if a child of the process has kept its end open.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self.kill()
        self.process.wait()
        self._outgoing.put(None)
        self._socket.close()

    def _hand_over(self) -> None:
        # A connection of this thread's own, because the other one closes its own at the end.
        with contextlib.suppress(OSError), Connection(os.dup(self._socket.fileno())) as connection:
            while (data := self._outgoing.get()) is not None:
                connection.send_bytes(data)

    def _receive(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._note(json.loads(self._connection.recv_bytes()))
        with self._guard:
            self._is_gone = True
            for messages in self._tasks.values():
                messages.put({})
            self._connection.close()

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("blob"):
            message["blob"] = self._connection.recv_bytes()
        # What ends a task is the last that is told of it.
        with self._guard:
            self._moved_at = time.monotonic()
            if "ready" in message:
                self.ready_at = self._moved_at
            number = message.pop("task", None)
            if number is not None:
                (self._tasks[number] if "event" in message else self._tasks.pop(number)).put(message)


def _inherited(is_bare: bool) -> dict[str, str]:
    if not is_bare:
        return dict(os.environ)
    return {name: value for name, value in os.environ.items() if HARMLESS.fullmatch(name)}


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

"""Run tasks in a process of this machine: start it, replace it when it dies or hangs, let it go when it is idle."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic

import psutil

from deploy_core import documents, errors
from deploy_core.errors import DeployError, JobCancelled, JobFailed, TookTooLong
from deploy_core.processes.child import ChildProcess, Launch, Messages
from deploy_core.processes.task import AnswerT, Task, WithBytes
from deploy_core.settings import Settings
from deploy_core.types import Event, Progress, silent

# A caller that waits for a task checks this often that its process is alive.
LOOK_SECONDS = 0.25
_KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, DeployError)}


class WorkerProcess:
    """A long-lived process that does up to ``at_once`` tasks at a time.

    The first task starts it. It is replaced when it dies or hangs, and ended after ``settings.idle_seconds`` without
    work. Cancelling a task ends the process, and with it the other tasks in it.

    - ``name``: what error messages call it
    - ``niceness``: how far it gives way to other processes
    - ``module``: what it runs
    - ``most_bytes``: a process that holds more memory is replaced before its next task
    - ``is_bare``: its environment holds no secret
    - ``descriptors``: open files that it inherits
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
        self._settings = settings
        self._launch = Launch(module, niceness, at_once, is_bare, descriptors)
        self._turns = threading.Semaphore(at_once)
        self._guard = threading.Lock()
        self._under_way = 0
        self._child: ChildProcess | None = None
        self._idle: threading.Timer | None = None

    @property
    def process_id(self) -> int | None:
        """The id of the process; None while there is none."""
        child = self._child
        return child.process.pid if child else None

    @property
    def is_stuck(self) -> bool:
        """Whether there is a process, and it neither sends anything nor computes."""
        child = self._child
        return child is not None and child.process.poll() is None and child.is_stuck()

    @property
    def cpu_seconds(self) -> float | None:
        """The processor time that the process has used since it started; None until it is ready for tasks."""
        child = self._child
        if child is None or child.ready_at is None:
            return None
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(child.process.pid).cpu_times()
            return times.user + times.system
        return None

    def give_way(self, niceness: int) -> None:
        """Lowers the priority of the process. That cannot be taken back."""
        child = self._child
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, child.process.pid, niceness)

    def end_if_stuck(self) -> None:
        """Ends the process if it hangs. The next task starts a new one."""
        child = self._child
        if child is not None and self.is_stuck:
            child.hangs = True
            child.kill()

    def start(self) -> None:
        """Starts the process if there is none, so that the first task need not wait for it."""
        with self._guard:
            self._ready_child()

    def submit(self, task: Task[AnswerT], seconds: float = math.inf, blob: bytes = b"") -> LocalTask[AnswerT]:
        """Waits for a free place, then begins the task. ``blob`` goes with the request.

        The process is ended if the task takes longer than ``seconds`` from one event to the next.
        """
        self._turns.acquire()
        try:
            with self._guard:
                if self._idle:
                    self._idle.cancel()
                child = self._ready_child()
                self._under_way += 1
        except BaseException:
            self._turns.release()
            raise
        return LocalTask(self.name, task, blob, child, seconds, self._ended)

    def close(self) -> None:
        if self._idle:
            self._idle.cancel()
        self._end()

    def _ready_child(self) -> ChildProcess:
        if self._child is None or self._child.process.poll() is not None or self._is_full(self._child):
            self._end()
            self._child = ChildProcess.start(self._settings, self._launch)
        return self._child

    def _ended(self) -> None:
        """A task has ended. After the last one, the idle timer starts."""
        with self._guard:
            self._under_way -= 1
            if not self._under_way:
                self._idle = threading.Timer(self._settings.idle_seconds, self._let_go)
                self._idle.daemon = True
                self._idle.start()
        self._turns.release()

    def _is_full(self, child: ChildProcess) -> bool:
        return not self._under_way and psutil.Process(child.process.pid).memory_info().rss > self._most_bytes

    def _let_go(self) -> None:
        with self._guard:
            if not self._under_way:
                self._end()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child:
            child.end()


def run_in_new_process(name: str, task: Task[AnswerT], settings: Settings, progress: Progress = silent) -> AnswerT:
    """Does one task in a process that ends with it. Raises as ``LocalTask.result`` does."""
    process = WorkerProcess(name, settings)
    try:
        return followed(process.submit(task), progress)
    finally:
        process.close()


def followed(begun: LocalTask[AnswerT], progress: Progress) -> AnswerT:
    """Tells the events of a task until it ends. Raises as ``LocalTask.result`` does."""
    for event in begun.events():
        progress(event)
    return begun.result()


class LocalTask(Generic[AnswerT]):
    """A task that has begun in a ``WorkerProcess``."""

    def __init__(
        self,
        name: str,
        task: Task[AnswerT],
        blob: bytes,
        child: ChildProcess,
        seconds: float,
        ended: Callable[[], None],
    ) -> None:
        self._name, self._task, self._child, self._seconds, self._ended = name, task, child, seconds, ended
        self._guard = threading.Lock()
        self._is_cancelled = self._is_late = False
        self._stage = ""
        self._end: dict[str, Any] | None = None
        self._messages: Messages = queue.SimpleQueue()
        self._begun = time.monotonic()
        child.send(task, blob, self._messages)

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
                    self._child.kill()
                    self._child.process.wait()
                self._finish(message)

    def result(self) -> AnswerT:
        for _ in self.events():
            pass
        end = self._end or {}
        if "result" in end:
            answer: AnswerT = self._answer(end)
            return answer
        if self._is_cancelled:
            raise JobCancelled("It was cancelled.", "Start it again when you want it.")
        if "error" in end:
            raise _KINDS[end["error"].pop("kind")](**end["error"])
        raise self._death()

    def cancel(self) -> None:
        # The guard matters: once this task has ended, the process belongs to the next one.
        with self._guard:
            if self._end is None:
                self._is_cancelled = True
                self._child.kill()

    def _end_what_hangs(self) -> None:
        """Kills the process if this task takes too long, or if the process hangs."""
        now = time.monotonic()
        self._is_late = now - max(self._begun, self._child.ready_at or now) > self._seconds
        if self._is_late or self._child.is_stuck():
            self._child.hangs = True
            self._child.kill()

    def _answer(self, end: dict[str, Any]) -> Any:
        value = None if end["result"] is None else documents.structured(end["result"], self._task.answer)
        return WithBytes(value, end["blob"]) if "blob" in end else value

    def _finish(self, message: dict[str, Any]) -> None:
        with self._guard:
            self._end = message
        self._ended()

    def _death(self) -> JobFailed:
        stage = f" while {self._stage[0].lower()}{self._stage[1:]}" if self._stage else ""
        if self._is_late:
            return TookTooLong(f"The {self._name} took longer than {self._seconds:g} seconds{stage}.", "Try again.")
        if self._child.hangs:
            return JobFailed(f"The {self._name} stopped answering{stage}, and was replaced.", "Try again.")
        if self._child.process.wait() == -signal.SIGKILL:
            return JobFailed(f"The {self._name} ran out of memory or was killed{stage}.", "Try a smaller model.")
        return JobFailed(
            f"The {self._name} ended without a result{stage}.", "Try again; the server's log has the details."
        )

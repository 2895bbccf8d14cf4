"""One child process and the socket to it: start it, send it tasks, notice when it hangs, end it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from deploy_core import documents
from deploy_core import settings as environment
from deploy_core.processes.task import Task
from deploy_core.settings import Settings

PROJECT = Path(__file__).parents[2]
# ONNX Runtime and ExecuTorch take as many threads as torch, and torch as many as OpenMP.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# A process sends a sign of life this often. One that sends nothing and computes nothing for STUCK_SECONDS is ended.
PULSE_SECONDS = 2.0
STUCK_SECONDS = 8.0
# If the app itself was stopped for a while, its first look is wrong. So the silence must last this much longer.
DOUBT_SECONDS = 1.0
LEAST_CPU_SECONDS = 0.05
# A process that reads files of strangers inherits only these variables: no token, no password.
HARMLESS = re.compile(r"PATH|HOME|LANG|LC_\w+|TMPDIR|TZ|LD_LIBRARY_PATH|(MALLOC|OMP|MKL|OPENBLAS)_\w+")

Messages = queue.SimpleQueue[dict[str, Any]]


@dataclass(frozen=True)
class Launch:
    """How to start a process: what it runs, how far it gives way to others, and what it inherits."""

    module: str
    niceness: int
    at_once: int
    is_bare: bool
    descriptors: Sequence[int]


class ChildProcess:
    """A running process. It takes tasks since ``ready_at`` (None before); ``hangs`` if it was ended for hanging."""

    def __init__(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        self.process, self._socket = process, ours
        self.ready_at: float | None = None
        self.hangs = False
        self._connection = Connection(os.dup(ours.fileno()))
        self._guard = threading.Lock()
        self._numbers = itertools.count()
        self._tasks: dict[int, Messages] = {}
        self._is_gone = False
        self._moved_at, self._computed = time.monotonic(), 0.0
        self._doubted_at: float | None = None
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._receive, name="worker", daemon=True).start()
        threading.Thread(target=self._send_all, name="worker", daemon=True).start()

    @classmethod
    def start(cls, settings: Settings, launch: Launch) -> ChildProcess:
        ours, theirs = socket.socketpair()
        numbers = (theirs.fileno(), launch.niceness, launch.at_once, *launch.descriptors)
        with theirs:
            # Its output goes to the server's log. It has a process group of its own, so that its children end with it,
            # but not a session of its own: Linux shares the processor evenly between sessions, whatever their niceness.
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", launch.module, *map(str, numbers)],
                pass_fds=[theirs.fileno(), *launch.descriptors],
                stdin=subprocess.DEVNULL,
                stdout=2,
                env=_inherited(launch.is_bare)
                | {"PYTHONPATH": str(PROJECT)}
                | environment.environment(settings)
                | _native(settings),
                process_group=0,
            )
        return cls(process, ours)

    def send(self, task: Task[Any], blob: bytes, messages: Messages) -> None:
        """Sends a task. Its messages go to ``messages``; an empty one says that the process is gone.

        Returns at once, even if the process does not read.
        """
        order = {"kind": task.kind, "request": documents.plain(task)}
        with self._guard:
            if self._is_gone:
                messages.put({})
                return
            number = next(self._numbers)
            self._tasks[number] = messages
            self._outgoing.put(json.dumps({"task": number} | order).encode())
            self._outgoing.put(blob)

    def is_stuck(self) -> bool:
        """Whether the process has neither sent anything nor computed for ``STUCK_SECONDS``."""
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
        """Ends the process and all processes that it started."""
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            below = psutil.Process(self.process.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        # This wakes everyone who waits for a message, even if a child of the process holds its end open.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Kills the process and frees what belongs to it."""
        self.kill()
        self.process.wait()
        self._outgoing.put(None)
        self._socket.close()

    def _send_all(self) -> None:
        # This thread has a connection of its own, because the other thread closes its own at the end.
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
        with self._guard:
            self._moved_at = time.monotonic()
            if "ready" in message:
                self.ready_at = self._moved_at
            number = message.pop("task", None)
            if number is not None:
                # A result or an error is a task's last message.
                (self._tasks[number] if "event" in message else self._tasks.pop(number)).put(message)


def _inherited(is_bare: bool) -> dict[str, str]:
    if not is_bare:
        return dict(os.environ)
    return {name: value for name, value in os.environ.items() if HARMLESS.fullmatch(name)}


def _native(settings: Settings) -> dict[str, str]:
    """The variables that native libraries read when they are loaded."""
    found = dict.fromkeys(THREADS, str(settings.cpu_threads)) if settings.cpu_threads else {}
    return found | ({"HF_HUB_OFFLINE": "1"} if settings.offline else {})

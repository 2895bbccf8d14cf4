"""The far side of ``processes``: does the tasks that the process which started this one asks for.

Both talk through a socket. Orders come in. Events, and one result or error for each task, go out, and between them a
sign of life every ``PULSE_SECONDS``. This process ends when the other side does, also in the middle of a task.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import resource
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from deploy_core import errors, logs, settings
from deploy_core.errors import DeployError
from deploy_core.processes.local import PULSE_SECONDS, error_message, event_message
from deploy_core.settings import Settings
from deploy_core.types import Progress

log = logging.getLogger("deploy_core.worker.main")

Orders = queue.SimpleQueue[tuple[dict[str, Any], bytes]]
# A task's request as plain values, the bytes that came with it, the settings, and where its progress goes.
TaskRunner = Callable[[dict[str, Any], bytes, Settings, Progress], Any]


@dataclass(frozen=True)
class WithBytes:
    """A result of plain values, and bytes that go with it."""

    value: Any
    blob: bytes


def serve(tasks: Mapping[str, TaskRunner], descriptor: int, niceness: int = 0, at_once: int = 1) -> None:
    """Does what comes in through the socket ``descriptor``, ``at_once`` tasks at a time, until the other side ends."""
    os.nice(niceness)
    # A core dump would write visitors' pictures and models to the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    logs.keep_discreet()
    answers, arrived = _Answers(connect(descriptor)), Orders()
    threading.Thread(target=answers.receive, args=(arrived,), daemon=True).start()
    threading.Thread(target=answers.pulse, daemon=True).start()
    for _ in range(at_once - 1):
        threading.Thread(target=_work, args=(tasks, answers, arrived, at_once), daemon=True).start()
    answers.send({"ready": True})
    _work(tasks, answers, arrived, at_once)


def connect(descriptor: int) -> Connection:
    """The socket that this process was started with; its own children do not get it."""
    os.set_inheritable(descriptor, False)
    return Connection(descriptor)


def perform(
    tasks: Mapping[str, TaskRunner], order: dict[str, Any], blob: bytes, limits: Settings, progress: Progress
) -> tuple[dict[str, Any], bytes | None]:
    """One task; returns the message that ends it, and the bytes that follow it."""
    try:
        result = tasks[order["kind"]](order["request"], blob, limits, progress)
    except DeployError as error:
        return error_message(error), None
    except Exception:
        log.exception("The task '%s' failed", order["kind"])
        return error_message(errors.UNEXPECTED), None
    if isinstance(result, WithBytes):
        return {"result": result.value}, result.blob
    return {"result": result}, None


class _Answers:
    """What goes out, one message at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._sending = connection, threading.Lock()

    def send(self, message: dict[str, Any], blob: bytes | None = None) -> None:
        if blob is not None:
            message |= {"blob": True}
        try:
            with self._sending:
                self._connection.send_bytes(json.dumps(message).encode())
                if blob is not None:
                    self._connection.send_bytes(blob)
        except OSError:
            os._exit(0)

    def pulse(self) -> None:
        never = threading.Event()
        while not never.wait(PULSE_SECONDS):
            self.send({"alive": True})

    def receive(self, arrived: Orders) -> None:
        try:
            while True:
                arrived.put((json.loads(self._connection.recv_bytes()), self._connection.recv_bytes()))
        except (EOFError, OSError):
            os._exit(0)


def _work(tasks: Mapping[str, TaskRunner], answers: _Answers, arrived: Orders, at_once: int) -> None:
    limits = settings.load()
    if at_once > 1:
        _share_cores(at_once)
    while True:
        order, blob = arrived.get()
        task = {"task": order["task"]}

        def tell(event: Any, task: dict[str, Any] = task) -> None:
            answers.send(task | event_message(event))

        message, given = perform(tasks, order, blob, limits, tell)
        answers.send(task | message, given)


def _share_cores(at_once: int) -> None:
    """Torch's number of threads is one for each thread that asks."""
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // at_once))

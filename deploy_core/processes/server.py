"""The code that runs in a child process: it does the tasks that its parent sends.

Both talk through a socket. Requests come in. Events and one result or error for each task go out, and every
``PULSE_SECONDS`` a sign of life. The process ends when the other side of the socket closes, even during a task.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import resource
import sys
import threading
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from deploy_core import documents, errors, logs, settings
from deploy_core.errors import DeployError
from deploy_core.processes.child import PULSE_SECONDS
from deploy_core.processes.task import Table, WithBytes, Work
from deploy_core.types import Event

log = logging.getLogger("deploy_core.worker.main")

Orders = queue.SimpleQueue[tuple[dict[str, Any], bytes]]


def serve(tasks: Table, descriptor: int, niceness: int = 0, at_once: int = 1) -> None:
    """Does the tasks that arrive on the socket ``descriptor``, up to ``at_once`` at a time, until it closes."""
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
    """The socket that this process was started with. Its own children do not inherit it."""
    os.set_inheritable(descriptor, False)
    return Connection(descriptor)


def perform(tasks: Table, order: dict[str, Any], work: Work) -> tuple[dict[str, Any], bytes | None]:
    """Does one task. Returns its last message, and the bytes that follow it (None for no bytes)."""
    try:
        entry = tasks[order["kind"]]
        result = entry.function(documents.structured(order["request"], entry.request), work)
    except DeployError as error:
        return _error_message(error), None
    except Exception:
        log.exception("The task '%s' failed", order["kind"])
        return _error_message(errors.UNEXPECTED), None
    if isinstance(result, WithBytes):
        return {"result": documents.plain(result.value)}, result.blob
    return {"result": documents.plain(result)}, None


class _Answers:
    """Sends messages, one at a time."""

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


def _work(tasks: Table, answers: _Answers, arrived: Orders, at_once: int) -> None:
    limits = settings.load()
    if at_once > 1:
        _share_cores(at_once)
    while True:
        order, blob = arrived.get()
        number = {"task": order["task"]}

        def send_event(event: Event, number: dict[str, Any] = number) -> None:
            answers.send(number | {"event": asdict(event)})

        message, following = perform(tasks, order, Work(limits, send_event, blob))
        answers.send(number | message, following)


def _share_cores(at_once: int) -> None:
    """Divides torch's threads: torch counts them for each calling thread."""
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // at_once))


def _error_message(error: DeployError) -> dict[str, Any]:
    return {"error": {"kind": type(error).__name__, "problem": error.problem, "remedy": error.remedy}}

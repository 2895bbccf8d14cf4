"""A worker for tests. Its main task goes through named stages; each waits until the test opens its gate, a file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from deploy_core.errors import InvalidRequest
from deploy_core.processes import server
from deploy_core.processes.server import serve
from deploy_core.processes.task import Task, WithBytes, Work, does, table
from deploy_core.types import Event


@dataclass(frozen=True)
class Passed:
    stages: tuple[str, ...]
    blob: int


@dataclass(frozen=True)
class Stages(Task[Passed]):
    """``gates`` is the folder of the gates; ``mistake`` is the remedy of an error at the end, empty for none."""

    stages: tuple[str, ...]
    gates: str
    name: str = ""
    mistake: str = ""
    bug: bool = False
    kind = "stages"
    answer = Passed


@dataclass(frozen=True)
class AloneStages(Stages):
    kind = "alone"
    runs_alone = True


@dataclass(frozen=True)
class Threads(Task[list[int]]):
    """How many threads torch takes, and with it the other runtimes."""

    kind = "threads"
    answer = list[int]


@dataclass(frozen=True)
class Hurt(Task[None]):
    """Does to its process what a stranger's file might do: a signal, an endless loop, an endless wait."""

    signal: int | None = None
    loops: bool = False
    kind = "hurt"
    answer = None


@dataclass(frozen=True)
class Length:
    bytes: int


@dataclass(frozen=True)
class Reverse(Task[WithBytes[Length]]):
    kind = "reverse"
    answer = Length


@dataclass(frozen=True)
class StartChild(Task[None]):
    """Starts a child in a session of its own, as a profile's measuring process is."""

    kind = "child"
    answer = None


@dataclass(frozen=True)
class Environment(Task[dict[str, str]]):
    kind = "environment"
    answer = dict[str, str]


def run_stages(request: Stages, work: Work) -> Passed:
    for done, stage in enumerate(request.stages):
        work.progress(Event(stage, done / len(request.stages)))
        while not (Path(request.gates) / stage).exists():
            time.sleep(0.005)
    if request.mistake:
        raise InvalidRequest("A mistake.", request.mistake)
    if request.bug:
        raise ZeroDivisionError
    return Passed(request.stages, len(work.blob))


def run_threads(_: Threads, __: Work) -> list[int]:
    import torch

    from deploy_core.formats.onnx import running

    return [torch.get_num_threads(), running.session_options().intra_op_num_threads]


def run_hurt(request: Hurt, _: Work) -> None:
    if request.signal is not None:
        os.kill(os.getpid(), request.signal)
    while request.loops:
        pass
    threading.Event().wait()


def run_reverse(_: Reverse, work: Work) -> WithBytes[Length]:
    return WithBytes(Length(len(work.blob)), work.blob[::-1])


def run_start_child(_: StartChild, work: Work) -> None:
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    work.progress(Event(str(child.pid), 0.5))
    threading.Event().wait()


def run_environment(_: Environment, __: Work) -> dict[str, str]:
    return dict(os.environ)


TASKS = table(
    does(Stages, run_stages),
    does(AloneStages, run_stages),
    does(Threads, run_threads),
    does(Hurt, run_hurt),
    does(Reverse, run_reverse),
    does(StartChild, run_start_child),
    does(Environment, run_environment),
)


if __name__ == "__main__":
    # Tests need not wait long for a sign of life.
    server.PULSE_SECONDS = 0.2  # type: ignore[attr-defined]
    serve(TASKS, int(sys.argv[1]))

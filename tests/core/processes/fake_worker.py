"""A worker whose one task goes through named stages; each waits until the test opens its gate, a file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from deploy_core.errors import InvalidRequest
from deploy_core.processes import server
from deploy_core.processes.server import WithBytes, serve
from deploy_core.settings import Settings
from deploy_core.types import Event, Progress
from deploy_core.worker import main


def run_stages(request: dict[str, Any], blob: bytes, _: Settings, progress: Progress) -> Any:
    stages = request["stages"]
    for done, stage in enumerate(stages):
        progress(Event(stage, done / len(stages)))
        while not (Path(request["gates"]) / stage).exists():
            time.sleep(0.005)
    if "mistake" in request:
        raise InvalidRequest("A mistake.", request["mistake"])
    if "bug" in request:
        raise ZeroDivisionError
    return {"stages": stages, "blob": len(blob)}


def tell_threads(_: dict[str, Any], __: bytes, ___: Settings, ____: Progress) -> Any:
    """How many threads torch takes, and with it the other runtimes."""
    import torch

    from deploy_core.formats.onnx import running

    return [torch.get_num_threads(), running.session_options().intra_op_num_threads]


def hurt_itself(request: dict[str, Any], _: bytes, __: Settings, ___: Progress) -> Any:
    """Does to this process what a stranger's file might: a signal, an endless loop, an endless wait."""
    if "signal" in request:
        os.kill(os.getpid(), request["signal"])
    while request["loops"]:
        pass
    threading.Event().wait()


def give_bytes_back(_: dict[str, Any], blob: bytes, __: Settings, ___: Progress) -> Any:
    return WithBytes({"bytes": len(blob)}, blob[::-1])


def start_a_child(_: dict[str, Any], __: bytes, ___: Settings, progress: Progress) -> Any:
    """In a session of its own, as a profile's measuring process is."""
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    progress(Event(str(child.pid), 0.5))
    threading.Event().wait()


def tell_environment(_: dict[str, Any], __: bytes, ___: Settings, ____: Progress) -> Any:
    return dict(os.environ)


if __name__ == "__main__":
    # So that tests need not wait long to see that it has stopped.
    server.PULSE_SECONDS = 0.2  # type: ignore[attr-defined]
    main.TASKS["hurt"], main.TASKS["reverse"] = hurt_itself, give_bytes_back
    main.TASKS["child"], main.TASKS["environment"] = start_a_child, tell_environment
    main.TASKS["stages"] = main.TASKS["profile"] = run_stages
    main.TASKS["threads"] = tell_threads
    serve(main.TASKS, int(sys.argv[1]))

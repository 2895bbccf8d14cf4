"""A worker whose one task goes through named stages; each waits until the test opens its gate, a file."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from deploy_core import worker
from deploy_core.errors import InvalidRequest
from deploy_core.settings import Settings
from deploy_core.task_server import serve
from deploy_core.types import Event, Progress


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

    from deploy_core.formats import inside

    return [torch.get_num_threads(), inside.onnxruntime_options().intra_op_num_threads]


if __name__ == "__main__":
    worker.TASKS["stages"] = worker.TASKS["profile"] = run_stages
    worker.TASKS["threads"] = tell_threads
    serve(worker.TASKS, int(sys.argv[1]))

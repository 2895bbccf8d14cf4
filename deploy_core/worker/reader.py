"""``python -m deploy_core.worker.reader FD NICENESS AT_ONCE``: reads strangers' checkpoints, and may die of one.

It holds nobody's model but the one that it reads, no secret, and a bounded part of the memory. ``intake`` asks it.
"""

from __future__ import annotations

import resource
import sys
from typing import Any

from deploy_core import documents, memory
from deploy_core.files import is_file
from deploy_core.inference import capacity
from deploy_core.models.own import bring
from deploy_core.models.own.corrections import Corrections
from deploy_core.processes.server import TaskRunner, serve
from deploy_core.settings import Settings
from deploy_core.storage import visitors
from deploy_core.storage.visitors import VisitorsFile
from deploy_core.types import Progress

# What torch and its threads reserve, before there is a checkpoint.
LIBRARIES_BYTES = 2_000_000_000


def run_take_in(request: dict[str, Any], _: bytes, limits: Settings, progress: Progress) -> Any:
    """Makes a model file of an upload; ``name`` is what the visitor calls it. Returns the model file's path."""
    upload = documents.structured(request["upload"], VisitorsFile).path(limits)
    folder = upload.parent

    corrections = documents.structured(request["corrections"], Corrections)
    name = bring.free_name(folder, request["name"])
    spec = bring.bring(upload, folder, limits, corrections, progress, name, visitors.admission(folder, limits))
    memory.give_back()
    return spec.reference


def run_correct(request: dict[str, Any], _: bytes, limits: Settings, __: Progress) -> Any:
    """Writes a model file again, as the visitor corrected it."""
    path = documents.structured(request["model"], VisitorsFile).path(limits)
    if is_file(path):
        capacity.require_checkpoint(path.stat().st_size, limits)
    bring.correct(path, limits, documents.structured(request["corrections"], Corrections))
    memory.give_back()
    return str(path)


TASKS: dict[str, TaskRunner] = {"take_in": run_take_in, "correct": run_correct}


def _bound_memory(limits: Settings) -> None:
    """What admits a checkpoint goes by its size; this also holds for one that unfolds."""
    most = int(LIBRARIES_BYTES + capacity.READING_COPIES * limits.session_upload_bytes)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    from deploy_core import settings

    _bound_memory(settings.load())
    serve(TASKS, *map(int, sys.argv[1:]))

"""``python -m deploy_core.worker.reader FD NICENESS AT_ONCE``: reads checkpoints of strangers, and may crash on one.

The process holds only the model that it reads, no secret, and a bounded part of the memory. ``intake`` sends it tasks.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import replace

from deploy_core import memory
from deploy_core.files import is_file
from deploy_core.inference import capacity
from deploy_core.models.checkpoints import Checkpoint
from deploy_core.models.own import bring
from deploy_core.processes.server import serve
from deploy_core.processes.task import Work, does, table
from deploy_core.settings import Settings
from deploy_core.storage import visitors
from deploy_core.worker.tasks import Correct, TakeIn, TakenIn

# torch and its threads reserve this much before there is a checkpoint.
LIBRARIES_BYTES = 2_000_000_000


def run_take_in(request: TakeIn, work: Work) -> TakenIn:
    upload = request.upload.path(work.settings)
    folder = upload.parent
    admit = visitors.admission(folder, work.settings)
    name = bring.free_name(folder, request.name)
    found: list[TakenIn] = []

    def note(read: Checkpoint) -> None:
        found.append(TakenIn("", read.part, read.others, read.left_out))

    spec = bring.bring(
        upload, folder, work.settings, request.corrections, work.progress, name, admit, request.documents, note
    )
    memory.give_back()
    return replace(found[0], reference=spec.reference)


def run_correct(request: Correct, work: Work) -> str:
    path = request.model.path(work.settings)
    if is_file(path):
        capacity.require_checkpoint(path.stat().st_size, work.settings)
    bring.correct(path, work.settings, request.corrections)
    memory.give_back()
    return str(path)


TASKS = table(does(TakeIn, run_take_in), does(Correct, run_correct))


def _bound_memory(limits: Settings) -> None:
    """Checkpoints are admitted by their size. This bound also holds for one that grows when it is read."""
    most = int(LIBRARIES_BYTES + capacity.READING_COPIES * limits.session_upload_bytes)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    from deploy_core import settings

    _bound_memory(settings.load())
    serve(TASKS, *map(int, sys.argv[1:]))

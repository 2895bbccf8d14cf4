"""Times several files in one process. They take turns, so that whatever slows the machine slows all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from deploy_core.errors import DeployError
from deploy_core.formats import FORMATS
from deploy_core.inference import views
from deploy_core.models.load import find
from deploy_core.processes.task import Task
from deploy_core.profile.measure.mark import Mark
from deploy_core.profile.measure.plan import loading_seconds
from deploy_core.profile.measure.rounds import Rounds, Until, time_in_rounds
from deploy_core.settings import Settings
from deploy_core.types import Event, Progress, part_of


@dataclass(frozen=True)
class Contender:
    """A file to time, and the key of its format."""

    format: str
    path: Path


@dataclass(frozen=True)
class TimeFiles(Task[Rounds]):
    """Files to time against each other.

    ``model`` is the reference of the model that they were built from. The first of ``contenders`` is the one that the
    others are compared with. ``mark`` is a file that always holds the name of the contender in use (``Mark``).
    """

    model: str
    contenders: dict[str, Contender]
    threads: int
    until: Until
    mark: Path
    kind = "time_files"
    answer = Rounds


def time_files(request: TimeFiles, settings: Settings, progress: Progress) -> Rounds:
    """Loads the files and times them on the first reference picture. Call it in a new process.

    A file that cannot be loaded is excluded, with the reason in ``Rounds.failed``. Raises what the first one fails
    with, because nothing is left to compare with.
    """
    import torch

    torch.set_num_threads(request.threads)
    files = len(request.contenders)
    share = loading_seconds(files) / (loading_seconds(files) + request.until.seconds)
    picture = views.first_input(find(request.model), settings)
    runs: dict[str, Callable[[], object]] = {}
    failed: dict[str, str] = {}
    mark = Mark(request.mark)
    with torch.inference_mode():
        for number, (name, contender) in enumerate(request.contenders.items()):
            progress(Event(f"Loading {FORMATS[contender.format].title}", share * number / files))
            mark.set(name)
            try:
                runs[name] = partial(FORMATS[contender.format].load(contender.path), picture)
            except DeployError as error:
                if not runs:
                    raise
                failed[name] = str(error)
        timed = time_in_rounds(runs, request.until, part_of(progress, share, 1.0), announce=mark.set)
    return replace(timed, failed=failed | timed.failed)

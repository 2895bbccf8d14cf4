"""Profiles a build of the app's store: builds what is missing, measures all of it, and keeps the run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy_core.build import Build
from deploy_core.errors import InvalidArtifact
from deploy_core.files import make_folder
from deploy_core.formats import FORMATS, in_build_order
from deploy_core.models.load import find
from deploy_core.processes.local import run_in_new_process
from deploy_core.processes.task import Task
from deploy_core.profile.measure.host import usable_cpus
from deploy_core.profile.measure.plan import building_seconds, inference_seconds, pace_of, plan
from deploy_core.profile.measure.run import Options, profile
from deploy_core.profile.record.record import Record
from deploy_core.profile.record.runs import Runs
from deploy_core.settings import Settings
from deploy_core.storage import visitors
from deploy_core.storage.shelf import open_shelf
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest, BuildResult, Progress, part_of


@dataclass(frozen=True)
class Profile(Task[str]):
    """What to build and measure. Gives the run's ID.

    ``seconds`` is the time for measuring; ``is_latency_only`` leaves out the rest (``Options``).
    """

    build: BuildRequest
    seconds: float
    is_latency_only: bool = False
    kind = "profile"
    answer = str
    runs_alone = True


def build_and_measure(request: Profile, settings: Settings, progress: Progress) -> str:
    """Measures with all threads and with one; returns the ID of the run, which ``Runs`` keeps with its traces.

    Other processes build and measure, so this one stays small. Raises DeployError, InvalidArtifact if a file was
    removed meanwhile.
    """
    wanted = request.build
    visitors.require_visible(wanted.choice, settings)
    store = Store(settings)
    with open_shelf(store, wanted) as shelf:
        planned = planned_seconds(store, request, settings)
        share = planned.building / planned.total
        result = _built(store, wanted, settings, part_of(progress, 0.0, share))
        if None in [shelf.find(FORMATS[artifact.format]) for artifact in result.artifacts]:
            raise InvalidArtifact("A file was removed before it could be measured.", "Try again.")
        paths = {artifact.format: shelf.path(FORMATS[artifact.format]) for artifact in result.artifacts}
        with tempfile.TemporaryDirectory(dir=make_folder(settings.home / "runs"), prefix=".", suffix=".part") as traces:
            options = Options(
                threads=_thread_counts(settings),
                seconds=request.seconds,
                is_latency_only=request.is_latency_only,
                traces=Path(traces),
            )
            run = profile(result, paths, settings, options, part_of(progress, share, 1.0))
            return Runs(settings).keep(run, Path(traces), find(wanted.model).owner)


@dataclass(frozen=True)
class Planned:
    """The seconds that a profile takes: ``building`` what is missing, and ``measuring``."""

    building: float
    measuring: float

    @property
    def total(self) -> float:
        return self.building + self.measuring


def planned_seconds(store: Store, request: Profile, settings: Settings, past: Record | None = None) -> Planned:
    """How long the profile will take on this machine; ``past`` is the newest run of the model here."""
    wanted, rows = request.build, in_build_order(request.build.formats)
    spec, here = find(wanted.model), store.find(wanted)
    missing = [row for row in rows if row.key not in here]
    inference = inference_seconds(spec)
    threads = len(_thread_counts(settings))
    measuring = plan(len(rows), inference, request.seconds, threads, request.is_latency_only)
    pace = pace_of(past, inference) if past else 1.0
    return Planned(building_seconds(missing, inference), pace * measuring.total)


def _thread_counts(settings: Settings) -> tuple[int, ...]:
    """All threads, and one."""
    cores = usable_cpus()
    return tuple(dict.fromkeys((min(settings.cpu_threads or cores, cores), 1)))


def _built(store: Store, wanted: BuildRequest, settings: Settings, progress: Progress) -> BuildResult:
    """The build from the store; missing files are built in another process."""
    if len(store.find(wanted)) == len(in_build_order(wanted.formats)):
        return store.result(wanted)
    return run_in_new_process("worker", Build(wanted), settings, progress)

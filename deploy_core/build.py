"""Builds files stage by stage, checks each against the original, and reports progress."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from deploy_core import documents, memory
from deploy_core.errors import DeployError, FormatUnavailable, InvalidArtifact, InvalidRequest, StorageFailed
from deploy_core.files import atomic_write, make_folder, remove, require_space, try_room
from deploy_core.formats import FORMATS, ORIGINAL, Format, Workbench, engines, in_build_order
from deploy_core.formats.format import CalibrationPictures
from deploy_core.inference import beside, capacity
from deploy_core.inference import calibration as calibrating
from deploy_core.models import load
from deploy_core.models.own import assumptions, card
from deploy_core.models.spec import ModelSpec
from deploy_core.processes.task import Task
from deploy_core.settings import Settings
from deploy_core.types import (
    Artifact,
    BuildRequest,
    BuildResult,
    Event,
    KnownAnswer,
    Platform,
    Progress,
    Seconds,
    Unbuilt,
    part_of,
    silent,
)

MANIFEST = "build.json"
OPTIMIZE_CHOICES = ("default", "tutorial")
LOADING_EFFORT = 1.0
CHECKING_EFFORT = 3.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Build(Task[BuildResult]):
    """A request to the worker: build into the app's store."""

    build: BuildRequest
    kind = "build"
    answer = BuildResult


class Destination(Protocol):
    """Where a build writes its files."""

    def find(self, row: Format) -> Artifact | None:
        """The artifact if it exists already, so that it need not be built."""

    def writing(self, row: Format) -> AbstractContextManager[Path]:
        """Gives a path to write the row's file to. The file appears whole, or not at all."""

    def path(self, row: Format) -> Path:
        """The path of the row's finished file."""

    def keep(self, artifact: Artifact, known: KnownAnswer) -> None:
        """Records a file that was written and proven."""


@dataclass(frozen=True)
class Folder:
    """One folder for all files. Everything is built again each time."""

    folder: Path
    model: str

    def find(self, _: Format) -> Artifact | None:
        return None

    def writing(self, row: Format) -> AbstractContextManager[Path]:
        # The first new file makes an earlier build in this folder incomplete.
        remove(self.folder / MANIFEST)
        return atomic_write(self.path(row))

    def path(self, row: Format) -> Path:
        return self.folder / row.filename(self.model)

    def keep(self, artifact: Artifact, known: KnownAnswer) -> None:
        """Does nothing: ``build_into`` writes the manifest at the end."""


def build_into(
    folder: Path,
    request: BuildRequest,
    settings: Settings,
    progress: Progress = silent,
    calibration: CalibrationPictures | None = None,
) -> BuildResult:
    """Writes the requested formats into ``folder``, the manifest last. Raises as ``build`` does, and StorageFailed."""
    rows = _checked(request)
    spec = load.find(request.model)
    require_space(make_folder(folder), sum(expected_bytes(row, spec) for row in rows))
    result = build(request, Folder(folder, spec.name), settings, progress, calibration)
    documents.write(folder / MANIFEST, replace(result, model=ORIGINAL.filename(spec.name)) if spec.file else result)
    return result


def build(
    request: BuildRequest,
    destination: Destination,
    settings: Settings,
    progress: Progress = silent,
    calibration: CalibrationPictures | None = None,
) -> BuildResult:
    """Builds the requested formats, the formats they need, and the original, unless ``destination`` has them.

    Static quantizers learn from ``calibration``, or from shipped photographs.

    A format that is not available here or fails is listed with the reason, and the others go on. Raises InvalidRequest,
    StorageFailed, FormatUnavailable if no requested format is available, and the errors of ``load.load``.
    """
    rows = _checked(request)
    spec = load.find(request.model)
    unbuilt = {row.key: Unbuilt(row.key, False, reason) for row in rows if (reason := row.probe())}
    capacity.require_build(spec, request.formats, [row for row in rows if row.key not in unbuilt], settings)
    artifacts = {row.key: artifact for row in rows if (artifact := destination.find(row))}
    todo = _for_phones_first([row for row in rows if row.key not in artifacts and row.key not in unbuilt])
    if todo:
        made, failed = _made(todo, request, destination, settings, progress, calibration)
        artifacts |= made
        unbuilt |= failed
    progress(Event("Done", 1.0))
    return BuildResult(
        model=spec.reference,
        weights=request.weights,
        engine=request.engine,
        optimize=request.optimize,
        artifacts=tuple(artifacts[row.key] for row in rows if row.key in artifacts),
        unbuilt=tuple(unbuilt[row.key] for row in rows if row.key in unbuilt),
        assumed=assumptions.sentences(spec),
    )


def read_result(folder: Path) -> BuildResult:
    """The result that ``build_into`` wrote into ``folder``. Raises InvalidArtifact if there is no finished build."""
    if not (folder / MANIFEST).is_file():
        raise InvalidArtifact(
            f"{folder} holds no finished build.", "Name a folder that 'python -m deploy_core build' wrote."
        )
    try:
        result = documents.read(folder / MANIFEST, BuildResult)
    except InvalidArtifact as error:
        raise InvalidArtifact(
            f"{folder / MANIFEST} is damaged, or of another version.", "Build again into this folder."
        ) from error
    formats = {artifact.format for artifact in result.artifacts}
    if not formats <= set(FORMATS) or ORIGINAL.key not in formats:
        raise InvalidArtifact(f"{folder} was built by another version.", "Build again into this folder.")
    if card.is_model_file(result.model):
        # For a person's own model, the original in the folder is the model file.
        return replace(result, model=str(folder / Path(result.model).name))
    return result


def expected_bytes(row: Format, spec: ModelSpec) -> int:
    """An estimate of the size of the row's file, in bytes."""
    return int(1.05 * spec.parameters * row.weight_bytes) + 1_000_000


def _for_phones_first(rows: list[Format]) -> list[Format]:
    """The rows with the first file that a phone can take in front, because people wait for that one."""
    for_phones = [row for row in rows if row.needs is None and row.runs_on(Platform.ANDROID, Platform.IOS)]
    first = min(for_phones, key=lambda row: row.effort, default=None)
    return sorted(rows, key=lambda row: row is not first)


@dataclass
class _Stages:
    """Reports progress as a fraction of the expected time."""

    progress: Progress
    total: float
    behind: float = 0.0

    def begin(self, message: str, effort: float) -> Progress:
        """Starts a stage. Returns the progress for the work inside it."""
        start = self.behind / self.total
        self.behind += effort
        self.progress(Event(message, start))
        return part_of(self.progress, start, self.behind / self.total)


def _checked(request: BuildRequest) -> tuple[Format, ...]:
    if request.optimize not in OPTIMIZE_CHOICES:
        raise InvalidRequest(
            f"There is no way to optimize called '{request.optimize}'.", f"Choose: {', '.join(OPTIMIZE_CHOICES)}."
        )
    if not request.formats:
        raise InvalidRequest("No format was named.", f"Choose from: all, {', '.join(FORMATS)}.")
    rows = in_build_order(request.formats)
    engines.require_build_engine(request.engine)
    reasons = {key: FORMATS[key].probe() for key in request.formats}
    if all(reasons.values()):
        key, reason = next(iter(reasons.items()))
        raise FormatUnavailable(f"The format '{key}' is not available here.", str(reason))
    return rows


def _made(
    todo: Sequence[Format],
    request: BuildRequest,
    destination: Destination,
    settings: Settings,
    progress: Progress,
    calibration: CalibrationPictures | None,
) -> tuple[dict[str, Artifact], dict[str, Unbuilt]]:
    """The artifacts of ``todo``, and what failed. The first file is checked before the second is made."""
    spec = load.find(request.model)
    stages = _Stages(progress, LOADING_EFFORT + sum(row.effort + CHECKING_EFFORT for row in todo))
    artifacts: dict[str, Artifact] = {}
    unbuilt: dict[str, Unbuilt] = {}
    with ExitStack() as held:
        process = None
        if beside.is_worth_it(spec, todo, settings):
            process = held.enter_context(beside.beside(request.choice, settings))
        model = load.load(
            request.model, request.weights, settings, stages.begin(f"Loading {spec.title}", LOADING_EFFORT)
        )
        checks: beside.Checks = process or beside.Here(model, settings)
        bench = Workbench(
            model,
            request.engine,
            request.optimize,
            functools.cache(lambda: calibration or calibrating.shipped(spec, settings)),
        )
        unchecked: list[_Written] = []
        for position, row in enumerate(todo):
            is_first, is_last = position == 0, position == len(todo) - 1
            with _telling(row, unbuilt):
                unchecked.append(_written(row, bench, destination, stages))
                checks.begin(row, destination.path(row), is_alone=is_first or is_last)
            later = {after.needs for after in todo[position + 1 :]}
            bench.results = {key: result for key, result in bench.results.items() if key in later}
            memory.give_back()
            while unchecked and (is_first or is_last or checks.is_due(unchecked[0].row)):
                written = unchecked.pop(0)
                with _telling(written.row, unbuilt):
                    artifacts[written.row.key] = _proven(written, bench, destination, checks, stages)
                memory.give_back()
    return artifacts, unbuilt


@contextmanager
def _telling(row: Format, unbuilt: dict[str, Unbuilt]) -> Iterator[None]:
    """Notes in ``unbuilt`` why a format failed, and goes on; without space for files it does not."""
    try:
        yield
    except StorageFailed:
        raise
    except DeployError as error:
        unbuilt[row.key] = Unbuilt(row.key, True, str(error))
    except Exception as error:
        log.exception("The format %s failed", row.key)
        unbuilt[row.key] = Unbuilt(row.key, True, _first_line(error))


@dataclass(frozen=True)
class _Written:
    """A file that was written, and the seconds that this took."""

    row: Format
    build: float
    sync: float


def _written(row: Format, bench: Workbench, destination: Destination, stages: _Stages) -> _Written:
    stages.begin(f"Building {row.title}", row.effort)
    started = time.perf_counter()
    result = _converted(row, bench)
    with destination.writing(row) as path:
        try_room(path, expected_bytes(row, bench.model.spec))
        row.save(bench, result, path)
        built = time.perf_counter()
    return _Written(row, built - started, time.perf_counter() - built)


def _proven(
    written: _Written, bench: Workbench, destination: Destination, checks: beside.Checks, stages: _Stages
) -> Artifact:
    row = written.row
    stages.begin(f"Checking {row.title}", CHECKING_EFFORT)
    path = destination.path(row)
    answer = checks.result(row, path)
    checked = answer.value
    artifact = Artifact(
        format=row.key,
        file=path.name,
        bytes=path.stat().st_size,
        sha256=checked.sha256,
        seconds=Seconds(build=written.build, sync=written.sync, check=checked.seconds),
        proof=checked.proof,
        disagrees=checked.disagrees,
        delegation=bench.delegations.get(row.key),
        findings=checked.findings,
        read_back=checked.read_back,
        calibration=bench.calibrations.get(row.key),
    )
    destination.keep(artifact, checked.known(answer.blob))
    return artifact


def _converted(row: Format, bench: Workbench) -> Any:
    """The row's result in memory. Converts what the row needs first, even if that is not written to a file."""
    if row.key not in bench.results:
        if row.needs is not None:
            _converted(FORMATS[row.needs], bench)
        bench.results[row.key] = row.convert(bench)
    return bench.results[row.key]


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0][:300]
    return f"The conversion failed ({type(error).__name__}: {text}). The server's log has the details."

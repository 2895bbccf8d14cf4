"""Builds files stage by stage, checks each against the original, and reports progress."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from deploy_core import documents, memory
from deploy_core.errors import DeployError, FormatUnavailable, InvalidArtifact, InvalidRequest, StorageFailed
from deploy_core.files import atomic_write, make_folder, remove, require_space, sha256
from deploy_core.formats import FORMATS, ORIGINAL, Format, Workbench, engines, in_build_order
from deploy_core.formats.format import CalibrationPictures
from deploy_core.inference import calibration as calibrating
from deploy_core.inference import capacity, proof, read_back
from deploy_core.inference.classify import Classifier
from deploy_core.inference.proof import Reference
from deploy_core.models import load
from deploy_core.models.load import LoadedModel
from deploy_core.models.own import assumptions, card
from deploy_core.models.spec import ModelSpec
from deploy_core.processes.task import Task
from deploy_core.settings import Settings
from deploy_core.types import (
    Artifact,
    BuildRequest,
    BuildResult,
    EngineAnswer,
    Event,
    KnownAnswer,
    Progress,
    Proof,
    ReadBack,
    Seconds,
    Unbuilt,
    Verdict,
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
    todo = [row for row in rows if row.key not in artifacts and row.key not in unbuilt]
    stages = _Stages(progress, LOADING_EFFORT + sum(row.effort + CHECKING_EFFORT for row in todo))
    if todo:
        model = load.load(
            request.model, request.weights, settings, stages.begin(f"Loading {spec.title}", LOADING_EFFORT)
        )
        reference = Reference(_classifier(request, model, model.module), settings)
        bench = Workbench(
            model,
            request.engine,
            request.optimize,
            functools.cache(lambda: calibration or calibrating.shipped(spec, settings)),
        )
    for position, row in enumerate(todo):
        try:
            artifacts[row.key] = _make(row, bench, request, reference, destination, stages)
        except StorageFailed:
            raise
        except DeployError as error:
            unbuilt[row.key] = Unbuilt(row.key, True, str(error))
        except Exception as error:
            log.exception("The format %s failed", row.key)
            unbuilt[row.key] = Unbuilt(row.key, True, _first_line(error))
        later = {after.needs for after in todo[position + 1 :]}
        bench.results = {key: result for key, result in bench.results.items() if key in later}
        memory.give_back()
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


def _make(
    row: Format,
    bench: Workbench,
    request: BuildRequest,
    reference: Reference,
    destination: Destination,
    stages: _Stages,
) -> Artifact:
    stages.begin(f"Building {row.title}", row.effort)
    started = time.perf_counter()
    result = _converted(row, bench)
    with destination.writing(row) as path:
        row.save(bench, result, path)
        built = time.perf_counter()
    del result
    synced = time.perf_counter()

    stages.begin(f"Checking {row.title}", CHECKING_EFFORT)
    path = destination.path(row)
    worth = _proven(row, path, bench, request, reference) if row.runs_here else _read_back(row, path, reference)
    findings = row.inspect(path)
    digest = sha256(path)
    artifact = Artifact(
        format=row.key,
        file=path.name,
        bytes=path.stat().st_size,
        sha256=digest,
        seconds=Seconds(build=built - started, sync=synced - built, check=time.perf_counter() - synced),
        proof=worth.proof,
        disagrees=worth.disagrees,
        delegation=bench.delegations.get(row.key),
        findings=findings,
        read_back=worth.read_back,
        calibration=bench.calibrations.get(row.key),
    )
    destination.keep(artifact, worth.known)
    return artifact


@dataclass(frozen=True)
class _Worth:
    """What checking a file gave: a proof, or what was read back; and the answer that its bundle states."""

    proof: Proof | None
    read_back: ReadBack | None
    disagrees: bool
    known: KnownAnswer


def _proven(row: Format, path: Path, bench: Workbench, request: BuildRequest, reference: Reference) -> _Worth:
    """A file's proof, and its answer to the first picture. The file is out of memory again afterwards."""
    file = _classifier(request, bench.model, row.load(path))
    proven = proof.prove(file, row, reference)
    first = reference.inputs(0, 1)
    answers = [EngineAnswer(proven.engine, tuple(file.logits(first).tolist()))]
    on_phone = proof.prove_as_on_phone(path, row, reference, file)
    if on_phone:
        answers.insert(0, EngineAnswer(on_phone.proof.engine, tuple(on_phone.first_logits.tolist())))
        proven = replace(proven, phone=on_phone.proof)
    disagrees = proven.verdict is Verdict.CHANGES or proven.cosine < row.least_cosine
    return _Worth(proven, None, disagrees, _known(reference, answers))


def _read_back(row: Format, path: Path, reference: Reference) -> _Worth:
    """Of a file that does not run here. The answer that its bundle states is the original's."""
    assert row.read_back is not None  # noqa: S101
    checked = read_back.check(row.read_back, path, reference)
    found = checked.read_back
    disagrees = checked.changes_answer or found.cosine < row.least_cosine or not found.weights.holds
    answer = EngineAnswer(ORIGINAL.run_engine(), tuple(reference.logits(0, 1)[0].tolist()))
    return _Worth(None, found, disagrees, _known(reference, [answer]))


def _known(reference: Reference, answers: Sequence[EngineAnswer]) -> KnownAnswer:
    """What is known of the first picture."""
    picture, tensor = reference.views(1)[0].file, reference.inputs(0, 1).numpy().astype("<f4").tobytes()
    return KnownAnswer(picture, tensor, tuple(answers), reference.original.labels)


def _converted(row: Format, bench: Workbench) -> Any:
    """The row's result in memory. Converts what the row needs first, even if that is not written to a file."""
    if row.key not in bench.results:
        if row.needs is not None:
            _converted(FORMATS[row.needs], bench)
        bench.results[row.key] = row.convert(bench)
    return bench.results[row.key]


def _classifier(request: BuildRequest, model: LoadedModel, run: Callable[..., Any]) -> Classifier:
    return Classifier(model.spec, request.weights, model.labels, run)


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0][:300]
    return f"The conversion failed ({type(error).__name__}: {text}). The server's log has the details."

"""The part of a cluster's evaluation that runs on the Dask workers.

``SubjectPlugin`` brings the artifact to every worker once, also to one that joins later or restarts. Only plain values
pass through the scheduler, so the scheduler needs Dask and nothing of this project.
"""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core import documents
from deploy_core.errors import ClusterUnavailable, InvalidArtifact, InvalidPictureSet
from deploy_core.evaluation.evaluate import Shard, answer_shard
from deploy_core.evaluation.folders import read_picture
from deploy_core.evaluation.results import ShardResult
from deploy_core.evaluation.subjects import Subject, subject_of
from deploy_core.files import is_file, sha256, storage_failed
from deploy_core.formats import by_filename
from deploy_core.inference import classify
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings

if TYPE_CHECKING:
    from distributed import Worker, WorkerPlugin


@dataclass(frozen=True)
class SubjectPackage:
    """A subject as it is sent to the workers: the bytes of its artifact, its name, and the versions that it needs.

    ``spec`` is the model's as plain values, because no worker knows a visitor's own model.
    """

    subject: str
    spec: dict[str, Any]
    file: str
    sha256: str
    versions: dict[str, str | None]
    data: bytes = field(repr=False)


def packed(subject: str, spec: ModelSpec, path: Path) -> SubjectPackage:
    """The artifact at ``path`` as a package. Raises InvalidArtifact if it cannot be read."""
    if not is_file(path):
        raise InvalidArtifact(f"There is no artifact {path}.", "Check the path, or build it first.")
    try:
        return SubjectPackage(
            subject, documents.plain(spec), path.name, sha256(path), by_filename(path).versions(), path.read_bytes()
        )
    except OSError as error:
        raise InvalidArtifact(f"{path} cannot be read ({error.strerror}).", "Check your permission.") from error


class WorkerEvaluator:
    """Answers shards on one worker, with the package's artifact in a file there, opened once."""

    def __init__(self, worker: Worker, package: SubjectPackage, root: str | None, settings: Settings) -> None:
        """Raises ClusterUnavailable on a worker with other versions, StorageFailed, InvalidArtifact."""
        self._address, self._settings = worker.address, settings
        self._root = None if root is None else Path(root)
        self._one_at_a_time = threading.Lock()
        # Inside the worker's own folder, which Dask also removes after a worker was killed.
        self._folder = tempfile.TemporaryDirectory(prefix="deit-deploy-", dir=worker.local_directory)
        try:
            self._subject = self._open(package, Path(self._folder.name) / package.file)
        except BaseException:
            self.close()
            raise

    def answer(self, values: Iterable[Any]) -> ShardResult:
        """The answers to the shard with these fields. Raises InvalidPictureSet if the shared folder is not here."""
        shard = Shard(*values)
        if self._root is not None:
            if not self._root.is_dir():
                raise InvalidPictureSet(
                    f"The worker {self._address} sees no folder {self._root}.",
                    "Mount it there under this path, or leave --shared-data out.",
                )
            data = tuple(read_picture(self._root, name, self._settings) for name in shard.names)
            shard = replace(shard, data=data)
        # Each thread of a worker would compute on all cores.
        with self._one_at_a_time:
            return answer_shard(shard, [self._subject], self._settings)

    def close(self) -> None:
        """Removes the file."""
        self._folder.cleanup()

    def _open(self, package: SubjectPackage, path: Path) -> Subject:
        versions = by_filename(path).versions()
        for name, wanted in package.versions.items():
            installed = versions.get(name)
            if _public(installed) != _public(wanted):
                has = f"{name} {installed}" if installed else f"no {name}"
                raise ClusterUnavailable(
                    f"The worker {self._address} has {has}, not {wanted}.",
                    "Install the same requirements.txt there as here.",
                )
        try:
            path.write_bytes(package.data)
        except OSError as error:
            raise storage_failed(path.parent, error) from error
        if sha256(path) != package.sha256:
            raise ClusterUnavailable(f"{package.file} was damaged on its way to {self._address}.", "Try again.")
        spec = documents.structured(package.spec, ModelSpec)
        return replace(subject_of(path, classify.open_artifact_of(spec, path, "")), name=package.subject)


def subject_plugin(package: dict[str, Any], root: str | None, settings: dict[str, Any]) -> WorkerPlugin:
    """A Dask plugin that gives every worker a ``WorkerEvaluator``; the arguments are fields of dataclasses.

    The class is defined here so that it is pickled with its code: a worker without this project can then report that.
    """
    from distributed import WorkerPlugin

    class SubjectPlugin(WorkerPlugin):
        def __init__(self, name: str, *arguments: Any) -> None:
            self.name, self.arguments = name, arguments
            self.evaluator: WorkerEvaluator | None = None

        def setup(self, worker: Worker) -> None:
            from deploy_core.evaluation.cluster_worker import SubjectPackage, WorkerEvaluator
            from deploy_core.settings import Settings

            package, root, settings = self.arguments
            self.evaluator = WorkerEvaluator(worker, SubjectPackage(**package), root, Settings(**settings))
            self.arguments = ()

        def teardown(self, worker: Worker) -> None:  # noqa: ARG002
            if self.evaluator:
                self.evaluator.close()

    # Another evaluation of the same file has the same hash.
    return SubjectPlugin(f"deit-deploy-{package['sha256']}-{uuid.uuid4().hex}", package, root, settings)


def _public(version: str | None) -> str | None:
    """A version without the name of its build: 2.12.1+cpu is 2.12.1."""
    return version and version.partition("+")[0]

"""Where the app keeps what it built: one folder a build, under the settings' ``home``, named by what decides it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from deploy_core import models, profile
from deploy_core.build import MANIFEST, read_result
from deploy_core.errors import InvalidArtifact
from deploy_core.files import atomic_write, make_folder
from deploy_core.formats import in_build_order
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, BuildResult, ProfileReport


@dataclass(frozen=True)
class Stored:
    """A finished build in the store."""

    key: str
    folder: Path
    result: BuildResult

    def report(self) -> ProfileReport | None:
        """The newest profile of this build on this machine; None where there is none that can be read."""
        try:
            return profile.read_report(self.folder / profile.REPORT)
        except InvalidArtifact:
            return None


class Store:
    """The finished builds, and the checkpoints that visitors uploaded."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.home / "artifacts"
        self._checkpoints = settings.home / "checkpoints"

    def folder(self, request: BuildRequest) -> Path:
        """The folder that ``request`` is built into."""
        options = {
            "formats": [row.key for row in in_build_order(request.formats)],
            "engine": request.engine,
            "optimize": request.optimize,
        }
        return self.root / f"{self._origin(request.model, request.weights)}-{_digest(options)}"

    def find(self, request: BuildRequest) -> Stored | None:
        """The finished build of ``request``, if there is one."""
        return self._stored(self.folder(request))

    def newest(self, model: str, weights: str) -> Stored | None:
        """The build of a model that was finished last."""
        manifests = self.root.glob(f"{self._origin(model, weights)}-*/{MANIFEST}")
        builds = [built for built in (self._stored(path.parent) for path in manifests) if built]
        return max(builds, key=lambda built: (built.folder / MANIFEST).stat().st_mtime, default=None)

    def file(self, key: str, name: str) -> Path | None:
        """The path of an artifact that a finished build lists; None for any other name."""
        known = {path.name: path for path in self.root.glob("*") if path.is_dir()}
        stored = self._stored(known[key]) if key in known else None
        if stored is None or name not in {artifact.file for artifact in stored.result.artifacts}:
            return None
        path = stored.folder / name
        return path if path.is_file() else None

    def keep_checkpoint(self, name: str, data: bytes) -> Path:
        """Keeps an uploaded checkpoint under the hash of its bytes, which nobody can guess; returns its path."""
        folder = make_folder(self._checkpoints)
        path = folder / f"{hashlib.sha256(data).hexdigest()}{Path(name).suffix}"
        if not path.exists():
            with atomic_write(path) as temporary:
                temporary.write_bytes(data)
        return path

    def _origin(self, model: str, weights: str) -> str:
        """What a build's answers come from: other weights or another torch give another name."""
        identity = models.weights_identity(models.find(model), weights)
        return f"{model}-{_digest({'weights': identity, 'torch': version('torch')})}"

    def _stored(self, folder: Path) -> Stored | None:
        try:
            result = read_result(folder)
        except InvalidArtifact:
            return None
        whole = all((folder / artifact.file).is_file() for artifact in result.artifacts)
        return Stored(folder.name, folder, result) if whole else None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]

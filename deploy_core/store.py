"""Where the app keeps what it built: one folder a request, under the settings' ``home``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from deploy_core import profile
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
        """The newest profile of this build on this machine, if it was measured."""
        path = self.folder / profile.REPORT
        return profile.read_report(path) if path.exists() else None


class Store:
    """The builds under ``home``, named by what was asked for."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.home / "artifacts"
        self._checkpoints = settings.home / "checkpoints"

    def key(self, request: BuildRequest) -> str:
        """The name of the folder that ``request`` is built into."""
        formats = tuple(row.key for row in in_build_order(request.formats))
        text = json.dumps(dataclasses.asdict(dataclasses.replace(request, formats=formats)), sort_keys=True)
        return f"{request.model}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def folder(self, request: BuildRequest) -> Path:
        return self.root / self.key(request)

    def find(self, request: BuildRequest) -> Stored | None:
        """The finished build of ``request``, if there is one."""
        return self._stored(self.folder(request))

    def newest(self, model: str, weights: str) -> Stored | None:
        """The build of a model that was finished last."""
        builds = [self._stored(path.parent) for path in self.root.glob(f"*/{MANIFEST}")]
        fitting = [
            built for built in builds if built and (built.result.model, built.result.weights) == (model, weights)
        ]
        return max(fitting, key=lambda built: (built.folder / MANIFEST).stat().st_mtime, default=None)

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

    def _stored(self, folder: Path) -> Stored | None:
        try:
            return Stored(folder.name, folder, read_result(folder))
        except InvalidArtifact:
            return None

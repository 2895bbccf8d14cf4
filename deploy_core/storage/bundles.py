"""Bundles of built files, wherever they are: in a folder that ``build`` wrote, or in the app's store."""

from __future__ import annotations

from pathlib import Path

from deploy_core import build
from deploy_core.bundle import write
from deploy_core.bundle.sample import known_answer
from deploy_core.errors import InvalidArtifact
from deploy_core.models import load
from deploy_core.settings import Settings
from deploy_core.storage.store import Store
from deploy_core.types import Artifact, BuildResult


def bundle_file(path: Path, settings: Settings, out: Path | None = None) -> Path:
    """Zips a built file with what an app needs: labels, preprocessing, code, and a test picture with its answer.

    ``path`` is a file of a build's folder or of the store; ``out`` is the zip to write, by default in the same folder.
    Returns the path of the zip. Raises InvalidArtifact or StorageFailed.
    """
    result, artifact = _built(path, settings)
    spec = load.find(result.model)
    out = out or path.with_name(f"{path.stem}_bundle.zip")
    write.write(path, artifact, result, known_answer(path, artifact, spec, settings), spec.preprocessing, out)
    return out


def _built(path: Path, settings: Settings) -> tuple[BuildResult, Artifact]:
    """The build that a file belongs to, from the store or from the manifest in its folder."""
    store = Store(settings)
    stored = store.entry(path.absolute().parent.name) if path.absolute().parent.parent == store.root else None
    result = store.result(stored.record.request) if stored else build.read_result(path.parent)
    for artifact in result.artifacts:
        if artifact.file == path.name:
            return result, artifact
    raise InvalidArtifact(f"{path} is not part of the build beside it.", "Name a file that 'build' wrote.")

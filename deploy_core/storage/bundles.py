"""Bundles of built files, wherever they are: in a folder that ``build`` wrote, or in the app's store."""

from __future__ import annotations

from pathlib import Path

from deploy_core import build
from deploy_core.bundle import write
from deploy_core.bundle.sample import known_answer
from deploy_core.errors import InvalidArtifact
from deploy_core.formats import FORMATS, ORIGINAL
from deploy_core.models import load
from deploy_core.settings import Settings
from deploy_core.storage.store import Store
from deploy_core.types import Artifact, BuildResult


def bundle_file(path: Path, settings: Settings, out: Path | None = None) -> Path:
    """Zips a built file with what an app needs: labels, preprocessing, code, and a test picture with its answer.

    ``path`` is a file of a build's folder or of the store; ``out`` is the zip to write, by default in the same folder.
    Returns the path of the zip. Raises InvalidArtifact or StorageFailed.
    """
    store = Store(settings)
    stored = store.entry(path.absolute().parent.name) if path.absolute().parent.parent == store.root else None
    result = store.result(stored.record.request) if stored else build.read_result(path.parent)
    artifact = _artifact(path, result)
    spec = load.find(result.model)
    out = out or path.with_name(f"{path.stem}_bundle.zip")
    known = stored.known() if stored else known_answer(*_who_answers(path, artifact, result), spec, settings)
    write.write(path, artifact, result, known, spec.preprocessing, out)
    return out


def _artifact(path: Path, result: BuildResult) -> Artifact:
    for artifact in result.artifacts:
        if artifact.file == path.name:
            return artifact
    raise InvalidArtifact(f"{path} is not part of the build beside it.", "Name a file that 'build' wrote.")


def _who_answers(path: Path, artifact: Artifact, result: BuildResult) -> tuple[Path, Artifact]:
    """The file whose answer the bundle states: the given one, or the original where that one does not run here."""
    if FORMATS[artifact.format].runs_here:
        return path, artifact
    original = next(one for one in result.artifacts if one.format == ORIGINAL.key)
    return path.with_name(original.file), original

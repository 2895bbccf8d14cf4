"""``bundle``: zips a built file with what an app needs."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy_core import build
from deploy_core.bundle import write
from deploy_core.cli.outcome import Outcome
from deploy_core.errors import InvalidArtifact
from deploy_core.models import catalogue, load
from deploy_core.settings import Settings
from deploy_core.storage.store import Store
from deploy_core.types import Artifact, BuildResult

SUMMARY = "Zip a built file with what an app needs: labels, preprocessing, code, a test."


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a file that 'build' wrote")
    sub.add_argument("--out", type=Path, metavar="FILE", help="the zip to write (beside the artifact)")


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    path: Path = options.artifact
    result, artifact = _built(path, limits)
    spec = load.find(result.model)
    out = options.out or path.with_name(f"{path.stem}_bundle.zip")
    sample = write.sample(path, artifact, result.model, limits)
    write.write(path, artifact, result, sample, catalogue.labels(spec), spec.preprocessing, out)
    document = {"artifact": str(path), "bundle": str(out), "bytes": out.stat().st_size}
    return document, f"{out}: {out.stat().st_size / 1e6:.2f} MB", 0


def _built(path: Path, limits: Settings) -> tuple[BuildResult, Artifact]:
    """What is known of a built file: from the store that it lies in, or from the manifest beside it."""
    store = Store(limits)
    stored = store.entry(path.absolute().parent.name) if path.absolute().parent.parent == store.root else None
    result = store.result(stored.record.request) if stored else build.read_result(path.parent)
    for artifact in result.artifacts:
        if artifact.file == path.name:
            return result, artifact
    raise InvalidArtifact(f"{path} is not part of the build beside it.", "Name a file that 'build' wrote.")

"""The subjects of an evaluation: models and artifacts that answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy_core.formats import by_filename
from deploy_core.inference import classify
from deploy_core.inference.classify import Classifier
from deploy_core.models import catalogue
from deploy_core.settings import Settings
from deploy_core.types import Progress, silent

BATCH = 16


@dataclass(frozen=True)
class Subject:
    """A loaded model or artifact; ``name`` is its name in the results, ``batch`` how many pictures it gets at once."""

    name: str
    classifier: Classifier
    batch: int


def open_subject(what: str, model: str, weights: str, settings: Settings, progress: Progress = silent) -> Subject:
    """The model ``what`` of the catalogue, or else the artifact at the path ``what``, built from ``model``.

    Raises as ``classify.open_model`` and ``classify.open_artifact`` do.
    """
    if what in catalogue.MODELS:
        return Subject(what, classify.open_model(what, weights, settings, progress), BATCH)
    return open_artifact(Path(what), model, weights)


def open_artifact(path: Path, model: str, weights: str) -> Subject:
    """The artifact at ``path``, built from ``model``, named by its format. Raises InvalidArtifact."""
    return subject_of(path, classify.open_artifact(path, model, weights))


def subject_of(path: Path, classifier: Classifier) -> Subject:
    """The opened artifact at ``path``, named by its format."""
    row = by_filename(path)
    one_by_one = row.answers_depend_on_batch or not row.takes_batches
    return Subject(row.key, classifier, 1 if one_by_one else BATCH)

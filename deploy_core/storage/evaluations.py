"""The evaluations that the app keeps, by model, formats and labelled pictures."""

from __future__ import annotations

from pathlib import Path

from deploy_core.errors import InvalidArtifact
from deploy_core.evaluation import labelled
from deploy_core.evaluation.results import Evaluation, read_evaluation, save_evaluation
from deploy_core.files import make_folder, remove_leftovers
from deploy_core.formats import FORMATS
from deploy_core.models import load
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings
from deploy_core.storage.entry import address, digest
from deploy_core.types import BuildRequest


class Evaluations:
    """One file an evaluation; a new one of the same files and pictures replaces it."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.home / "evaluations"

    def find(self, request: BuildRequest, pictures: Path) -> Evaluation | None:
        """The newest evaluation of the files of ``request`` on a labelled set; None if there is none."""
        try:
            return read_evaluation(self._path(request, pictures))
        except InvalidArtifact:
            return None

    def has_any(self, spec: ModelSpec, weights: str) -> bool:
        """Whether an evaluation of this model with these weights is kept."""
        return any(self._root.glob(f"{_first_word(spec)}-{weights}-*.json"))

    def keep(self, request: BuildRequest, pictures: Path, evaluation: Evaluation) -> None:
        """Saves an evaluation of the files of ``request``. Raises StorageFailed."""
        make_folder(self._root)
        save_evaluation(evaluation, self._path(request, pictures))

    def forget(self, owner: str) -> None:
        """Removes the evaluations of a visitor's own models."""
        for path in self._root.glob(f"{owner}-*.json"):
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Removes unfinished files of killed processes."""
        remove_leftovers(self._root)

    def _path(self, request: BuildRequest, pictures: Path) -> Path:
        try:
            state = labelled.fingerprint(pictures)
        except OSError as error:
            raise InvalidArtifact(f"{pictures.name} is gone.", "Give the pictures again.") from error
        keys = [address(request, FORMATS[key]) for key in request.formats]
        first = _first_word(load.find(request.model))
        return self._root / f"{first}-{request.weights}-{digest([keys, str(pictures), state])}.json"


def _first_word(spec: ModelSpec) -> str:
    """How the names of a model's evaluations begin. A visitor's models share one beginning, so that all are found."""
    return spec.owner or spec.name

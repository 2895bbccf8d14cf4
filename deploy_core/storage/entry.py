"""One artifact in the store: its address, and the files in its folder."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from deploy_core import documents
from deploy_core.formats import Format
from deploy_core.models import catalogue, load
from deploy_core.types import Artifact, BuildRequest, EngineAnswer, KnownAnswer

RECORD = "record.json"
EXPECTED = "expected.json"
TENSOR = "test_input.bin"
# Addresses of artifacts of a visitor's own model begin with the visitor's secret name.
OWNED = re.compile(r"[0-9a-f]{32}-")


@dataclass(frozen=True)
class EntryRecord:
    """The contents of ``record.json``. ``request`` names only this format, so that it can be built again."""

    request: BuildRequest
    artifact: Artifact
    versions: dict[str, str | None]


@dataclass(frozen=True)
class ExpectedAnswer:
    """The artifact's answers to the test picture, as in ``KnownAnswer``. The picture's tensor is in ``TENSOR``."""

    picture: str
    answers: tuple[EngineAnswer, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Stored:
    """A finished artifact in the store. ``key`` is its address, also in URLs."""

    key: str
    folder: Path
    record: EntryRecord

    @property
    def artifact(self) -> Artifact:
        return self.record.artifact

    @property
    def path(self) -> Path:
        return self.folder / self.artifact.file

    @property
    def bundle_name(self) -> str:
        return f"{self.path.stem}_bundle.zip"

    def is_whole(self) -> bool:
        """Whether the file has its size, and the other files for a bundle are there. Raises OSError."""
        others = (self.folder / name for name in (TENSOR, EXPECTED))
        return self.path.stat().st_size == self.artifact.bytes and all(path.stat().st_size for path in others)

    def expected(self) -> ExpectedAnswer:
        """The answer that a bundle states. Raises InvalidArtifact if it is gone."""
        return documents.read(self.folder / EXPECTED, ExpectedAnswer)

    def known(self) -> KnownAnswer:
        """The test picture, with the answers that a bundle states. Raises InvalidArtifact if they are gone."""
        expected = self.expected()
        return KnownAnswer(expected.picture, (self.folder / TENSOR).read_bytes(), expected.answers, expected.labels)


def address(request: BuildRequest, row: Format) -> str:
    """The address of the artifact that ``row`` makes of ``request``.

    Equal for everything that decides the content: weights, architecture, labels, preprocessing, options and versions.
    """
    spec = load.find(request.model)
    made_of = {
        "weights": load.weights_identity(spec, request.weights),
        "architecture": [spec.timm_name, dict(spec.timm_options)],
        "labels": catalogue.labels_identity(spec),
        "preprocessing": documents.plain(spec.preprocessing),
        "options": {name: getattr(request, name) for name in row.options},
        "versions": row.versions(),
    }
    return f"{spec.owner or spec.name}-{row.key}-{digest(made_of)}"


def digest(value: object) -> str:
    """16 hex digits of the SHA-256 of a value's JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

"""Writes the zip for a phone developer: an artifact, and everything to use and check it.

The zip is stored, not compressed, because weights do not shrink. Equal builds give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from deploy_core import documents
from deploy_core.bundle.code import app_code, code_values
from deploy_core.bundle.contents import (
    ENGINE_TIE,
    EXPECTED,
    LABELS,
    PREPROCESSING,
    README,
    SUMS,
    TENSOR,
    VERSIONS,
    Expected,
    OtherEngine,
    RuntimeNote,
    Tolerance,
    Versions,
    kind_of_weights,
)
from deploy_core.bundle.preprocessing import preprocessing_document
from deploy_core.bundle.readme import readme
from deploy_core.bundle.sample import cosine_of
from deploy_core.errors import InvalidArtifact
from deploy_core.files import atomic_write, copy_and_hash, is_file, undated_entry
from deploy_core.formats import FORMATS, Format
from deploy_core.models import load
from deploy_core.models.spec import ModelSpec
from deploy_core.types import Answer, Artifact, BuildResult, KnownAnswer, Preprocessing

LINE_BREAK = re.compile(r"[\r\n]+")


def write(
    path: Path,
    artifact: Artifact,
    build: BuildResult,
    known: KnownAnswer,
    preprocessing: Preprocessing,
    out: Path,
) -> None:
    """Zips the artifact at ``path`` with what an app needs into ``out``, whole or not at all. Imports no torch.

    Raises InvalidArtifact if the file is missing or not the one that was built, and StorageFailed.
    """
    if not is_file(path):
        raise InvalidArtifact(f"There is no artifact {path}.", "Build it first.")
    row = FORMATS[artifact.format]
    pieces = _pieces(row, artifact, build, known, preprocessing)
    with atomic_write(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        sums = {artifact.file: _add_file(archive, artifact, path)}
        if sums[artifact.file] != artifact.sha256:
            raise InvalidArtifact(f"{artifact.file} is not the file that was built.", "Build it again.")
        for name, data in pieces.items():
            archive.writestr(undated_entry(name), data)
            sums[name] = hashlib.sha256(data).hexdigest()
        archive.writestr(undated_entry(SUMS), "".join(f"{digest}  {name}\n" for name, digest in sums.items()))


def _pieces(
    row: Format,
    artifact: Artifact,
    build: BuildResult,
    known: KnownAnswer,
    preprocessing: Preprocessing,
) -> dict[str, bytes]:
    """All files except the artifact and the checksums, by name."""
    spec = load.find(build.model)
    expected = _expected(known, Tolerance(row.least_cosine, build.weights != "random", ENGINE_TIE), preprocessing.crop)
    versions = _versions(row, artifact, build, spec)
    code = app_code(row, code_values(row, artifact, spec, preprocessing))
    return {
        README: readme(row, artifact, build, spec, versions, expected, tuple(code)).encode(),
        LABELS: _lines(known.labels).encode(),
        PREPROCESSING: _json(preprocessing_document(preprocessing)),
        TENSOR: known.input,
        EXPECTED: _json(documents.plain(expected)),
        VERSIONS: _json(documents.plain(versions)),
        **code,
    }


def _expected(known: KnownAnswer, tolerance: Tolerance, side: int) -> Expected:
    first, *others = known.answers
    stated = np.array(first.logits)
    return Expected(
        picture=known.picture,
        input=TENSOR,
        shape=(1, 3, side, side),
        top=_top(first.logits, known.labels),
        tolerance=tolerance,
        logits=first.logits,
        engine=first.engine,
        others=tuple(
            OtherEngine(
                engine=other.engine,
                cosine=cosine_of(stated, np.array(other.logits)),
                max_abs_difference=float(np.abs(stated - np.array(other.logits)).max()),
                logits=other.logits,
            )
            for other in others
        ),
    )


def _lines(labels: tuple[str, ...]) -> str:
    return "".join(f"{LINE_BREAK.sub(' ', label)}\n" for label in labels)


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _top(logits: tuple[float, ...], labels: tuple[str, ...]) -> tuple[Answer, ...]:
    largest = max(logits)
    weights = [math.exp(logit - largest) for logit in logits]
    order = sorted(range(len(logits)), key=lambda index: -logits[index])[:5]
    return tuple(Answer(index, labels[index], weights[index] / sum(weights)) for index in order)


def _versions(row: Format, artifact: Artifact, build: BuildResult, spec: ModelSpec) -> Versions:
    return Versions(
        model=spec.name,
        weights=kind_of_weights(build.weights),
        format=row.key,
        file=artifact.file,
        bytes=artifact.bytes,
        sha256=artifact.sha256,
        engine=build.engine if "engine" in row.options else None,
        optimize=build.optimize if "optimize" in row.options else None,
        packages=row.versions(),
        runtimes=tuple(map(RuntimeNote.of, row.runtimes)),
        architecture=spec.architecture,
        calibration=artifact.calibration,
    )


def _add_file(archive: zipfile.ZipFile, artifact: Artifact, path: Path) -> str:
    """Copies the artifact into the archive. Returns the SHA-256 of the copied bytes."""
    entry = undated_entry(artifact.file)
    entry.file_size = artifact.bytes
    with path.open("rb") as source, archive.open(entry, "w") as target:
        return copy_and_hash(source, target)

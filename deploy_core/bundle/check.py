"""Asks a bundle's file again, and says whether its expected answers hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy_core import documents
from deploy_core.bundle.contents import (
    EXPECTED,
    LABELS,
    PIECES,
    SUMS,
    TENSOR,
    VERSIONS,
    BundleCheck,
    EngineCheck,
    Expected,
    Versions,
)
from deploy_core.bundle.sample import ask, cosine_of
from deploy_core.bundle.unpack import check_sums, extract, invalid, opened, read_entries, temporary_folder
from deploy_core.errors import FormatUnavailable
from deploy_core.formats import FORMATS, NOT_RUN, Format
from deploy_core.models import catalogue
from deploy_core.models.own import card
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import EngineAnswer, Verdict


def verify(bundle: Path, settings: Settings) -> BundleCheck:
    """Unpacks a bundle's artifact into a temporary folder, asks it again, and compares with the stated answer.

    The zip is checked as untrusted, but an artifact can be a program (TorchScript is one): verify only bundles of
    people whose programs you would run. Raises InvalidArtifact, FormatUnavailable or StorageFailed.
    """
    with temporary_folder() as folder:
        with opened(bundle) as archive:
            entries = read_entries(archive, bundle)
            pieces = {name: archive.read(entry) for name, entry in entries.items() if name in PIECES}
            versions, expected = _stated(pieces)
            row, spec = _row(versions), _spec(versions, pieces, expected)
            path = folder / versions.file
            sums = {name: hashlib.sha256(data).hexdigest() for name, data in pieces.items() if name != SUMS}
            sums[versions.file] = extract(archive, entries, versions, path, settings)
            check_sums(pieces[SUMS], sums)
        answers = ask(row, path, spec, pieces[TENSOR])
    return _compared(versions, expected, answers)


def _stated(pieces: Mapping[str, bytes]) -> tuple[Versions, Expected]:
    return (
        documents.structured(_parsed(pieces, VERSIONS), Versions),
        documents.structured(_parsed(pieces, EXPECTED), Expected),
    )


def _parsed(pieces: Mapping[str, bytes], name: str) -> Any:
    try:
        return json.loads(pieces[name])
    except (ValueError, RecursionError) as error:
        raise invalid(f"{name} is damaged.") from error


def _row(versions: Versions) -> Format:
    row = FORMATS.get(versions.format)
    if row is None or not versions.file.endswith(row.suffix):
        raise invalid(f"{VERSIONS} names a format or a file that this version does not know.")
    if not row.runs_here:
        raise FormatUnavailable(f"{row.title} files are {NOT_RUN}.", "Run the test in the bundle on a device.")
    if reason := row.missing_packages():
        raise FormatUnavailable(f"{row.title} files cannot be run here.", reason)
    return row


def _spec(versions: Versions, pieces: Mapping[str, bytes], expected: Expected) -> ModelSpec:
    """The bundle's model, from the catalogue or a person's own, after checking the shapes of input and answer."""
    if versions.architecture:
        labels = pieces[LABELS].decode(errors="replace").splitlines()
        spec: ModelSpec | None = card.without_file(versions.architecture, versions.model, tuple(labels))
    else:
        spec = catalogue.MODELS.get(versions.model)
    if spec is None:
        raise invalid(f"{VERSIONS} names a model that this version does not know.")
    tensor = np.frombuffer(pieces[TENSOR][: len(pieces[TENSOR]) // 4 * 4], "<f4")
    numbers = 3 * spec.input_size**2
    if len(pieces[TENSOR]) != 4 * numbers or not np.isfinite(tensor).all():
        raise invalid(f"{TENSOR} is no input of {spec.name}.")
    if len(expected.logits) != spec.classes or not np.isfinite(expected.logits).all():
        raise invalid(f"{EXPECTED} is no answer of {spec.name}.")
    return spec


def _compared(versions: Versions, expected: Expected, answers: tuple[EngineAnswer, ...]) -> BundleCheck:
    checks = tuple(_checked(expected, answer) for answer in answers)
    holds = all(check.holds for check in checks)
    words = "answers as its bundle states" if holds else "does not answer as its bundle states"
    details = "; ".join(
        f"{check.engine}: {f'{check.verdict}, ' if check.verdict else ''}cosine {check.cosine:.6f}" for check in checks
    )
    return BundleCheck(
        format=versions.format,
        file=versions.file,
        holds=holds,
        engines=checks,
        text=f"{versions.file} {words} (a cosine of at least {expected.tolerance.cosine} is asked for). {details}.",
    )


def _checked(expected: Expected, answer: EngineAnswer) -> EngineCheck:
    stated, found = np.array(expected.logits), np.array(answer.logits)
    tolerance = expected.tolerance
    verdict = _verdict(stated, found, tolerance.near_tie) if tolerance.same_top1 else None
    cosine = cosine_of(stated, found)
    return EngineCheck(
        engine=answer.engine,
        holds=cosine >= tolerance.cosine and verdict is not Verdict.CHANGES,
        verdict=verdict,
        cosine=cosine,
        max_abs_difference=float(np.abs(stated - found).max()),
    )


def _verdict(stated: NDArray[np.float64], found: NDArray[np.float64], near_tie: float) -> Verdict:
    first, answered = stated.argmax(), found.argmax()
    if first == answered:
        return Verdict.SAME
    return Verdict.UNDECIDED if stated[first] - stated[answered] < near_tie else Verdict.CHANGES

"""Asks a bundle's file again, and says whether its expected answers hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deploy_core import documents
from deploy_core.bundle.contents import (
    EXPECTED,
    LABELS,
    PIECES,
    SUMS,
    TENSOR,
    VERSIONS,
    BundleCheck,
    Expected,
    Versions,
)
from deploy_core.bundle.sample import ask
from deploy_core.bundle.unpack import check_sums, extract, invalid, opened, read_entries, temporary_folder
from deploy_core.errors import FormatUnavailable
from deploy_core.formats import FORMATS, Format
from deploy_core.models import catalogue
from deploy_core.models.own import card
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings


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
        logits = ask(row, path, spec, pieces[TENSOR])
    return _compared(versions, expected, logits)


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


def _compared(versions: Versions, expected: Expected, logits: tuple[float, ...]) -> BundleCheck:
    stated, found = np.array(expected.logits), np.array(logits)
    with np.errstate(all="ignore"):  # stated numbers may overflow: then there is no cosine, and no match
        cosine = float(stated @ found / (np.linalg.norm(stated) * np.linalg.norm(found)))
    same_top1 = bool(stated.argmax() == found.argmax())
    tolerance = expected.tolerance
    holds = cosine >= tolerance.cosine and (same_top1 or not tolerance.same_top1)
    verdict = "answers as its bundle states" if holds else "does not answer as its bundle states"
    return BundleCheck(
        format=versions.format,
        file=versions.file,
        holds=holds,
        cosine=cosine,
        max_abs_difference=float(np.abs(stated - found).max()),
        same_top1=same_top1,
        text=f"{versions.file} {verdict}: cosine {cosine:.6f} (at least {tolerance.cosine} is asked for), "
        f"{'the same' if same_top1 else 'another'} top-1.",
    )

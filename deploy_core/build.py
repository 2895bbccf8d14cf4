"""Builds artifacts stage by stage into one folder, checks each against the original, and tells progress."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from deploy_core import models, verify
from deploy_core.classify import Classifier
from deploy_core.errors import FormatUnavailable, InvalidArtifact, InvalidRequest
from deploy_core.files import atomic_write, make_folder, remove, require_space, sha256, write_json
from deploy_core.formats import FORMATS, ORIGINAL, Format, Workbench, engines, in_build_order
from deploy_core.settings import Settings
from deploy_core.types import Artifact, BuildRequest, BuildResult, Event, Progress, silent

MANIFEST = "build.json"
OPTIMIZE_CHOICES = ("default", "tutorial")
# Scripted and original take the float weights once each, the int8 files a quarter each.
SPACE_PER_WEIGHT_BYTE = 3


def build(request: BuildRequest, folder: Path, settings: Settings, progress: Progress = silent) -> BuildResult:
    """Writes the requested formats, what they need, and the original, into ``folder``, with a manifest.

    Every file is whole or not there; the manifest is written last. Raises InvalidRequest, FormatUnavailable,
    StorageFailed, or what loading the model raises.
    """
    rows = _checked(request)
    spec = models.find(request.model)
    total = 2 * len(rows) + 2
    progress(Event(f"Loading {spec.title}", 0, total))
    model = models.load(request.model, request.weights, settings, progress)

    make_folder(folder)
    require_space(folder, spec.parameters * models.BYTES_PER_WEIGHT * SPACE_PER_WEIGHT_BYTE)
    remove(folder / MANIFEST)
    bench = Workbench(model, request.engine, request.optimize)
    seconds = {}
    for done, row in enumerate(rows, start=1):
        progress(Event(f"Building {row.title.lower()}", done, total))
        started = time.perf_counter()
        with atomic_write(folder / row.filename(spec.name)) as path:
            row.build(bench, path)
        seconds[row.key] = time.perf_counter() - started
    bench.results.clear()

    progress(Event("Asking the original", len(rows) + 1, total))
    tensor = verify.reference_input(spec, settings)
    expected = Classifier(spec, request.weights, model.labels, model.module).logits(tensor)
    artifacts = []
    for done, row in enumerate(rows, start=len(rows) + 2):
        progress(Event(f"Checking {row.title.lower()}", done, total))
        path = folder / row.filename(spec.name)
        answer = Classifier(spec, request.weights, model.labels, row.load(path)).logits(tensor)
        artifacts.append(
            Artifact(
                format=row.key,
                file=path.name,
                bytes=path.stat().st_size,
                sha256=sha256(path),
                seconds=seconds[row.key],
                **dataclasses.asdict(verify.compare(expected, answer)),
            )
        )
    result = BuildResult(
        model=spec.name,
        weights=request.weights,
        engine=request.engine,
        optimize=request.optimize,
        reference_picture=verify.REFERENCE_PICTURE.name,
        artifacts=tuple(artifacts),
    )
    write_json(folder / MANIFEST, dataclasses.asdict(result))
    progress(Event("Done", total, total))
    return result


def read_result(folder: Path) -> BuildResult:
    """What ``build`` wrote into ``folder``. Raises InvalidArtifact where there is no finished build."""
    try:
        data: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        artifacts = tuple(Artifact(**artifact) for artifact in data.pop("artifacts"))
        result = BuildResult(**data, artifacts=artifacts)
    except OSError as error:
        raise InvalidArtifact(
            f"{folder} holds no finished build.", "Name a folder that 'python -m deploy_core build' wrote."
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidArtifact(f"{folder / MANIFEST} is damaged.", "Build again into this folder.") from error
    formats = {artifact.format for artifact in artifacts}
    if not formats <= set(FORMATS) or ORIGINAL.key not in formats:
        raise InvalidArtifact(f"{folder} was built by another version.", "Build again into this folder.")
    return result


def _checked(request: BuildRequest) -> tuple[Format, ...]:
    if request.optimize not in OPTIMIZE_CHOICES:
        raise InvalidRequest(
            f"There is no way to optimize called '{request.optimize}'.", f"Choose: {', '.join(OPTIMIZE_CHOICES)}."
        )
    if not request.formats:
        raise InvalidRequest("No format was named.", f"Choose from: all, {', '.join(FORMATS)}.")
    rows = in_build_order(request.formats)
    engines.require_build_engine(request.engine)
    for row in rows:
        reason = row.probe()
        if reason:
            raise FormatUnavailable(f"The format '{row.key}' is not available here.", reason)
    return rows

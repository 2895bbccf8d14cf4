"""``build``: builds files and checks them against the original."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from deploy_core import build, documents
from deploy_core.cli.outcome import EXIT_INCOMPLETE, Outcome, table
from deploy_core.cli.progress import tell
from deploy_core.cli.subject import add_model
from deploy_core.evaluation import calibration
from deploy_core.formats import FORMATS
from deploy_core.inference import proof_words
from deploy_core.models import load
from deploy_core.settings import Settings
from deploy_core.types import Artifact, BuildRequest, Unbuilt

SUMMARY = "Build the deployable artifacts and check them against the original."


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_model(sub)
    sub.add_argument("--formats", default="all", help=f"all, or some of: {','.join(FORMATS)}")
    sub.add_argument("--engine", default="qnnpack", help="quantized engine to build under: qnnpack (phones) or x86")
    sub.add_argument("--optimize", default="default", help="default, or tutorial: the tutorial's own int8 steps")
    sub.add_argument(
        "--calibrate",
        type=Path,
        metavar="SET",
        help="labelled pictures, as for evaluate, from which static int8 formats learn (shipped photographs)",
    )
    sub.add_argument(
        "--out", type=Path, default=Path("artifacts"), metavar="DIR", help="folder to write to (artifacts)"
    )


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    keys = tuple(FORMATS) if options.formats == "all" else tuple(key.strip() for key in options.formats.split(","))
    model = options.model or limits.default_model
    request = BuildRequest(model, options.weights or "pretrained", keys, options.engine, options.optimize)
    pictures = calibration.of_set(options.calibrate, load.find(model), limits) if options.calibrate else None
    result = build.build_into(options.out, request, limits, tell, pictures)
    document = {
        "model": load.find(result.model).name,
        "weights": result.weights,
        "engine": result.engine,
        "optimize": result.optimize,
        "folder": str(options.out),
        "artifacts": [_row_of_artifact(artifact) for artifact in result.artifacts]
        + [_row_of_unbuilt(unbuilt) for unbuilt in result.unbuilt],
    }
    lines = [
        (
            FORMATS[artifact.format].title,
            f"{artifact.bytes / 1e6:.2f} MB",
            f"{artifact.seconds.build:.1f} s",
            proof_words.flips(artifact.proof) if artifact.proof else "",
            f"{artifact.proof.cosine:.5f}" if artifact.proof else "",
            proof_words.of_file(artifact) + (" (DISAGREES)" if artifact.disagrees else ""),
            artifact.file,
        )
        for artifact in result.artifacts
    ]
    head = ("Format", "Size", "Built in", "Flipped labels", "Cosine", "Verdict", f"File in {options.out}")
    text = table(head, lines)
    for unbuilt in result.unbuilt:
        text += f"\n{FORMATS[unbuilt.format].title}: {_why(unbuilt)} {unbuilt.reason}"
    failed = any(unbuilt.is_available for unbuilt in result.unbuilt)
    return document, text, EXIT_INCOMPLETE if failed else 0


def _row_of_artifact(artifact: Artifact) -> dict[str, Any]:
    delegation = artifact.delegation
    return {
        "format": artifact.format,
        "available": True,
        "error": None,
        "file": artifact.file,
        "bytes": artifact.bytes,
        "sha256": artifact.sha256,
        "seconds": artifact.seconds.build,
        "sync_seconds": artifact.seconds.sync,
        "check_seconds": artifact.seconds.check,
        "disagrees": artifact.disagrees,
        "proof": documents.plain(artifact.proof),
        "read_back": documents.plain(artifact.read_back),
        "delegated_percent": delegation.percent if delegation else None,
        "undelegated": delegation.undelegated if delegation else None,
        "calibration": documents.plain(artifact.calibration),
        "findings": documents.plain(artifact.findings),
    }


def _row_of_unbuilt(unbuilt: Unbuilt) -> dict[str, Any]:
    empty = dict.fromkeys(("file", "bytes", "sha256", "seconds", "disagrees", "proof", "read_back"))
    row = {"format": unbuilt.format, "available": unbuilt.is_available, "error": unbuilt.reason}
    return row | empty | {"delegated_percent": None}


def _why(unbuilt: Unbuilt) -> str:
    return "failed." if unbuilt.is_available else "not available here."

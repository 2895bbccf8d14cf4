"""``import``: makes a model file of a fine-tuned checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy_core import documents
from deploy_core.cli import paths
from deploy_core.cli.outcome import Outcome
from deploy_core.cli.progress import tell
from deploy_core.errors import InvalidRequest
from deploy_core.models import hub
from deploy_core.models.hub import HubName
from deploy_core.models.own import bring, card
from deploy_core.models.own.corrections import Corrections
from deploy_core.models.own.labels import parse_labels
from deploy_core.models.own.preprocessing import CROP_MODES, NORMALIZATIONS
from deploy_core.settings import Settings

SUMMARY = "Make a model file of a fine-tuned DeiT, for --model."
LABELS_SHOWN = 5


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "checkpoint",
        type=paths.name_or_path,
        metavar="CHECKPOINT",
        help="a .safetensors, .pth or .pt file, or hf-hub:OWNER/NAME",
    )
    sub.add_argument("--labels", type=Path, metavar="FILE", help="one a line, CSV or JSON (the checkpoint's own)")
    sub.add_argument("--heads", type=int, help="attention heads, which no shape tells (one for 64 of width)")
    sub.add_argument("--size", type=int, help="pixels of the input's side (as trained)")
    sub.add_argument("--resize", type=int, help="pixels of a picture's short side before the center crop")
    sub.add_argument(
        "--crop-mode", choices=CROP_MODES, help="squash: both sides are resized, not the short one alone (center)"
    )
    names = ", ".join(NORMALIZATIONS)
    sub.add_argument("--normalization", metavar="NAME", help=f"of the input: {names} (the checkpoint's own)")
    sub.add_argument("--out", type=Path, default=Path("models"), metavar="DIR", help="folder to write to (models)")


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    labels = parse_labels(_read(options.labels)) if options.labels else None
    corrections = Corrections(
        heads=options.heads,
        size=options.size,
        resize=options.resize,
        crop_mode=options.crop_mode,
        normalization=options.normalization,
        labels=labels,
    )
    text = options.checkpoint
    source = HubName.parse(text) if text.startswith(hub.PREFIX) else Path(text)
    spec = bring.bring(source, options.out, limits, corrections, tell)
    shape = spec.architecture
    document = {
        "file": spec.reference,
        "name": spec.name,
        "parameters": spec.parameters,
        "architecture": documents.plain(shape),
        "preprocessing": documents.plain(spec.preprocessing),
        "labels": spec.own_labels,
    }
    few = ", ".join(spec.own_labels[:LABELS_SHOWN]) + (", …" if spec.classes > LABELS_SHOWN else "")
    return document, f"{spec.reference}: {card.describe(spec)}\nLabels: {few}", 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} cannot be read.", "Check its path.") from error

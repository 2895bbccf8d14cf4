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
from deploy_core.models.checkpoints import MOST_NAMED, Checkpoint
from deploy_core.models.hub import HubName
from deploy_core.models.own import assumptions, bring, card
from deploy_core.models.own.corrections import Corrections
from deploy_core.models.own.labels import parse_labels
from deploy_core.models.own.preprocessing import CROP_MODES, NORMALIZATIONS
from deploy_core.models.own.timm_facts import POOLINGS
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings

SUMMARY = "Make a model file of a fine-tuned ViT or DeiT, for --model."
LABELS_SHOWN = 5


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "checkpoint",
        type=paths.name_or_path,
        metavar="CHECKPOINT",
        help="a file, a folder, a zip of one, or hf-hub:OWNER/NAME",
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
    sub.add_argument(
        "--pooling", choices=POOLINGS, help="what the head reads: the class token, or the mean of the patches"
    )
    sub.add_argument("--weights-key", metavar="KEY", help="which of several models in the file (averaged weights)")
    sub.add_argument("--out", type=Path, default=Path("models"), metavar="DIR", help="folder to write to (models)")


def run(options: argparse.Namespace, limits: Settings) -> Outcome:
    labels = parse_labels(_read(options.labels)) if options.labels else None
    corrections = Corrections(
        heads=options.heads,
        size=options.size,
        resize=options.resize,
        crop_mode=options.crop_mode,
        normalization=options.normalization,
        pooling=options.pooling,
        labels=labels,
        part=options.weights_key,
    )
    found: list[Checkpoint] = []
    text = options.checkpoint
    source = HubName.parse(text) if text.startswith(hub.PREFIX) else Path(text)
    spec = bring.bring(source, options.out, limits, corrections, tell, tell=found.append)
    read = found[0]
    shape = spec.architecture
    document = {
        "file": spec.reference,
        "name": spec.name,
        "parameters": spec.parameters,
        "architecture": documents.plain(shape),
        "preprocessing": documents.plain(spec.preprocessing),
        "labels": spec.own_labels,
        "assumed": assumptions.sentences(spec),
        "weights_key": read.part,
        "other_weights_keys": read.others,
        "left_out": read.left_out,
    }
    few = ", ".join(spec.own_labels[:LABELS_SHOWN]) + (", …" if spec.classes > LABELS_SHOWN else "")
    lines = [f"{spec.reference}: {card.describe(spec)}", f"Labels: {few}", *_notes(spec, read)]
    return document, "\n".join(lines), 0


def _notes(spec: ModelSpec, read: Checkpoint) -> list[str]:
    """What a person should know of how the file was read."""
    lines = []
    if read.others:
        lines.append(
            f"Weights: {read.part or 'the outer ones'}. It also holds {', '.join(read.others)} (--weights-key)."
        )
    if read.left_out:
        more = ", …" if len(read.left_out) > MOST_NAMED else ""
        lines.append(f"Left out, as no part of the model: {', '.join(read.left_out[:MOST_NAMED])}{more}")
    for topic, sentence in zip(assumptions.assumed(spec).values(), assumptions.sentences(spec), strict=True):
        lines.append(f"Assumed, nothing says it: {sentence} [{topic.option}]")
    return lines


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} cannot be read.", "Check its path.") from error

"""The small DeiT that ships with the project: 32x32 input, patch 4, ten everyday classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy_core.types import Preprocessing

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "demo.safetensors"
SAMPLES = FOLDER / "samples"
SAVED_PROFILE = FOLDER / "profile.json"
SAVED_EVALUATION = FOLDER / "evaluation.json"
# Built files in the layout of a store, so that a visitor's device can run one without a build.
ARTIFACTS = FOLDER / "artifacts"
LABELS = tuple((FOLDER / "labels.txt").read_text().split())
# The whole photograph, squashed, as in ImageNet32x32 (arXiv 1707.08819): docs/decisions/0013-pictures.md.
PREPROCESSING = Preprocessing(
    resize=32,
    crop=32,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    interpolation="hamming",
    crop_mode="squash",
)

TIMM_NAME = "deit_tiny_distilled_patch16_224"
TIMM_OPTIONS: dict[str, Any] = {
    "img_size": 32,
    "patch_size": 4,
    "embed_dim": 192,
    "depth": 7,
    "num_heads": 3,
    "num_classes": len(LABELS),
}

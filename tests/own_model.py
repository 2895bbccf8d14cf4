"""A small fine-tuned DeiT of three classes. It answers every picture with the second class."""

from __future__ import annotations

from pathlib import Path

import timm
import torch

from deploy_core.models.families import FAMILIES
from deploy_core.models.own import bring
from deploy_core.models.own.corrections import Corrections
from deploy_core.models.spec import Architecture
from deploy_core.settings import Settings

LABELS = ("hamster", "parrot", "tortoise")
# Its training, as timm saves it in ``config.json``.
TRAINED = {"input_size": [3, 32, 32], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "crop_pct": 0.8}
SHAPE = Architecture("vit", width=64, depth=2, heads=1, hidden=256, patch=8, size=32, classes=len(LABELS))


def state(shape: Architecture = SHAPE) -> dict[str, torch.Tensor]:
    """Its weights, under timm's names."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        module = timm.create_model(
            FAMILIES[shape.family].timm_name,
            img_size=shape.size,
            patch_size=shape.patch,
            embed_dim=shape.width,
            depth=shape.depth,
            num_heads=shape.heads,
            mlp_ratio=shape.hidden / shape.width,
            num_classes=shape.classes,
            **shape.kind.timm_options,
        )
    made: dict[str, torch.Tensor] = dict(module.state_dict())
    made["head.bias"][1] += 3
    return made


def model_file(
    checkpoint: Path, name: str, folder: Path, settings: Settings, corrections: Corrections | None = None
) -> Path:
    """The path of the model file that is made of ``checkpoint`` in ``folder``."""
    spec = bring.bring(checkpoint, folder, settings, corrections, name=name)
    assert spec.file
    return spec.file

"""Normalization, precision, logits and accuracy."""

from __future__ import annotations

import torch
from torch import nn

from deploy_core.embedded import PREPROCESSING
from deploy_core.training.data import Split

CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")


def normalize(images: torch.Tensor) -> torch.Tensor:
    """uint8 (N, 3, 32, 32) to float32, normalized by channel with the mean and deviation of the model."""
    shape = (1, 3, 1, 1)
    mean = torch.tensor(PREPROCESSING.mean, device=images.device).view(shape)
    std = torch.tensor(PREPROCESSING.std, device=images.device).view(shape)
    return (images.float() / 255 - mean) / std


def precision(device: str) -> torch.dtype:
    """bfloat16 if the device has instructions for it; without them, it takes many times as long as float32."""
    if device == "cuda":
        has_instructions = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_instructions = any(torch.cpu.get_capabilities().get(name) for name in CPU_BFLOAT16)
    return torch.bfloat16 if has_instructions else torch.float32


def mixed(device: str) -> torch.autocast:
    """A context in which matrix products and convolutions are computed in ``precision``."""
    return torch.autocast(device, torch.bfloat16, enabled=precision(device) is torch.bfloat16)


@torch.no_grad()
def logits_of(model: nn.Module, split: Split) -> torch.Tensor:
    """The logits of every picture of a split, float32 (N, classes)."""
    model.eval()
    return torch.cat([model(normalize(images)) for images in split.images.split(500)])


def accuracy(model: nn.Module, split: Split) -> float:
    return float((logits_of(model, split).argmax(1) == split.labels).float().mean())

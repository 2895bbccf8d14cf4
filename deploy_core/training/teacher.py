"""The convolutional teacher of the embedded DeiT, which learns from it through the distillation token.

A small network after Keller Jordan's airbench94 ("94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
arXiv 2404.00498): a frozen whitening convolution, three pairs of 3x3 convolutions that begin as the identity,
batch norms without a scale, 2 M parameters. The biases of these norms need another learning rate (``norm_biases``).
"""

from __future__ import annotations

import torch
from torch import nn

WIDTHS = (64, 256, 256)
LOGIT_SCALE = 1 / 9
NORM_MOMENTUM = 0.4


class Teacher(nn.Module):
    """Maps pictures, normalized float32 (N, 3, 32, 32), to logits (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        layers: list[nn.Module] = []
        width = 24
        for next_width in WIDTHS:
            layers += [
                _convolution(width, next_width),
                nn.MaxPool2d(2),
                _norm(next_width),
                nn.GELU(),
                _convolution(next_width, next_width),
                _norm(next_width),
                nn.GELU(),
            ]
            width = next_width
        self.body = nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten())
        self.head = nn.Linear(width, classes, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.body(nn.functional.gelu(self.whiten(x)))
        logits: torch.Tensor = self.head(features)
        return logits * LOGIT_SCALE

    def norm_biases(self) -> list[nn.Parameter]:
        return [module.bias for module in self.body if isinstance(module, nn.BatchNorm2d)]

    @torch.no_grad()
    def whiten_with(self, images: torch.Tensor, eps: float = 5e-4) -> None:
        """Sets the first convolution to the eigenvectors of the 2x2 patches of ``images`` (normalized float32)."""
        patches = images.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / torch.sqrt(values + eps)).T.reshape(12, 3, 2, 2)
        self.whiten.weight.copy_(torch.cat([filters, -filters]))


def _convolution(width: int, next_width: int) -> nn.Conv2d:
    layer = nn.Conv2d(width, next_width, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[:width].detach())
    return layer


def _norm(width: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(width, momentum=NORM_MOMENTUM)
    layer.weight.requires_grad_(False)
    return layer

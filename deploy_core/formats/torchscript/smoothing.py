"""Moves the spread of activations into the weights, so that int8 loses less of them.

Source: Xiao et al., "SmoothQuant", 2022, arXiv 2211.10438, with its default strength of one half. The paper measures
how large each channel gets. Here that follows from the LayerNorm before the layer, so no picture is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# LayerNorm gives each token a deviation of 1, so few values lie beyond three.
DEVIATIONS = 3
LEAST = 1e-6


def smooth(module: torch.nn.Module) -> None:
    """Divides channels after each block's LayerNorms, and multiplies the weights of the Linear layers that read them.

    The answers stay the same, but for float32's rounding. Other layers stay as they are.
    """
    import torch

    with torch.no_grad():
        for block in getattr(module, "blocks", ()):
            _balance(block.norm1, block.attn.qkv)
            _balance(block.norm2, block.mlp.fc1)


def _balance(norm: torch.nn.Module, linear: torch.nn.Module) -> None:
    import torch

    if not isinstance(norm, torch.nn.LayerNorm) or not isinstance(linear, torch.nn.Linear):
        return
    spread = (DEVIATIONS * norm.weight.abs() + norm.bias.abs()).clamp_min(LEAST)
    scale = (spread / linear.weight.abs().amax(0).clamp_min(LEAST)).sqrt()
    scale /= scale.log().mean().exp()
    norm.weight.div_(scale)
    norm.bias.div_(scale)
    linear.weight.mul_(scale)

"""What teacher and student see of the photographs: crops, colours and mixtures, for a whole batch at a time.

All random numbers come from one generator on the CPU, so that a run sees the same on every device.
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import affine_grid, grid_sample, interpolate

STRETCH = 4 / 3
COLOUR = 0.3
CUTMIX_SHARE = 0.6


def boxes(count: int, least_area: float, generator: torch.Generator) -> torch.Tensor:
    """Random parts of squares, half of them mirrored, as affine maps, float32 (N, 2, 3), on the CPU.

    The areas are ``least_area`` to 1 of the square, the proportions 3:4 to 4:3. This is RandomResizedCrop of "Going
    Deeper with Convolutions" (arXiv 1409.4842).
    """
    area, stretch, x, y, side = torch.rand(5, count, generator=generator)
    area = least_area + (1 - least_area) * area
    stretch = torch.exp((2 * stretch - 1) * math.log(STRETCH) / 2)
    width, height = area.sqrt() * stretch, area.sqrt() / stretch
    longest = torch.maximum(width, height).clamp(min=1)
    width, height = width / longest, height / longest
    mirror = torch.where(side < 0.5, -1.0, 1.0)
    maps = torch.zeros(count, 2, 3)
    maps[:, 0, 0], maps[:, 0, 2] = width * mirror, (2 * x - 1) * (1 - width)
    maps[:, 1, 1], maps[:, 1, 2] = height, (2 * y - 1) * (1 - height)
    return maps


def cut(pixels: torch.Tensor, maps: torch.Tensor, size: int) -> torch.Tensor:
    """The parts ``maps`` of pictures, uint8 (N, 3, S, S), as float32 (N, 3, size, size), 0..1."""
    grid = affine_grid(maps.to(pixels.device), [len(pixels), 3, size, size], align_corners=False)
    return grid_sample(pixels.float(), grid, padding_mode="reflection", align_corners=False) / 255


def coloured(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each picture with other brightness, contrast and saturation, by up to 30 %. Float32 (N, 3, S, S), 0..1."""
    factors = 1 + COLOUR * (2 * torch.rand(3, len(pictures), 1, 1, 1, generator=generator) - 1)
    brightness, contrast, saturation = factors.to(pictures.device)
    pictures = pictures * brightness
    mean = pictures.mean((1, 2, 3), keepdim=True)
    pictures = mean + (pictures - mean) * contrast
    grey = pictures.mean(1, keepdim=True)
    pictures = grey + (pictures - grey) * saturation
    return pictures.clamp(0, 1)


def mixed(pictures: torch.Tensor, share: float, generator: torch.Generator) -> tuple[torch.Tensor, float]:
    """With the probability ``share``, mixes each picture with its partner: the first with the last, and so on.

    A mixture is CutMix (arXiv 1905.04899) or mixup (arXiv 1710.09412). Returns the pictures, and how much of each is
    its own, 0..1.
    """
    chance, own, top, left = torch.rand(4, generator=generator).tolist()
    if chance >= share:
        return pictures, 1.0
    partners = pictures.flip(0)
    if chance >= share * CUTMIX_SHARE:
        return own * pictures + (1 - own) * partners, own
    size = pictures.shape[-1]
    side = int(size * math.sqrt(1 - own))
    top, left = (int(place * (size - side + 1)) for place in (top, left))
    part = (..., slice(top, top + side), slice(left, left + side))
    pictures = pictures.clone()
    pictures[part] = partners[part]
    return pictures, 1 - (side / size) ** 2


def resized(pictures: torch.Tensor, size: int) -> torch.Tensor:
    """Float32 (N, 3, S, S) made smaller to (N, 3, size, size)."""
    if pictures.shape[-1] == size:
        return pictures
    return interpolate(pictures, size, mode="bilinear", antialias=True, align_corners=False)

"""Augmentation of training pictures, on the device that they are on."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import affine_grid, grid_sample, pad

SHIFT = 4
ZOOM_AREA = (0.3, 1.0)
ZOOM_STRETCH = 4 / 3
TRIVIAL_GROUP = 8


def shift_and_mirror(images: torch.Tensor) -> torch.Tensor:
    """Shifts each picture by up to 4 pixels (reflected border) and mirrors half of them. uint8 (N, 3, S, S)."""
    count, _, height, width = images.shape
    padded = pad(images.float(), (SHIFT,) * 4, mode="reflect").to(torch.uint8)
    rows = torch.randint(0, 2 * SHIFT + 1, (count, 1), device=images.device)
    rows = rows + torch.arange(height, device=images.device)
    columns = torch.randint(0, 2 * SHIFT + 1, (count, 1), device=images.device)
    columns = columns + torch.arange(width, device=images.device)
    mirrored = torch.rand(count, 1, device=images.device) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    picture = torch.arange(count, device=images.device).view(-1, 1, 1)
    return padded.permute(0, 2, 3, 1)[picture, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)


def zoom(images: torch.Tensor, share: float) -> torch.Tensor:
    """Enlarges a random part of each of the last pictures, 30 % to 100 % of its area. uint8 (N, 3, S, S).

    ``share`` is the share of the pictures that are enlarged. This is RandomResizedCrop of "Going Deeper with
    Convolutions" (arXiv 1409.4842), with another part for each picture.
    """
    count = int(len(images) * share)
    area = torch.empty(count, device=images.device).uniform_(*ZOOM_AREA)
    stretch = torch.empty(count, device=images.device).uniform_(-1, 1) * math.log(ZOOM_STRETCH) / 2
    sides = (area.sqrt().unsqueeze(1) * torch.stack([stretch.exp(), (-stretch).exp()], 1)).clamp(max=1)
    centers = (1 - sides) * torch.empty_like(sides).uniform_(-1, 1)
    part = torch.cat([torch.diag_embed(sides), centers.unsqueeze(2)], 2)
    rest, chosen = images.split([len(images) - count, count])
    grid = affine_grid(part, list(chosen.shape), align_corners=False)
    zoomed = grid_sample(chosen.float(), grid, padding_mode="reflection", align_corners=False)
    return torch.cat([rest, zoomed.round().to(torch.uint8)])


def trivial_augment(images: torch.Tensor, share: float) -> torch.Tensor:
    """TrivialAugment (arXiv 2103.10158) for the first ``share`` of the pictures, one operation for each 8. uint8."""
    from torchvision.transforms.v2 import InterpolationMode, TrivialAugmentWide

    change = TrivialAugmentWide(interpolation=InterpolationMode.BILINEAR)
    count = int(len(images) * share) // TRIVIAL_GROUP * TRIVIAL_GROUP
    return torch.cat([*(change(group) for group in images[:count].split(TRIVIAL_GROUP)), images[count:]])


def cutmix(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Pastes a random box of another picture into each picture (CutMix, arXiv 1905.04899).

    Returns the pictures, the labels of the pasted pictures, and the share of each picture that is unchanged.
    """
    size = images.shape[-1]
    side = int(size * math.sqrt(1 - torch.rand(()).item()))
    top, left = (int(torch.randint(0, size - side + 1, ())) for _ in range(2))
    order = torch.randperm(len(images), device=images.device)
    mixed = images.clone()
    mixed[:, :, top : top + side, left : left + side] = images[order, :, top : top + side, left : left + side]
    return mixed, labels[order], 1 - side * side / (size * size)

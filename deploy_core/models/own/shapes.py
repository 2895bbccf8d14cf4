"""The shapes of a checkpoint's tensors give the architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from deploy_core.errors import InvalidCheckpoint, InvalidRequest
from deploy_core.models import checkpoints, families
from deploy_core.models.families import FAMILIES
from deploy_core.models.spec import Architecture

if TYPE_CHECKING:
    import torch

# The tensors whose shapes are read, in any family.
PATCHES, POSITIONS, HEAD = "patch_embed.proj.weight", "pos_embed", "head.weight"
QKV, HIDDEN = "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight"
MATRICES = (QKV, HIDDEN, HEAD)
LARGEST = Architecture("", width=8192, depth=128, heads=128, hidden=65536, patch=64, size=2048, classes=200_000)
# Every token attends to every other token, so memory and time grow with the square of their number.
MOST_PATCHES = 2500


def architecture_of(state: Mapping[str, torch.Tensor], name: str) -> Architecture:
    """The architecture of the tensors in the checkpoint ``name``. Raises InvalidCheckpoint for any other model.

    No shape shows the number of heads: it follows from the family's ``head_width``.
    """
    family = families.of_tensors(state)
    row = FAMILIES[family]
    missing = [key for key in (*row.tensors, POSITIONS, PATCHES, *MATRICES) if key not in state]
    if missing:
        raise _not_a_deit(name, f"it has no {missing[0]}")
    patches, positions = state[PATCHES], state[POSITIONS]
    if patches.ndim != 4 or patches.shape[1] != 3 or patches.shape[2] != patches.shape[3]:
        raise _not_a_deit(name, f"its patches are {checkpoints.shape(patches)}")
    if positions.ndim != 3 or any(state[key].ndim != 2 for key in MATRICES):
        raise _not_a_deit(name, "its tensors have other shapes")
    width, patch = patches.shape[0], patches.shape[2]
    if positions.shape[::2] != (1, width):
        raise _not_a_deit(name, f"its positions are {checkpoints.shape(positions)}")
    side = _side(positions, row.prefix_positions)
    if not side:
        raise _not_a_deit(name, f"{positions.shape[1]} positions do not make a square of patches")
    return Architecture(
        family=family,
        width=width,
        depth=len({key.split(".")[1] for key in state if key.startswith("blocks.")}),
        heads=next(count for count in range(max(1, width // row.head_width), 0, -1) if width % count == 0),
        hidden=state[HIDDEN].shape[0],
        patch=patch,
        size=side * patch,
        classes=state[HEAD].shape[0],
    )


def fit_positions(state: Mapping[str, torch.Tensor], shape: Architecture | None) -> Mapping[str, torch.Tensor]:
    """The tensors with position embeddings for the input size of ``shape``, interpolated as timm does.

    Returns ``state`` itself if they fit already, or are not position embeddings of ``shape`` at any size.
    """
    positions = state.get(POSITIONS)
    if shape is None or positions is None or positions.ndim != 3 or positions.shape[1] == shape.positions:
        return state
    from timm.layers.pos_embed import resample_abs_pos_embed

    side, prefix = shape.size // shape.patch, FAMILIES[shape.family].prefix_positions
    if positions.shape[::2] != (1, shape.width) or not _side(positions, prefix):
        return state
    resampled = resample_abs_pos_embed(positions, [side, side], num_prefix_tokens=prefix)
    return {**state, POSITIONS: resampled.contiguous()}


def require_possible(shape: Architecture) -> None:
    """Raises InvalidRequest if no model of the family can have these numbers, or if they are too large."""
    if shape.family not in FAMILIES:
        raise InvalidRequest(f"There is no family '{shape.family}'.", f"Choose: {', '.join(FAMILIES)}.")
    for name in ("width", "depth", "heads", "hidden", "patch", "size", "classes"):
        if not 1 <= getattr(shape, name) <= getattr(LARGEST, name):
            raise InvalidRequest(
                f"Its {name} would be {getattr(shape, name)}.", f"It can be 1 to {getattr(LARGEST, name)}."
            )
    if shape.classes < 2:
        raise InvalidRequest("The model has only one class, so every picture gets the same answer.", "Give more.")
    if shape.width % shape.heads:
        raise InvalidRequest(
            f"A width of {shape.width} cannot be divided by {shape.heads} heads.", "Give a number that divides it."
        )
    if shape.size % shape.patch:
        raise InvalidRequest(
            f"{shape.size} pixels are not a whole number of patches.", f"Give a multiple of {shape.patch}."
        )
    if shape.patches > MOST_PATCHES:
        largest = math.isqrt(MOST_PATCHES) * shape.patch
        raise InvalidRequest(
            f"An input of {shape.size} pixels has {shape.patches} patches, and the limit is {MOST_PATCHES}.",
            f"Give an input of at most {largest} pixels.",
        )


def _side(positions: torch.Tensor, prefix: int) -> int:
    """The patches along a side of the input, by the number of positions; 0 if they do not make a square."""
    patches = max(0, positions.shape[1] - prefix)
    return math.isqrt(patches) if math.isqrt(patches) ** 2 == patches else 0


def _not_a_deit(name: str, why: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(
        f"{name} is not a DeiT: {why}.", f"Give the state dict of a {families.titles()} with its head."
    )

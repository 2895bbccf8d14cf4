"""The shapes of a checkpoint's tensors give the architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from deploy_core.errors import InvalidCheckpoint, InvalidRequest
from deploy_core.models import checkpoints, families, namings, refusals
from deploy_core.models.families import FAMILIES, TIMMS_EPS, Variant
from deploy_core.models.own.timm_facts import POOLINGS
from deploy_core.models.own.told import Told
from deploy_core.models.spec import Architecture

if TYPE_CHECKING:
    import torch

NOTHING = Told()
# The tensors whose shapes are read, in any family.
PATCHES, POSITIONS, HEAD = "patch_embed.proj.weight", "pos_embed", "head.weight"
QKV, HIDDEN = "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight"
MATRICES = (QKV, HIDDEN, HEAD)
LARGEST = Architecture("", width=8192, depth=128, heads=128, hidden=65536, patch=64, size=2048, classes=200_000)
MOST_REGISTERS = 64
LARGEST_EPS = 0.1
# Every token attends to every other token, so memory and time grow with the square of their number.
MOST_PATCHES = 2500


def architecture_of(
    state: Mapping[str, torch.Tensor], name: str, told: Told = NOTHING, eps: float = TIMMS_EPS
) -> Architecture:
    """The architecture of the tensors ``state`` (timm's names) in the checkpoint ``name``.

    Shapes do not show the number of heads, the norms' epsilon and sometimes the pooling: these are as ``told``, else 64
    wide heads, ``eps`` and the class token. Raises InvalidCheckpoint for any other model, and for one that contradicts
    what is ``told``.
    """
    unknown = [key for key in state if namings.NAMINGS[-1].renamed(key) != key]
    if unknown and refusals.kind_of(unknown):
        raise refusals.model(name, unknown)
    if HEAD not in state:
        heads = [key for key in state if "head" in key or "classifier" in key]
        raise _not_a_vit(
            name, f"its head is {heads[0]}, not one linear layer" if heads else "it has no head with classes"
        )
    missing = [key for key in (POSITIONS, PATCHES, *MATRICES) if key not in state]
    if missing:
        raise _not_a_vit(name, f"it has no {missing[0]}")
    patches, positions = state[PATCHES], state[POSITIONS]
    if patches.ndim != 4 or patches.shape[1] != 3 or patches.shape[2] != patches.shape[3]:
        raise _not_a_vit(name, f"its patches are {checkpoints.shape(patches)}, not those of color pictures")
    if positions.ndim != 3 or any(state[key].ndim != 2 for key in MATRICES):
        raise _not_a_vit(name, "its tensors have other shapes")
    width, patch = patches.shape[0], patches.shape[2]
    if positions.shape[::2] != (1, width) or state[QKV].shape != (3 * width, width) or state[HEAD].shape[1] != width:
        raise _not_a_vit(name, _odd_widths(state, width))
    variant = _variant(state, told, eps)
    named = variant.prefix_tokens + ("dist_token" in state)
    count = positions.shape[1]
    if not _side(count, named):
        variant = replace(variant, prefix_positions=False)
        if not _side(count, 0):
            raise _not_a_vit(
                name,
                f"it has {count} position embeddings, which are neither a square of patches nor one with its {named} "
                "other tokens. Its pictures were not square, or it has tokens that are unknown here",
            )
    family = families.of_tensors(state, variant, told.family or "")
    row = FAMILIES[family]
    side = _side(count, named if variant.prefix_positions else 0)
    shape = Architecture(
        family=family,
        width=width,
        depth=len({key.split(".")[1] for key in state if key.startswith("blocks.")}),
        heads=told.heads or next(n for n in range(max(1, width // row.head_width), 0, -1) if width % n == 0),
        hidden=state[HIDDEN].shape[0],
        patch=patch,
        size=side * patch,
        classes=state[HEAD].shape[0],
        variant=variant,
    )
    _require_told(shape, told, name)
    return shape


def with_pooling(state: Mapping[str, torch.Tensor], shape: Architecture, pooling: str) -> Architecture:
    """The architecture with another pooling, which may be of another family. Raises InvalidRequest without a token."""
    if pooling == "token" and not shape.kind.class_token:
        raise InvalidRequest("The model has no class token.", "Its head reads the mean of the patches.")
    variant = replace(shape.kind, pooling=pooling)
    return replace(shape, variant=variant, family=families.of_tensors(state, variant, shape.family))


def _variant(state: Mapping[str, torch.Tensor], told: Told, eps: float) -> Variant:
    has_class = "cls_token" in state
    fc_norm = "fc_norm.weight" in state
    registers = state.get("reg_token")
    return Variant(
        class_token=has_class,
        registers=registers.shape[1] if registers is not None and registers.ndim == 3 else 0,
        pooling=told.pooling or ("token" if has_class and not fc_norm else "avg"),
        fc_norm=fc_norm,
        layer_scale="blocks.0.ls1.gamma" in state,
        qkv_bias="blocks.0.attn.qkv.bias" in state,
        pre_norm="norm_pre.weight" in state,
        norm_eps=told.norm_eps or eps,
    )


def _odd_widths(state: Mapping[str, torch.Tensor], width: int) -> str:
    if state[HEAD].shape[1] == 2 * width:
        return "its head reads the class token and the mean of the patches together"
    if state[POSITIONS].shape[::2] != (1, width):
        return f"its positions are {checkpoints.shape(state[POSITIONS])}, and its patches are {width} wide"
    key = QKV if state[QKV].shape != (3 * width, width) else HEAD
    return f"{key} is {checkpoints.shape(state[key])}, and its patches are {width} wide"


def _require_told(shape: Architecture, told: Told, name: str) -> None:
    """Raises InvalidCheckpoint if the tensors are not those of the model that a file beside them describes."""
    actual = {key: getattr(shape.kind if hasattr(shape.kind, key) else shape, key) for key in told.numbers}
    wrong = next((key for key, value in told.numbers.items() if actual[key] != value), None)
    if wrong is None and told.labels and told.source.startswith("config") and len(told.labels) != shape.classes:
        raise InvalidCheckpoint(
            f"{told.source} names {len(told.labels)} classes, and {name} has {shape.classes}.",
            "Give the config.json that was saved with these weights, or the weights alone.",
        )
    if wrong is not None:
        raise InvalidCheckpoint(
            f"{told.source} says that its {wrong} is {told.numbers[wrong]}, not {actual[wrong]} as in {name}.",
            "Give the config.json that was saved with these weights, or the weights alone.",
        )
    if shape.kind.pooling == "token" and not shape.kind.class_token:
        raise InvalidCheckpoint(
            f"{told.source} says that the head reads the class token, and {name} has none.",
            "Give the config.json that was saved with these weights, or the weights alone.",
        )


def fit_positions(state: Mapping[str, torch.Tensor], shape: Architecture | None) -> Mapping[str, torch.Tensor]:
    """The tensors with position embeddings for the input size of ``shape``, interpolated as timm does.

    Returns ``state`` itself if they fit already, or are not position embeddings of ``shape`` at any size.
    """
    positions = state.get(POSITIONS)
    if shape is None or positions is None or positions.ndim != 3 or positions.shape[1] == shape.positions:
        return state
    from timm.layers.pos_embed import resample_abs_pos_embed

    side, prefix = shape.size // shape.patch, shape.prefix_positions
    if positions.shape[::2] != (1, shape.width) or not _side(positions.shape[1], prefix):
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
    if not (0 <= shape.variant.registers <= MOST_REGISTERS and 0 < shape.variant.norm_eps <= LARGEST_EPS):
        raise InvalidRequest(
            f"It would have {shape.variant.registers} registers and norms with an epsilon of {shape.variant.norm_eps}.",
            f"It can have {MOST_REGISTERS} registers, and an epsilon of up to {LARGEST_EPS}.",
        )
    is_pooled = shape.kind.pooling == "avg" or (shape.kind.pooling == "token" and shape.kind.class_token)
    if not is_pooled:
        raise InvalidRequest("Its head would read what the model does not have.", f"Choose: {', '.join(POOLINGS)}.")
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


def _side(count: int, prefix: int) -> int:
    """The patches along a side of the input, by the number of positions; 0 if they do not make a square."""
    patches = max(0, count - prefix)
    return math.isqrt(patches) if math.isqrt(patches) ** 2 == patches else 0


def _not_a_vit(name: str, why: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(f"{name} is no plain Vision Transformer that can be used: {why}.", refusals.TAKEN)

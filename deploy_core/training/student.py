"""The embedded DeiT before training: the architecture, and initial weights that look like trained ones."""

from __future__ import annotations

from typing import Any

import timm
import torch
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from torch import nn

from deploy_core.embedded import TIMM_NAME, TIMM_OPTIONS

QUERY_KEY = (0.7, 0.7)
VALUE_OUT = (0.4, -0.4)
POSITION_TEMPERATURE = 100.0


def new_student(drop_path: float, patch_drop: float) -> Any:
    """A distilled DeiT on the CPU, both heads in training.

    Its attention starts out like that of trained transformers (Trockman and Kolter, "Mimetic Initialization of
    Self-Attention Layers", arXiv 2305.09828): queries and keys of the same place agree, values and projection partly
    cancel, positions are sines. ``drop_path`` is the rate of stochastic depth, ``patch_drop`` the share of patches
    that are left out in training.
    """
    model: Any = timm.create_model(TIMM_NAME, **TIMM_OPTIONS, drop_path_rate=drop_path, patch_drop_rate=patch_drop)
    for block in model.blocks:
        _structure(block.attn, model.embed_dim)
    side = model.patch_embed.grid_size[0]
    positions = build_sincos2d_pos_embed([side, side], dim=model.embed_dim, temperature=POSITION_TEMPERATURE)
    with torch.no_grad():
        model.pos_embed[0, -side * side :].copy_(positions)
    model.set_distilled_training(True)
    return model


def kind_of(name: str, parameter: torch.Tensor) -> str:
    """How a parameter is trained: ``matrix`` (in a block), ``undecayed`` (bias, norm, token, position) or ``other``."""
    if parameter.ndim <= 1 or name in ("cls_token", "dist_token", "pos_embed"):
        return "undecayed"
    return "matrix" if name.startswith("blocks.") else "other"


@torch.no_grad()
def _structure(attention: nn.Module, width: int) -> None:
    module: Any = attention
    size = width // module.num_heads
    pairs = [_halves(width, *QUERY_KEY, size) for _ in range(module.num_heads)]
    value, out = _halves(width, *VALUE_OUT, width)
    queries = torch.cat([query for query, _ in pairs], 1)
    keys = torch.cat([key for _, key in pairs], 1)
    module.qkv.weight.copy_(torch.cat([queries.T, keys.T, value.T]))
    module.proj.weight.copy_(out)


def _halves(width: int, noise: float, identity: float, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two factors, (width, rank) each, of the best approximation of noise plus the identity, with these weights."""
    wanted = noise * torch.randn(width, width) / width**0.5 + identity * torch.eye(width)
    left, values, right = torch.linalg.svd(wanted)
    root = values[:rank].sqrt()
    return left[:, :rank] * root, right[:rank].T * root

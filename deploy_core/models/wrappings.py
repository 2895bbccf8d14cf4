"""Finds the dictionaries of tensors in what a training script saved.

A file may hold the weights alone, or under any key of nested dictionaries, beside the optimizer's state, averaged
weights, numbers and arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

MOST_NESTED = 6
MOST_VALUES = 200_000
# Wrappers that put their name into the middle of tensor names: torch.compile, FSDP, activation checkpointing.
WRAPPERS = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.")
# Averaged weights answer better than the last ones. timm takes them first, too.
AVERAGED = re.compile(r"(?:^|[._])(?:ema|averaged|swa)(?:[._]|$)")
# What training leaves beside a model's own tensors.
LEFTOVERS = re.compile(
    r"(?:^|\.)(?:criterion|loss|loss_fn|loss_func|\w*metrics?|\w*acc|\w*accuracy|confmat|optimizers?|\w*scheduler|"
    r"n_averaged|total_ops|total_params|num_batches_tracked|mask_token|teacher\w*)(?:\.|$)"
)


@dataclass(frozen=True)
class Dictionary:
    """One dictionary of tensors. ``path`` names the keys that lead to it; it is empty for the file itself.

    ``notes`` holds everything that is no tensor in it and in the dictionaries around it.
    """

    path: str
    tensors: Mapping[str, torch.Tensor]
    notes: Mapping[str, Any]


def dictionaries(document: Any) -> list[Dictionary]:
    """All dictionaries of tensors in ``document``, the outer ones first. numpy arrays of numbers count as tensors."""
    found: list[Dictionary] = []
    _search(document, (), {}, found, [MOST_VALUES])
    return found


def unwrapped(name: str) -> str:
    """A tensor's name without what wrappers put into it."""
    return WRAPPERS.sub("", name)


def _search(
    value: Any, path: tuple[str, ...], around: Mapping[str, Any], found: list[Dictionary], left: list[int]
) -> None:
    if not isinstance(value, Mapping) or len(path) > MOST_NESTED:
        return
    left[0] -= len(value)
    if left[0] < 0:
        return
    tensors: dict[str, torch.Tensor] = {}
    inner: list[tuple[str, Any]] = []
    notes = dict(around)
    for key, item in value.items():
        tensor = _tensor(item)
        if tensor is not None:
            tensors[unwrapped(str(key))] = tensor
        elif isinstance(item, Mapping) and item:
            inner.append((str(key), item))
            if not _holds_tensors(item):
                notes[str(key)] = item
        else:
            notes[str(key)] = item
    if tensors:
        found.append(Dictionary(".".join(path), tensors, notes))
    for key, item in inner:
        _search(item, (*path, key), notes, found, left)


def _holds_tensors(value: Mapping[Any, Any]) -> bool:
    return any(_tensor(item) is not None or isinstance(item, Mapping) for item in value.values())


def _tensor(value: Any) -> torch.Tensor | None:
    import numpy
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, numpy.ndarray) and value.dtype.kind == "f" and value.size and value.dtype.itemsize <= 8:
        return torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=True))
    return None

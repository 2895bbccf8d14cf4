"""The families of models, one row each. Everything that is particular to a family is in its row.

A new family is one row in ``FAMILIES`` (tests/core/models/test_toy_family.py adds one).
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelFamily:
    """A family of vision transformers that timm can build.

    ``timm_name`` is one member; timm builds every other member from it, with ``timm_options`` and the options of an
    architecture. ``timm_names`` is a pattern of the architectures that are accepted from the Hub.
    A checkpoint belongs to the family if it has all of ``tensors``. ``renamed`` maps parts of the tensor names that
    the authors use to timm's.
    ``prefix_tokens`` come before the patches (class and distillation token); ``prefix_has_positions`` says whether they
    have position embeddings.
    ``head_width`` is the width of an attention head, which no tensor's shape shows.
    ``mean`` and ``std`` normalize the input unless a checkpoint says otherwise. ``center_share`` is the share of a
    resized picture's side that the center crop keeps at the usual input sizes (128 to 256 pixels).
    ``shows_attention`` says whether attention rollout works for the family.
    """

    title: str
    timm_name: str
    timm_names: str
    tensors: tuple[str, ...]
    prefix_tokens: int
    prefix_has_positions: bool = True
    head_width: int = 64
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    center_share: float = 7 / 8
    shows_attention: bool = True
    renamed: Mapping[str, str] = field(default_factory=dict)
    timm_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prefix_positions(self) -> int:
        """The number of position embeddings before those of the patches."""
        return self.prefix_tokens if self.prefix_has_positions else 0

    @property
    def averages_patches(self) -> bool:
        """Whether the head reads the mean of the patches instead of the prefix tokens."""
        return self.timm_options.get("global_pool") == "avg"


FAMILIES: Mapping[str, ModelFamily] = {
    "deit": ModelFamily(
        title="DeiT",
        timm_name="deit_tiny_patch16_224",
        timm_names=r"deit_(tiny|small|base)_patch16_(224|384)",
        tensors=("cls_token",),
        prefix_tokens=1,
    ),
    "distilled": ModelFamily(
        title="DeiT distilled",
        timm_name="deit_tiny_distilled_patch16_224",
        timm_names=r"deit_(tiny|small|base)_distilled_patch16_(224|384)",
        tensors=("cls_token", "dist_token"),
        prefix_tokens=2,
    ),
    "deit3": ModelFamily(
        title="DeiT III",
        timm_name="deit3_small_patch16_224",
        timm_names=r"deit3_(small|medium|base)_patch16_(224|384)",
        tensors=("cls_token", "blocks.0.ls1.gamma"),
        prefix_tokens=1,
        prefix_has_positions=False,
        renamed={"gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma"},
    ),
}


def of_tensors(names: Container[str]) -> str:
    """The key of the family whose ``tensors`` are all among ``names``: the one with the most, else the first row."""
    fitting = [key for key, row in FAMILIES.items() if all(tensor in names for tensor in row.tensors)]
    return max(fitting or [*FAMILIES][:1], key=lambda key: len(FAMILIES[key].tensors))


def accepts(timm_name: str) -> bool:
    """Whether a model of timm's architecture ``timm_name`` belongs to one of the families."""
    return any(re.fullmatch(row.timm_names, timm_name) for row in FAMILIES.values())


def timm_key(key: str) -> str:
    """The name that timm gives a tensor which the authors of a family call ``key``."""
    for row in FAMILIES.values():
        for authors, timms in row.renamed.items():
            key = key.replace(authors, timms)
    return key


def titles(form: str = "{}") -> str:
    """The families as people read them, each in ``form``: ``DeiT, DeiT distilled or DeiT III``."""
    *others, last = (form.format(row.title) for row in FAMILIES.values())
    return f"{', '.join(others)} or {last}"

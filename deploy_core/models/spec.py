"""What a model is, before its weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy_core.models import hub
from deploy_core.types import Preprocessing

BYTES_PER_WEIGHT = 4
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Architecture:
    """The shape of a DeiT: ``family`` is a key of ``FAMILIES``, ``hidden`` its MLPs' width, sizes are in pixels."""

    family: str
    width: int
    depth: int
    heads: int
    hidden: int
    patch: int
    size: int
    classes: int

    @property
    def tokens(self) -> int:
        """Patches, and the tokens before them that have a position."""
        return (self.size // self.patch) ** 2 + FAMILIES[self.family].prefix_tokens


@dataclass(frozen=True)
class Family:
    """``timm_name`` is one of its members, from which timm makes the others; ``prefix_tokens`` have a position."""

    title: str
    timm_name: str
    prefix_tokens: int


# DeiT III adds its class token after the positions.
FAMILIES: Mapping[str, Family] = {
    "deit": Family("DeiT", "deit_tiny_patch16_224", 1),
    "distilled": Family("DeiT distilled", "deit_tiny_distilled_patch16_224", 2),
    "deit3": Family("DeiT III", "deit3_small_patch16_224", 0),
}


@dataclass(frozen=True)
class ModelSpec:
    """A model of the catalogue, or one of a person's own.

    The embedded one has no ``hub_id``. One's own has a ``file``, which holds its weights and all that is said here
    (``own.py``); its name for people is ``title``, that of its files ``name``.
    """

    name: str
    title: str
    parameters: int
    classes: int
    knows: str
    preprocessing: Preprocessing
    timm_name: str
    hub_id: str | None = None
    timm_options: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    own_labels: tuple[str, ...] = ()
    architecture: Architecture | None = None

    @property
    def input_size(self) -> int:
        return self.preprocessing.crop

    @property
    def is_embedded(self) -> bool:
        return self.hub_id is None and self.file is None

    @property
    def reference(self) -> str:
        """What ``models.find`` knows it by."""
        return str(self.file) if self.file else self.name

    @property
    def owner(self) -> str:
        """The folder of a visitor's own model, whose name nobody can guess; empty for the catalogue's."""
        return self.file.parent.name if self.file else ""

    @property
    def source(self) -> str:
        if self.file:
            return "your own"
        return f"hub:{self.hub_id}" if self.hub_id else "embedded"

    @property
    def download_bytes(self) -> int:
        return self.parameters * BYTES_PER_WEIGHT if self.hub_id else 0

    def is_here(self) -> bool:
        """Whether the pretrained weights can be loaded without a network."""
        return self.hub_id is None or hub.is_cached(self.hub_id)

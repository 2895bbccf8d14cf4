"""What is known about a model before its weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy_core.models import hub
from deploy_core.models.families import FAMILIES, Variant
from deploy_core.types import Preprocessing

BYTES_PER_WEIGHT = 4


@dataclass(frozen=True)
class Architecture:
    """The shape of a model. ``family`` is a key of ``FAMILIES``, ``hidden`` the width of its MLPs, sizes are in pixels.

    ``patch`` and ``size`` are the sides of a patch and of the input. ``variant`` says how it differs from others.
    """

    family: str
    width: int
    depth: int
    heads: int
    hidden: int
    patch: int
    size: int
    classes: int
    variant: Variant = field(default_factory=Variant)

    @property
    def patches(self) -> int:
        """The number of patches of the input."""
        return (self.size // self.patch) ** 2

    @property
    def kind(self) -> Variant:
        """The variant that the model is: the family's, where a family has one."""
        return FAMILIES[self.family].of(self.variant)

    @property
    def prefix_tokens(self) -> int:
        """The tokens before the patches."""
        named = FAMILIES[self.family].prefix_tokens if self.kind.class_token else 0
        return named + self.kind.registers

    @property
    def prefix_positions(self) -> int:
        """The position embeddings before those of the patches."""
        return self.prefix_tokens if self.kind.prefix_positions else 0

    @property
    def tokens(self) -> int:
        """The patches and the tokens before them: the side of an attention matrix."""
        return self.patches + self.prefix_tokens

    @property
    def positions(self) -> int:
        """The number of position embeddings."""
        return self.patches + self.prefix_positions


@dataclass(frozen=True)
class ModelSpec:
    """A model of the catalogue, or a person's own model.

    ``name`` names the model's files, ``title`` is shown to people. ``family`` is a key of ``FAMILIES``. The embedded
    model has no ``hub_id``. ``note`` is what people should know before they use the model. A person's own model has a
    ``file``, which holds its weights and everything in this class (``own/card.py``). ``assumed`` names what nothing
    in its checkpoint told (keys of ``own.assumptions.TOPICS``).
    """

    name: str
    title: str
    parameters: int
    classes: int
    knows: str
    preprocessing: Preprocessing
    family: str
    timm_name: str
    hub_id: str | None = None
    timm_options: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    own_labels: tuple[str, ...] = ()
    note: str = ""
    assumed: tuple[str, ...] = ()
    architecture: Architecture | None = None

    @property
    def input_size(self) -> int:
        return self.preprocessing.crop

    @property
    def is_embedded(self) -> bool:
        return self.hub_id is None and self.file is None

    @property
    def reference(self) -> str:
        """The name by which ``load.find`` finds the model."""
        return str(self.file) if self.file else self.name

    @property
    def owner(self) -> str:
        """The folder of a visitor's own model, whose name nobody can guess; empty for a model of the catalogue."""
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

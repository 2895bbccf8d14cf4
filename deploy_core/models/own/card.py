"""Model files, and the card in their header.

A model file is a safetensors file of float32 weights. Its header holds the card: everything in a ``ModelSpec``, as
JSON. The path of a model file is accepted wherever a model's name is. The ``original`` that a build writes is a model
file, too; if its model is of the catalogue, the header holds that model's name instead of a card.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core import documents
from deploy_core.errors import InvalidArtifact, InvalidCheckpoint, InvalidRequest
from deploy_core.files import atomic_write, is_file, make_folder, require_space
from deploy_core.models import catalogue, checkpoints
from deploy_core.models.families import FAMILIES
from deploy_core.models.own import preprocessing, shapes
from deploy_core.models.own.labels import clean_labels
from deploy_core.models.spec import BYTES_PER_WEIGHT, Architecture, ModelSpec
from deploy_core.types import Preprocessing

if TYPE_CHECKING:
    import torch

# The key in a safetensors header.
MODEL_KEY = "deit_deploy_model"
SUFFIX = ".safetensors"
# Room in the header for a name and a shape of each tensor.
TENSORS_BYTES = 500_000


@dataclass(frozen=True)
class Card:
    """What a model file says about its model. The field names are those on disk."""

    name: str
    title: str
    parameters: int
    architecture: Architecture
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    assumed: tuple[str, ...] = ()


def is_model_file(name: str) -> bool:
    """Whether a model's name is the path of a model file."""
    return name.endswith(SUFFIX)


def read(path: Path) -> ModelSpec:
    """The model in the model file at ``path``. Raises InvalidCheckpoint if it is not a model file with a card."""
    if not is_file(path):
        raise InvalidCheckpoint(f"There is no model file {path.name}.", "Bring it again, or choose another model.")
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns)


def write(path: Path, card: Card, state: Mapping[str, torch.Tensor]) -> None:
    """Writes a model file whole or not at all. Raises InvalidRequest for labels that are too long, or StorageFailed."""
    from safetensors.torch import save_file

    require_space(make_folder(path.parent), card.parameters * BYTES_PER_WEIGHT)
    text = _text(card)
    if len(text) + TENSORS_BYTES > checkpoints.LARGEST_HEADER:
        raise InvalidRequest("The labels are too long.", "Give shorter ones.")
    with atomic_write(path) as temporary:
        save_file(dict(state), temporary, metadata={MODEL_KEY: text})


def header(spec: ModelSpec) -> str:
    """The text in the header of a model file: a card, or the name of a model of the catalogue."""
    if spec.architecture is None:
        return spec.name
    return _text(
        Card(
            spec.name, spec.title, spec.parameters, spec.architecture, spec.preprocessing, spec.own_labels, spec.assumed
        )
    )


def from_header(text: str, path: Path) -> ModelSpec:
    """The model whose ``header`` is ``text``; ``path`` is its file. Raises InvalidCheckpoint."""
    return catalogue.MODELS.get(text) or _from_card(text, path)


def spec_of(card: Card, path: Path | None) -> ModelSpec:
    """The model that a card describes; ``path`` is its file, if there is one."""
    shape = card.architecture
    row = FAMILIES[shape.family]
    return ModelSpec(
        name=card.name,
        title=card.title,
        parameters=card.parameters,
        classes=shape.classes,
        knows=f"{shape.classes} classes of its own",
        preprocessing=card.preprocessing,
        family=shape.family,
        timm_name=row.timm_name,
        timm_options={
            "img_size": shape.size,
            "patch_size": shape.patch,
            "embed_dim": shape.width,
            "depth": shape.depth,
            "num_heads": shape.heads,
            "mlp_ratio": shape.hidden / shape.width,
            "num_classes": shape.classes,
            **shape.kind.timm_options,
        },
        file=path,
        own_labels=card.labels,
        assumed=card.assumed,
        architecture=shape,
    )


def without_file(architecture: Architecture, name: str, labels: tuple[str, ...]) -> ModelSpec:
    """An own model whose file is not here. Raises InvalidRequest for an architecture that no model can have."""
    shapes.require_possible(architecture)
    return spec_of(
        Card(slug(name), title(name), 0, architecture, preprocessing.default_for(architecture), labels), None
    )


def describe(spec: ModelSpec) -> str:
    """What was read from a checkpoint, in one line."""
    shape = spec.architecture
    if shape is None:
        return spec.title
    squashed = ", pictures squashed to that," if spec.preprocessing.is_squashed else ""
    return (
        f"{what_it_is(shape)}, {shape.width} wide, {shape.depth} deep, {shape.heads} heads; "
        f"{shape.size} x {shape.size} pixels{squashed} in patches of {shape.patch}; {shape.classes} classes; "
        f"{spec.parameters / 1e6:.1f} M parameters"
    )


SIZES = {(192, 12): "Tiny", (384, 12): "Small", (768, 12): "Base", (1024, 24): "Large"}


def what_it_is(shape: Architecture) -> str:
    """The kind of model in a few words: ``ViT-Tiny``, ``ViT with 4 registers that averages its patches``."""
    kind, named = shape.kind, FAMILIES[shape.family].title
    if shape.family in ("vit", "deit") and (shape.width, shape.depth) in SIZES:
        named += f"-{SIZES[shape.width, shape.depth]}"
    if shape.family != "vit":
        return named
    parts = [f"{kind.registers} register{'s' * (kind.registers > 1)}"] if kind.registers else []
    parts += ["LayerScale"] if kind.layer_scale else []
    parts += ["a norm before its blocks"] if kind.pre_norm else []
    parts += ["no class token"] if not kind.class_token else []
    mean = "averages its patches" if kind.pooling == "avg" else ""
    return named + (f" with {' and '.join(parts)}" if parts else "") + (f" that {mean}" if mean else "")


def path_in(folder: Path, name: str) -> Path:
    """The path in ``folder`` of the model file for what a person calls ``name``."""
    return folder / f"{slug(name)}{SUFFIX}"


def slug(name: str) -> str:
    """The name of a model's files. It begins with a letter, as the names of an app's files must."""
    words = re.sub(r"[^a-z0-9]+", "_", Path(name).stem.lower()).strip("_")[:40]
    return words if words[:1].isalpha() else f"model_{words}"[:40].strip("_")


def title(name: str) -> str:
    """The name of a model for people."""
    return clean_labels([Path(name).stem])[0][:60] or "Model"


@functools.lru_cache(maxsize=256)
def _read(path: Path, size: int, changed_ns: int) -> ModelSpec:  # noqa: ARG001
    """Cached, because pages ask on every rerun. A changed file has another size or time."""
    from safetensors import SafetensorError, safe_open

    checkpoints.require_header(path, path.name)
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(MODEL_KEY)
    except (SafetensorError, OSError, ValueError) as error:
        raise _no_card(path) from error
    if text is None:
        raise _no_card(path)
    return _from_card(text, path)


def _from_card(text: str, path: Path) -> ModelSpec:
    """Believes nothing in ``text`` that this project cannot have written."""
    try:
        card = documents.structured(json.loads(text), Card)
    except (ValueError, RecursionError, InvalidArtifact) as error:
        raise _no_card(path) from error
    try:
        shapes.require_possible(card.architecture)
    except InvalidRequest as error:
        raise _no_card(path) from error
    is_sound = preprocessing.is_possible(card.preprocessing, card.architecture)
    if len(card.labels) != card.architecture.classes or not is_sound:
        raise _no_card(path)
    return spec_of(replace(card, name=slug(card.name), labels=clean_labels(card.labels)), path)


def _text(card: Card) -> str:
    return json.dumps(documents.plain(card))


def _no_card(path: Path) -> InvalidCheckpoint:
    return InvalidCheckpoint(
        f"{path.name} does not say which model it holds.",
        "Make a model file of it first: python -m deploy_core import.",
    )

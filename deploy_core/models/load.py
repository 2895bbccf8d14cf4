"""Finds a model by its name, and loads it with its weights: embedded, from the Hub, from a checkpoint, or random."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core import embedded
from deploy_core.errors import InvalidRequest
from deploy_core.files import sha256
from deploy_core.models import checkpoints, hub
from deploy_core.models.catalogue import MODELS, labels
from deploy_core.models.own import card, shapes
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings, expanded
from deploy_core.types import Progress, silent

if TYPE_CHECKING:
    import torch

RANDOM_SEED = 0


@dataclass(frozen=True)
class LoadedModel:
    """A model with its weights. ``module`` maps float32 (N, 3, S, S) to logits, float32 (N, classes)."""

    spec: ModelSpec
    weights: str
    module: torch.nn.Module
    labels: tuple[str, ...]


def find(name: str) -> ModelSpec:
    """The model of the catalogue called ``name``, or a person's own model if ``name`` is the path of its file.

    Raises InvalidRequest if there is no such model, InvalidCheckpoint if the file is not a model file.
    """
    if name in MODELS:
        return MODELS[name]
    if card.is_model_file(name):
        return card.read(expanded(name))
    raise InvalidRequest(
        f"There is no model '{name}'.",
        f"Choose one of: {', '.join(MODELS)}. 'python -m deploy_core import' turns your own checkpoint into one.",
    )


def load(name: str, weights: str, settings: Settings, progress: Progress = silent) -> LoadedModel:
    """A model ready for inference. ``weights`` is ``pretrained``, ``random`` or the path of a checkpoint.

    Raises InvalidRequest, WeightsUnavailable or InvalidCheckpoint.
    """
    import torch

    spec = find(name)
    if weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(RANDOM_SEED)
            module = create(spec)
    else:
        path = _weights_path(spec, weights, settings, progress)
        module = module_of(spec, checkpoints.read(path).state, path.name)
    return LoadedModel(spec, weights, module, labels(spec))


def module_of(
    spec: ModelSpec,
    state: Mapping[str, torch.Tensor],
    file: str,
    title: str = "",
    remedy: str = checkpoints.TRAINED_AS,
) -> torch.nn.Module:
    """The model ``spec`` with the tensors ``state`` of ``file``, in evaluation mode, without gradients.

    ``title`` is what errors call the model, ``spec.name`` by default; ``remedy`` is what they say to do.
    Raises InvalidCheckpoint for other tensors.
    """
    module = create(spec, device="meta")
    checkpoints.fill(module, shapes.fit_positions(state, spec.architecture), title or spec.name, file, remedy)
    return module


def weights_identity(spec: ModelSpec, weights: str) -> str:
    """A text that is equal for equal weights: the seed of random weights, the hash of a file.

    Raises InvalidCheckpoint if the file is gone.
    """
    if weights == "random":
        return f"random {RANDOM_SEED}"
    if weights == "pretrained":
        return hub.content(spec.hub_id) if spec.hub_id else _content(spec.file or embedded.WEIGHTS)
    return _content(expanded(weights))


def create(spec: ModelSpec, device: str = "cpu") -> torch.nn.Module:
    """The architecture in evaluation mode, without gradients, with random weights.

    On the ``meta`` device it has no weights and takes no time or memory; ``module_of`` fills it.
    """
    import timm
    import torch

    with torch.device(device):
        module: torch.nn.Module = timm.create_model(spec.timm_name, pretrained=False, **spec.timm_options)
    if spec.architecture is not None:
        # timm takes the epsilon of norms as code only.
        for part in module.modules():
            if isinstance(part, torch.nn.LayerNorm):
                part.eps = spec.architecture.variant.norm_eps
    return module.eval().requires_grad_(False)


def _content(path: Path) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise checkpoints.missing(path) from error
    return _hash(path, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _hash(path: Path, inode: int, size: int, changed: int) -> str:  # noqa: ARG001
    """Cached, because pages ask on every rerun. A changed file has another inode, size or time."""
    return sha256(path)


def _weights_path(spec: ModelSpec, weights: str, settings: Settings, progress: Progress) -> Path:
    if weights != "pretrained":
        return expanded(weights)
    if spec.hub_id is None:
        return spec.file or embedded.WEIGHTS
    return hub.download(spec.hub_id, progress, settings)

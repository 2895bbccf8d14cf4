"""A model by its name, and with its weights: embedded, from the Hub, from a checkpoint, or random."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core import embedded
from deploy_core.errors import InvalidRequest
from deploy_core.files import sha256
from deploy_core.models import checkpoints, hub
from deploy_core.models.catalogue import MODELS, labels
from deploy_core.models.own import bring
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings, expanded
from deploy_core.types import Progress, silent

if TYPE_CHECKING:
    import torch

RANDOM_SEED = 0


@dataclass(frozen=True)
class LoadedModel:
    """A catalogue entry with its weights. ``module`` maps float32 (N, 3, S, S) to logits float32 (N, classes)."""

    spec: ModelSpec
    weights: str
    module: torch.nn.Module
    labels: tuple[str, ...]


def find(name: str) -> ModelSpec:
    """The catalogue's entry, or one's own model by the path of its file.

    Raises InvalidRequest for a name that the catalogue does not hold, InvalidCheckpoint for a file that ``own`` did not
    write.
    """
    if name in MODELS:
        return MODELS[name]
    if bring.is_reference(name):
        return bring.read(expanded(name))
    raise InvalidRequest(
        f"There is no model '{name}'.",
        f"Choose one of: {', '.join(MODELS)}. 'python -m deploy_core import' makes one of a checkpoint of your own.",
    )


def load(name: str, weights: str, settings: Settings, progress: Progress = silent) -> LoadedModel:
    """A model ready for inference; ``weights`` is ``pretrained``, ``random`` or a checkpoint's path.

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
        # Read before the model is made: a bad file is told at once, and costs no initialization.
        state = bring.fitted(checkpoints.read(path).state, spec.architecture)
        module = create(spec, device="meta")
        checkpoints.fill(module, state, spec.name, path.name)
    return LoadedModel(spec, weights, module, labels(spec))


def weights_identity(spec: ModelSpec, weights: str) -> str:
    """What the weights are, by content: the seed of random ones, the hash of a file.

    Raises InvalidCheckpoint where the file is gone.
    """
    if weights == "random":
        return f"random {RANDOM_SEED}"
    if weights == "pretrained":
        return hub.content(spec.hub_id) if spec.hub_id else _content(spec.file or embedded.WEIGHTS)
    return _content(expanded(weights))


def create(spec: ModelSpec, device: str = "cpu") -> torch.nn.Module:
    """The architecture in evaluation mode, without gradients, its weights freshly initialized.

    On the ``meta`` device it has no weights yet, and takes neither time nor memory: ``fill`` brings them.
    """
    import timm
    import torch

    with torch.device(device):
        module: torch.nn.Module = timm.create_model(spec.timm_name, pretrained=False, **spec.timm_options)
    return module.eval().requires_grad_(False)


def _content(path: Path) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise checkpoints.missing(path) from error
    return _hash(path, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _hash(path: Path, inode: int, size: int, changed: int) -> str:  # noqa: ARG001
    """The hash of a file as it is now; pages ask for it on every rerun."""
    return sha256(path)


def _weights_path(spec: ModelSpec, weights: str, settings: Settings, progress: Progress) -> Path:
    if weights != "pretrained":
        return expanded(weights)
    if spec.hub_id is None:
        return spec.file or embedded.WEIGHTS
    return hub.download(spec.hub_id, progress, settings)

"""The catalogue of models, and a model with its weights: embedded, from the Hub, from a checkpoint, or random."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core import checkpoints, embedded, hub, own
from deploy_core.errors import InvalidRequest
from deploy_core.files import sha256
from deploy_core.settings import Settings, expanded
from deploy_core.spec import IMAGENET_MEAN, IMAGENET_STD, ModelSpec
from deploy_core.types import Preprocessing, Progress, silent

if TYPE_CHECKING:
    import torch

RANDOM_SEED = 0


def _imagenet(name: str, title: str, parameters: int, resize: int, crop: int = 224) -> ModelSpec:
    return ModelSpec(
        name=name,
        title=title,
        parameters=parameters,
        classes=1000,
        knows="ImageNet's 1000 classes",
        preprocessing=Preprocessing(resize, crop, IMAGENET_MEAN, IMAGENET_STD),
        timm_name=name,
        hub_id=f"timm/{name}.fb_in1k",
    )


# The short side is resized to 256 for DeiT at 224 (the tutorial and the DeiT authors);
# the other models follow timm's own configuration, which tests/core/test_models.py compares.
MODELS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="demo",
            title="Demo DeiT (embedded)",
            parameters=3_140_756,
            classes=len(embedded.LABELS),
            knows="10 everyday classes",
            preprocessing=embedded.PREPROCESSING,
            timm_name=embedded.TIMM_NAME,
            timm_options=embedded.TIMM_OPTIONS,
        ),
        _imagenet("deit_tiny_patch16_224", "DeiT-Tiny", 5_717_416, 256),
        _imagenet("deit_small_patch16_224", "DeiT-Small", 22_050_664, 256),
        _imagenet("deit_base_patch16_224", "DeiT-Base (the tutorial's)", 86_567_656, 256),
        _imagenet("deit_tiny_distilled_patch16_224", "DeiT-Tiny distilled", 5_910_800, 256),
        _imagenet("deit_small_distilled_patch16_224", "DeiT-Small distilled", 22_436_432, 256),
        _imagenet("deit_base_distilled_patch16_224", "DeiT-Base distilled", 87_338_192, 256),
        _imagenet("deit_base_patch16_384", "DeiT-Base at 384", 86_859_496, 384, crop=384),
        _imagenet("deit3_small_patch16_224", "DeiT III Small", 22_059_496, 248),
        _imagenet("deit3_medium_patch16_224", "DeiT III Medium", 38_849_512, 248),
        _imagenet("deit3_base_patch16_224", "DeiT III Base", 86_585_320, 248),
    )
}
TUTORIAL_MODEL = "deit_base_patch16_224"


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
    if own.is_reference(name):
        return own.read(expanded(name))
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
        state = own.fitted(checkpoints.read(path).state, spec.architecture)
        module = create(spec, device="meta")
        checkpoints.fill(module, state, spec.name, path.name)
    return LoadedModel(spec, weights, module, labels(spec))


def labels(spec: ModelSpec) -> tuple[str, ...]:
    """The class names by index."""
    if spec.file:
        return spec.own_labels
    if spec.is_embedded:
        return embedded.LABELS
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    return tuple(info.index_to_description(index) for index in range(spec.classes))


def label_ids(spec: ModelSpec) -> tuple[str, ...]:
    """The classes' WordNet ids by index, after which ImageNet's folders are named; none for other classes."""
    if spec.hub_id is None:
        return ()
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    return tuple(info.index_to_label_name(index) for index in range(spec.classes))


def labels_identity(spec: ModelSpec) -> str:
    """What decides the labels, without loading them."""
    return ",".join(labels(spec)) if spec.hub_id is None else "ImageNet-1k, as timm names it"


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

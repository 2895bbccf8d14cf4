"""The catalogue of models, and a model with its weights: embedded, from the Hub, from a checkpoint, or random."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core import embedded, hub
from deploy_core.errors import InvalidCheckpoint, InvalidRequest
from deploy_core.files import is_file, sha256
from deploy_core.settings import Settings, expanded
from deploy_core.types import Preprocessing, Progress, silent

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RANDOM_SEED = 0
BYTES_PER_WEIGHT = 4


@dataclass(frozen=True)
class ModelSpec:
    """A row of the catalogue. ``hub_id`` is None for the embedded model."""

    name: str
    title: str
    parameters: int
    classes: int
    knows: str
    preprocessing: Preprocessing
    timm_name: str
    hub_id: str | None = None
    timm_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def input_size(self) -> int:
        return self.preprocessing.crop

    @property
    def source(self) -> str:
        return f"hub:{self.hub_id}" if self.hub_id else "embedded"

    @property
    def download_bytes(self) -> int:
        return self.parameters * BYTES_PER_WEIGHT if self.hub_id else 0

    def is_here(self) -> bool:
        """Whether the pretrained weights can be loaded without a network."""
        return self.hub_id is None or hub.is_cached(self.hub_id)


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
    """The catalogue's entry. Raises InvalidRequest for a name that it does not hold."""
    if name not in MODELS:
        raise InvalidRequest(f"There is no model '{name}'.", f"Choose one of: {', '.join(MODELS)}.")
    return MODELS[name]


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
        state = read_checkpoint(path)
        module = create(spec, device="meta")
        fill(module, state, spec.name, path)
    return LoadedModel(spec, weights, module, labels(spec))


def labels(spec: ModelSpec) -> tuple[str, ...]:
    """The class names by index."""
    if spec.hub_id is None:
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
    return ",".join(embedded.LABELS) if spec.hub_id is None else "ImageNet-1k, as timm names it"


def weights_identity(spec: ModelSpec, weights: str) -> str:
    """What the weights are, by content: the seed of random ones, the hash of a file.

    Raises InvalidCheckpoint where the file is gone.
    """
    if weights == "random":
        return f"random {RANDOM_SEED}"
    if weights == "pretrained":
        return hub.content(spec.hub_id) if spec.hub_id else _content(embedded.WEIGHTS)
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


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors``, ``.pth`` or ``.pt`` checkpoint; no code in it is ever run.

    A pickle may hold the tensors themselves, or the DeiT authors' ``{"model": tensors, ...}``.
    Raises InvalidCheckpoint.
    """
    import torch

    if not is_file(path):
        raise _no_checkpoint(path)
    if path.suffix == ".safetensors":
        state: Any = _read_safetensors(path)
    elif path.suffix in (".pth", ".pt"):
        state = _read_pickle(path)
    else:
        raise InvalidCheckpoint(f"{path.name} is no checkpoint.", "Give a .safetensors, .pth or .pt file.")
    for key in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise InvalidCheckpoint(
            f"{path.name} does not hold a model's weights.", "Save the model's state_dict(), not the model or a script."
        )
    return {_timm_key(key): value for key, value in state.items()}


def fill(module: torch.nn.Module, state: Mapping[str, torch.Tensor], name: str, path: Path) -> None:
    """Puts a checkpoint's tensors into ``module``. Raises InvalidCheckpoint, naming the first few that do not fit."""
    import torch

    wanted = module.state_dict()
    problems = [f"{key} is missing" for key in wanted if key not in state]
    problems += [f"{key} is not part of the model" for key in state if key not in wanted]
    problems += [
        f"{key} is {_shape(state[key])} instead of {_shape(tensor)}"
        for key, tensor in wanted.items()
        if key in state and state[key].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InvalidCheckpoint(
            f"{path.name} does not fit {name}: {'; '.join(problems[:3])}{more}.",
            "Choose the model that the checkpoint was trained as.",
        )
    module.load_state_dict({key: value.to(torch.float32) for key, value in state.items()}, assign=True)
    module.requires_grad_(False)


def _content(path: Path) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _no_checkpoint(path) from error
    return _hash(path, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _hash(path: Path, inode: int, size: int, changed: int) -> str:  # noqa: ARG001
    """The hash of a file as it is now; pages ask for it on every rerun."""
    return sha256(path)


def _weights_path(spec: ModelSpec, weights: str, settings: Settings, progress: Progress) -> Path:
    if weights != "pretrained":
        return expanded(weights)
    if spec.hub_id is None:
        return embedded.WEIGHTS
    return hub.download(spec.hub_id, progress, settings)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        # Copied, because these tensors are the file itself, which somebody may write to.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path) from error


def _read_pickle(path: Path) -> Any:
    import argparse
    import pickle

    import torch

    try:
        # The DeiT authors' training script stores its arguments beside the weights.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            raise InvalidCheckpoint(
                f"{path.name} wants to run code when it is loaded, and was refused.",
                "Save the model's state_dict() alone, best as .safetensors.",
            ) from error
        raise _damaged(path) from error
    except Exception as error:
        # The unpickler raises a dozen kinds of exception on damaged files.
        raise _damaged(path) from error


def _no_checkpoint(path: Path) -> InvalidCheckpoint:
    return InvalidCheckpoint(
        f"There is no checkpoint file {path}.", "Weights are 'pretrained', 'random', or the path of a checkpoint."
    )


def _damaged(path: Path) -> InvalidCheckpoint:
    return InvalidCheckpoint(f"{path.name} is damaged or no checkpoint.", "Download or save it again.")


def _timm_key(key: str) -> str:
    """DeiT III's published checkpoints name their layer scale ``gamma_1``; timm names it ``ls1.gamma``."""
    return key.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape) or "a scalar"

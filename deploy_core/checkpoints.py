"""Checkpoint files to tensors under timm's names. No code in a checkpoint is ever run."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidCheckpoint
from deploy_core.files import is_file

if TYPE_CHECKING:
    import torch

SUFFIXES = (".safetensors", ".pth", ".pt")
# The DeiT authors' file, Lightning's, and the averaged weights that timm's training script saves beside them.
NESTED = ("model", "state_dict", "state_dict_ema")
# Of data-parallel training, and of a model that was wrapped or compiled.
PREFIXES = ("module.", "model.", "_orig_mod.")


@dataclass(frozen=True)
class Checkpoint:
    """``state``: the tensors by timm's names; ``notes``: what else lay beside them."""

    state: dict[str, torch.Tensor]
    notes: Mapping[str, Any]


def read(path: Path) -> Checkpoint:
    """A ``.safetensors``, ``.pth`` or ``.pt`` checkpoint.

    A pickle may hold the tensors themselves, or the DeiT authors' ``{"model": tensors, ...}``.
    Raises InvalidCheckpoint.
    """
    import torch

    if not is_file(path):
        raise missing(path)
    if path.suffix not in SUFFIXES:
        raise InvalidCheckpoint(f"{path.name} is no checkpoint.", "Give a .safetensors, .pth or .pt file.")
    state: Any
    notes: Mapping[str, Any]
    state, notes = _read_safetensors(path) if path.suffix == ".safetensors" else (_read_pickle(path), {})
    for key in NESTED:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            notes = {name: value for name, value in state.items() if name != key}
            state = state[key]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise InvalidCheckpoint(
            f"{path.name} does not hold a model's weights.", "Save the model's state_dict(), not the model or a script."
        )
    return Checkpoint({_timm_key(key): value for key, value in state.items()}, notes)


def fill(module: torch.nn.Module, state: Mapping[str, torch.Tensor], name: str, path: Path) -> None:
    """Puts a checkpoint's tensors into ``module``. Raises InvalidCheckpoint, naming the first few that do not fit."""
    import torch

    wanted = module.state_dict()
    problems = [f"{key} is missing" for key in wanted if key not in state]
    problems += [f"{key} is not part of the model" for key in state if key not in wanted]
    problems += [
        f"{key} is {shape(state[key])} instead of {shape(tensor)}"
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


def missing(path: Path) -> InvalidCheckpoint:
    """The error for a path where no checkpoint is."""
    return InvalidCheckpoint(
        f"There is no checkpoint file {path}.", "Weights are 'pretrained', 'random', or the path of a checkpoint."
    )


def shape(tensor: torch.Tensor) -> str:
    """``192x3x16x16``."""
    return "x".join(str(size) for size in tensor.shape) or "a scalar"


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            # Copied, because these tensors are the file itself, which somebody may write to.
            state = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
            return state, file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path) from error


def _read_pickle(path: Path) -> Any:
    import argparse
    import pickle

    import torch

    _require_honest_size(path)
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


def _require_honest_size(path: Path) -> None:
    """torch stores tensors uncompressed; an archive that unpacks to more than it is was not written by it."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        return
    if unpacked > path.stat().st_size:
        raise InvalidCheckpoint(
            f"{path.name} is an archive that says it holds {unpacked / 1e6:.0f} MB, more than the file itself.",
            "Give the file as torch.save wrote it.",
        )


def _damaged(path: Path) -> InvalidCheckpoint:
    return InvalidCheckpoint(f"{path.name} is damaged or no checkpoint.", "Download or save it again.")


def _timm_key(key: str) -> str:
    """DeiT III's published checkpoints name their layer scale ``gamma_1``; timm names it ``ls1.gamma``."""
    for prefix in PREFIXES:
        key = key.removeprefix(prefix)
    return key.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")

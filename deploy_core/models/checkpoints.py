"""Reads checkpoint files into tensors with timm's names. No code in a checkpoint is ever run."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidCheckpoint
from deploy_core.files import is_file
from deploy_core.models import families, pickles

if TYPE_CHECKING:
    import torch

SUFFIXES = (".safetensors", ".pth", ".pt")
# Keys under which the DeiT authors, Lightning, and timm's training script (averaged weights) save the tensors.
NESTED = ("model", "state_dict", "state_dict_ema")
# Data-parallel training, wrappers and torch.compile put these in front of tensor names.
PREFIXES = ("module.", "model.", "_orig_mod.")
NUMBERS = (
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8",
    "uint8", "bool",
)  # fmt: skip
# A safetensors header holds a name and a shape of each tensor, and labels. Parsed, it takes about 25 times its size.
LARGEST_HEADER = 4_000_000
# A file of torch.save holds an entry for each tensor, and a pickle that names them.
MOST_ENTRIES = 20_000
LARGEST_PICKLE = 16_000_000
# numpy's codes of number types: training scripts save numbers like the best accuracy with the weights.
NUMPY_NUMBERS = "?bhilqBHILQefd"


@dataclass(frozen=True)
class Checkpoint:
    """``state`` holds the tensors by timm's names, ``notes`` everything else in the file."""

    state: dict[str, torch.Tensor]
    notes: Mapping[str, Any]


def read(path: Path, name: str = "") -> Checkpoint:
    """Reads a ``.safetensors``, ``.pth`` or ``.pt`` checkpoint. Errors call it ``name``, by default the file's name.

    A pickle may hold the tensors themselves, or ``{"model": tensors, ...}`` as the DeiT authors save them.
    Raises InvalidCheckpoint.
    """
    import torch

    name = name or path.name
    if not is_file(path):
        raise missing(path)
    if path.suffix not in SUFFIXES:
        raise InvalidCheckpoint(f"{name} is not a checkpoint.", "Give a .safetensors, .pth or .pt file.")
    state: Any
    notes: Mapping[str, Any]
    state, notes = _read_safetensors(path, name) if path.suffix == ".safetensors" else (_read_pickle(path, name), {})
    for key in NESTED:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            notes = {other: value for other, value in state.items() if other != key}
            state = state[key]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise InvalidCheckpoint(
            f"{name} does not hold a model's weights.", "Save the model's state_dict(), not the model or a script."
        )
    odd = next((key for key, value in state.items() if not _is_plain(value)), None)
    if odd is not None:
        raise InvalidCheckpoint(
            f"{name} does not hold plain numbers in {odd}: they are {_kind(state[odd])}.",
            "Save the float weights of the model, before it is quantized or compressed.",
        )
    return Checkpoint({_timm_key(key): value for key, value in state.items()}, notes)


def fill(module: torch.nn.Module, state: Mapping[str, torch.Tensor], model: str, name: str) -> None:
    """Puts the tensors of the checkpoint ``name`` into ``module``, in float32. Errors call the module ``model``.

    Raises InvalidCheckpoint, which names the first three tensors that do not fit.
    """
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
            f"{name} does not fit {model}: {'; '.join(problems[:3])}{more}.",
            "Choose the model that the checkpoint was trained as.",
        )
    module.load_state_dict({key: value.to(torch.float32) for key, value in state.items()}, assign=True)
    module.requires_grad_(False)


def require_header(path: Path, name: str) -> None:
    """Raises InvalidCheckpoint for a safetensors file whose header is larger than that of any real model.

    Only the first eight bytes are read: they hold the size of the header.
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
        is_whole = size <= path.stat().st_size
    except OSError as error:
        raise _damaged(name) from error
    if not is_whole:
        raise _damaged(name)
    if size > LARGEST_HEADER:
        raise InvalidCheckpoint(
            f"The header of {name} has {size / 1e6:.0f} MB, and the limit is {LARGEST_HEADER / 1e6:.0f} MB.",
            "Save the model's state_dict() again, without other metadata.",
        )


def missing(path: Path) -> InvalidCheckpoint:
    """The error for a path without a file."""
    return InvalidCheckpoint(
        f"There is no checkpoint file {path}.", "Weights are 'pretrained', 'random', or the path of a checkpoint."
    )


def shape(tensor: torch.Tensor) -> str:
    """The shape of a tensor for people: ``192x3x16x16``."""
    return "x".join(str(size) for size in tensor.shape) or "a scalar"


def _is_plain(tensor: torch.Tensor) -> bool:
    import torch

    return tensor.layout is torch.strided and tensor.device.type == "cpu" and _dtype(tensor) in NUMBERS


def _kind(tensor: torch.Tensor) -> str:
    import torch

    if tensor.device.type != "cpu":
        return f"on the device {tensor.device.type}"
    return _dtype(tensor) if tensor.layout is torch.strided else "sparse"


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _read_safetensors(path: Path, name: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    require_header(path, name)
    try:
        with safe_open(path, framework="pt") as file:
            # Copied, because these tensors are a map of the file, and somebody may write to the file.
            state = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
            return state, file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(name) from error


def _read_pickle(path: Path, name: str) -> Any:
    import torch

    _require_honest_size(path, name)
    try:
        with torch.serialization.safe_globals(_data()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # The unpickler raises many kinds of exceptions on files that it refuses.
        raise _refusal(path, name, error) from error


def _data() -> list[Any]:
    """Classes besides tensors that are only data: the arguments that the DeiT authors save, and numpy's numbers."""
    import argparse

    import numpy

    scalar = numpy.float64(0).__reduce__()[0]
    kinds = {type(numpy.dtype(code)) for code in NUMPY_NUMBERS}
    # numpy 1 saved the second name.
    return [argparse.Namespace, numpy.dtype, *kinds, scalar, (scalar, "numpy.core.multiarray.scalar")]


def _refusal(path: Path, name: str, error: Exception) -> InvalidCheckpoint:
    if pickles.is_script(path):
        return InvalidCheckpoint(
            f"{name} is TorchScript, which is code, so it was refused.", "Give the state_dict() of the model."
        )
    if "GLOBAL" in str(error) or pickles.calls_code(path):
        return InvalidCheckpoint(
            f"{name} runs code when it is loaded, so it was refused.",
            "Save the model's state_dict() alone, best as .safetensors.",
        )
    return _damaged(name)


def _require_honest_size(path: Path, name: str) -> None:
    """Refuses an archive that unpacks to more than its own size: torch does not compress tensors."""
    try:
        if _entries(path) > MOST_ENTRIES:
            raise InvalidCheckpoint(
                f"{name} is an archive of more than {MOST_ENTRIES} files.", "Give the file as torch.save wrote it."
            )
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError):
        return
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > path.stat().st_size:
        raise InvalidCheckpoint(
            f"{name} is an archive that unpacks to {unpacked / 1e6:.0f} MB, more than the file itself.",
            "Give the file as torch.save wrote it.",
        )
    if any(entry.file_size > LARGEST_PICKLE for entry in entries if entry.filename.endswith("data.pkl")):
        raise InvalidCheckpoint(
            f"{name} holds more besides its tensors than any model needs.", "Save the model's state_dict() alone."
        )


def _entries(path: Path) -> int:
    """The number of files in a zip archive, at most, by the size of its directory: listing them takes memory."""
    with path.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    # Each entry of the directory takes at least 46 bytes.
    return 0 if end is None else int(end[zipfile._ECD_SIZE]) // 46  # type: ignore[attr-defined]


def _damaged(name: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(f"{name} is damaged or not a checkpoint.", "Download or save it again.")


def _timm_key(key: str) -> str:
    for prefix in PREFIXES:
        key = key.removeprefix(prefix)
    return families.timm_key(key)

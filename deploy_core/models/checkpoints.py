"""Checkpoint files to tensors under timm's names. No code in a checkpoint is ever run."""

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
# The DeiT authors' file, Lightning's, and the averaged weights that timm's training script saves beside them.
NESTED = ("model", "state_dict", "state_dict_ema")
# Of data-parallel training, and of a model that was wrapped or compiled.
PREFIXES = ("module.", "model.", "_orig_mod.")
NUMBERS = (
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8",
    "uint8", "bool",
)  # fmt: skip
# Of a safetensors file: a name and a shape for each tensor, and labels. Read, a header takes some 25 times its size.
LARGEST_HEADER = 4_000_000
# Of what torch.save writes: an entry for each tensor, and a pickle that names them.
MOST_ENTRIES = 20_000
LARGEST_PICKLE = 16_000_000
# numpy's codes of numbers: training scripts store a best accuracy beside the weights.
NUMPY_NUMBERS = "?bhilqBHILQefd"


@dataclass(frozen=True)
class Checkpoint:
    """``state``: the tensors by timm's names; ``notes``: what else lay beside them."""

    state: dict[str, torch.Tensor]
    notes: Mapping[str, Any]


def read(path: Path, name: str = "") -> Checkpoint:
    """A ``.safetensors``, ``.pth`` or ``.pt`` checkpoint; ``name`` is what the person calls it, if not as the file.

    A pickle may hold the tensors themselves, or the DeiT authors' ``{"model": tensors, ...}``.
    Raises InvalidCheckpoint.
    """
    import torch

    name = name or path.name
    if not is_file(path):
        raise missing(path)
    if path.suffix not in SUFFIXES:
        raise InvalidCheckpoint(f"{name} is no checkpoint.", "Give a .safetensors, .pth or .pt file.")
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
            f"{name} holds no plain numbers in {odd}: they are {_kind(state[odd])}.",
            "Save the float weights of the model, before it is quantized or compressed.",
        )
    return Checkpoint({_timm_key(key): value for key, value in state.items()}, notes)


def fill(module: torch.nn.Module, state: Mapping[str, torch.Tensor], model: str, name: str) -> None:
    """Puts the tensors of the checkpoint ``name`` into ``module``, which people know as ``model``.

    Raises InvalidCheckpoint, naming the first few that do not fit.
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
    """Raises InvalidCheckpoint for a safetensors file whose header is larger than any real model's.

    The first eight bytes say how large it is, so nothing of it is read.
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
            f"The header of {name} has {size / 1e6:.0f} MB, and at most {LARGEST_HEADER / 1e6:.0f} MB are read.",
            "Save the model's state_dict() again, without other notes.",
        )


def missing(path: Path) -> InvalidCheckpoint:
    """The error for a path where no checkpoint is."""
    return InvalidCheckpoint(
        f"There is no checkpoint file {path}.", "Weights are 'pretrained', 'random', or the path of a checkpoint."
    )


def shape(tensor: torch.Tensor) -> str:
    """``192x3x16x16``."""
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
            # Copied, because these tensors are the file itself, which somebody may write to.
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
        # The unpickler raises a dozen kinds of exception on what it does not take.
        raise _refusal(path, name, error) from error


def _data() -> list[Any]:
    """What lies beside the weights and is data, too: the DeiT authors' arguments, and numpy's numbers."""
    import argparse

    import numpy

    scalar = numpy.float64(0).__reduce__()[0]
    kinds = {type(numpy.dtype(code)) for code in NUMPY_NUMBERS}
    # numpy 1 wrote the second name.
    return [argparse.Namespace, numpy.dtype, *kinds, scalar, (scalar, "numpy.core.multiarray.scalar")]


def _refusal(path: Path, name: str, error: Exception) -> InvalidCheckpoint:
    if pickles.is_script(path):
        return InvalidCheckpoint(
            f"{name} is TorchScript, which is code, and was refused.", "Give the state_dict() of the model."
        )
    if "GLOBAL" in str(error) or pickles.wants_code(path):
        return InvalidCheckpoint(
            f"{name} wants to run code when it is loaded, and was refused.",
            "Save the model's state_dict() alone, best as .safetensors.",
        )
    return _damaged(name)


def _require_honest_size(path: Path, name: str) -> None:
    """torch stores tensors uncompressed; an archive that unpacks to more than it is was not written by it."""
    try:
        if _entries(path) > MOST_ENTRIES:
            raise InvalidCheckpoint(
                f"{name} is an archive of more than {MOST_ENTRIES} files.", "Give the file as torch.save wrote it."
            )
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
    except (zipfile.BadZipFile, OSError):
        return
    unpacked = sum(entry.file_size for entry in found)
    if unpacked > path.stat().st_size:
        raise InvalidCheckpoint(
            f"{name} is an archive that says it holds {unpacked / 1e6:.0f} MB, more than the file itself.",
            "Give the file as torch.save wrote it.",
        )
    if any(entry.file_size > LARGEST_PICKLE for entry in found if entry.filename.endswith("data.pkl")):
        raise InvalidCheckpoint(
            f"{name} holds more beside its tensors than any model needs.", "Save the model's state_dict() alone."
        )


def _entries(path: Path) -> int:
    """How many files a zip archive may list, by the size of its directory: listing them takes memory for each."""
    with path.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    # An entry of the directory has at least 46 bytes.
    return 0 if end is None else int(end[zipfile._ECD_SIZE]) // 46  # type: ignore[attr-defined]


def _damaged(name: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(f"{name} is damaged or no checkpoint.", "Download or save it again.")


def _timm_key(key: str) -> str:
    for prefix in PREFIXES:
        key = key.removeprefix(prefix)
    return families.timm_key(key)

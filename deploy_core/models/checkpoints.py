"""Reads checkpoint files into tensors with timm's names. No code in a checkpoint is ever run."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidCheckpoint
from deploy_core.files import is_file
from deploy_core.models import namings, pickles, refusals, wrappings
from deploy_core.models.namings import Naming
from deploy_core.models.wrappings import Dictionary

if TYPE_CHECKING:
    import torch

# The usual endings, for a person who chooses a file. The content decides what it is.
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
NUMBERS = (
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8",
    "uint8", "bool",
)  # fmt: skip
# A safetensors header holds a name and a shape of each tensor, and labels. Parsed, it takes about 25 times its size.
LARGEST_HEADER = 4_000_000
# A file of torch.save holds an entry for each tensor, and a pickle that names them.
MOST_ENTRIES = 20_000
LARGEST_PICKLE = 16_000_000
MOST_NAMED = 5
TRAINED_AS = "Choose the model that the checkpoint was trained as."


@dataclass(frozen=True)
class Checkpoint:
    """``state`` holds the tensors by timm's names, ``notes`` everything else in the file.

    ``naming`` is the library whose names they had. ``part`` is where in the file they were, ``others`` are the other
    models in it, by the same kind of name. ``left_out`` are tensors beside the model that belong to its training.
    """

    state: dict[str, torch.Tensor]
    notes: Mapping[str, Any]
    naming: Naming
    part: str = ""
    others: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def read(path: Path, name: str = "", part: str = "") -> Checkpoint:
    """Reads a file of safetensors or ``torch.save``. Errors call it ``name``, by default the file's name.

    Of several models in a file, the one called ``part`` is read. By default, averaged weights come first (``ema``), as
    in timm, else the first model that has a head. Raises InvalidCheckpoint.
    """
    name = name or path.name
    if not is_file(path):
        raise missing(path)
    document, header = _document(path, name)
    found = wrappings.dictionaries(document)
    if not found:
        raise _no_tensors(document, name)
    candidates = _candidates(found)
    if not candidates:
        raise refusals.model(name, [tensor for one in found for tensor in one.tensors])
    chosen = _chosen(candidates, part, name)
    state = chosen.state
    odd = next((key for key, value in state.items() if not _is_plain(value)), None)
    if odd is not None:
        raise InvalidCheckpoint(
            f"{name} does not hold plain numbers in {odd}: they are {_kind(state[odd])}.",
            "Save the float weights of the model, before it is quantized or compressed.",
        )
    others = tuple(other.key for other in candidates if other is not chosen)
    return Checkpoint(
        namings.join(state), {**chosen.inside.notes, **header}, chosen.naming, chosen.key, others, chosen.left_out
    )


def tensors(path: Path) -> Mapping[str, torch.Tensor]:
    """The tensors of a file by its own names, whatever model they are of. Raises InvalidCheckpoint."""
    document, _ = _document(path, path.name)
    found = wrappings.dictionaries(document)
    if not found:
        raise _no_tensors(document, path.name)
    return found[0].tensors


@dataclass(frozen=True)
class _Candidate:
    """A model in a file: where it is, and its tensors by timm's names, before query, key and value are joined."""

    inside: Dictionary
    key: str
    naming: Naming
    state: dict[str, torch.Tensor]
    left_out: tuple[str, ...]

    @property
    def preference(self) -> tuple[bool, bool]:
        return "head.weight" in self.state, bool(wrappings.AVERAGED.search(self.key))


def _candidates(found: list[Dictionary]) -> list[_Candidate]:
    made = []
    for inside in found:
        places = namings.anchored(inside.tensors)
        for prefix, naming in places:
            others = tuple(other for other, _ in places if other != prefix)
            key = ".".join(filter(None, (inside.path, prefix.rstrip(".") if others else "")))
            made.append(_Candidate(inside, key, naming, *_timm_state(inside.tensors, prefix, others, naming)))
    return made


def _chosen(candidates: list[_Candidate], part: str, name: str) -> _Candidate:
    if not part:
        return max(candidates, key=lambda one: one.preference)
    for one in candidates:
        if one.key == part:
            return one
    keys = ", ".join(one.key or "the weights themselves" for one in candidates)
    raise InvalidCheckpoint(f"{name} holds no model called '{part}'.", f"It holds: {keys}.")


def _timm_state(
    tensors: Mapping[str, torch.Tensor], prefix: str, others: tuple[str, ...], naming: Naming
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """The tensors of the model under ``prefix`` by timm's names, and the names of those that belong to training.

    The head may be beside the prefix (``vit.``, ``classifier.``). Tensors that are unknown keep their names.
    """
    state: dict[str, torch.Tensor] = {}
    left_out = []
    around = namings.ancestors(prefix)
    for name, tensor in tensors.items():
        if any(name.startswith(other) and len(other) > len(prefix) for other in others):
            continue
        is_inside = name.startswith(prefix)
        if not is_inside and any(name.startswith(other) for other in others if other):
            continue
        place = prefix if is_inside else next((one for one in around if name.startswith(one)), "")
        short = name[len(place) :]
        timms = namings.timm_name(naming, short)
        if timms is not None and (is_inside or timms.startswith("head")) and timms not in state:
            state[timms] = tensor
        elif wrappings.LEFTOVERS.search(short) or namings.is_unused(naming, short):
            left_out.append(name)
        else:
            state[name] = tensor
    if "dist_token" not in state:
        unread = [key for key in state if key.startswith("head_dist.")]
        left_out += unread
        state = {key: value for key, value in state.items() if key not in unread}
    return state, tuple(left_out)


def fill(
    module: torch.nn.Module,
    state: Mapping[str, torch.Tensor],
    model: str,
    name: str,
    remedy: str = TRAINED_AS,
) -> None:
    """Puts the tensors of the checkpoint ``name`` into ``module``, in float32. Errors call the module ``model``.

    ``remedy`` is what a person can do about tensors that do not fit.
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
            remedy,
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


def _document(path: Path, name: str) -> tuple[Any, Mapping[str, str]]:
    """What the file holds, and the header of a safetensors file. The content decides which kind it is."""
    if _is_safetensors(path):
        return _read_safetensors(path, name)
    odd = refusals.contents(path, name)
    if odd is not None:
        raise odd
    return _read_pickle(path, name), {}


def _is_safetensors(path: Path) -> bool:
    """Whether the file begins with the size of a header, and the header with a brace."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError:
        return False
    return start[8:] == b"{" or (path.suffix.lower() == ".safetensors" and not start.startswith((b"PK", b"\x80")))


def _read_safetensors(path: Path, name: str) -> tuple[dict[str, torch.Tensor], Mapping[str, str]]:
    from safetensors import safe_open

    odd = refusals.contents(path, name)
    if odd is not None:
        raise odd
    require_header(path, name)
    try:
        with safe_open(path, framework="pt") as file:
            # Copied, because these tensors are a map of the file, and somebody may write to the file.
            state = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
            return state, file.metadata() or {}
    except Exception as error:
        # Damaged files raise many kinds of exceptions.
        raise _damaged(name) from error


def _read_pickle(path: Path, name: str) -> Any:
    _require_honest_size(path, name)
    if pickles.is_script(path):
        raise InvalidCheckpoint(
            f"{name} is TorchScript, which is code, so it was refused.", "Give the state_dict() of the model."
        )
    try:
        return pickles.load(path)
    except pickles.CodeInside as error:
        raise InvalidCheckpoint(
            f"{name} runs code when it is loaded ({error.what}), so it was refused.",
            "Save the model's state_dict() alone, best as .safetensors.",
        ) from error
    except Exception as error:
        # The unpickler raises many kinds of exceptions on files that are damaged.
        raise _damaged(name) from error


def _no_tensors(document: Any, name: str) -> InvalidCheckpoint:
    """The refusal of a file without a dictionary of tensors. A whole model in it is named."""
    values = [document, *(document.values() if isinstance(document, Mapping) else ())]
    whole = next((type(value).path for value in values if isinstance(value, pickles.StandIn)), "")
    if whole:
        return InvalidCheckpoint(
            f"{name} holds a whole object of the class {whole}, which needs code to be loaded, so it was refused.",
            "Save the model's state_dict() alone, best as .safetensors.",
        )
    return InvalidCheckpoint(
        f"{name} does not hold a model's weights.", "Save the model's state_dict(), not the model or a script."
    )


def _require_honest_size(path: Path, name: str) -> None:
    """Refuses an archive that unpacks to more than its own size: torch does not compress tensors."""
    try:
        if entries(path) > MOST_ENTRIES:
            raise InvalidCheckpoint(
                f"{name} is an archive of more than {MOST_ENTRIES} files.", "Give the file as torch.save wrote it."
            )
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return
    unpacked = sum(entry.file_size for entry in members)
    if unpacked > path.stat().st_size:
        raise InvalidCheckpoint(
            f"{name} is an archive that unpacks to {unpacked / 1e6:.0f} MB, more than the file itself.",
            "Give the file as torch.save wrote it.",
        )
    if any(entry.file_size > LARGEST_PICKLE for entry in members if entry.filename.endswith("data.pkl")):
        raise InvalidCheckpoint(
            f"{name} holds more besides its tensors than any model needs.", "Save the model's state_dict() alone."
        )


def entries(path: Path) -> int:
    """The number of files in a zip archive, at most, by the size of its directory: listing them takes memory."""
    with path.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    # Each entry of the directory takes at least 46 bytes.
    return 0 if end is None else int(end[zipfile._ECD_SIZE]) // 46  # type: ignore[attr-defined]


def _damaged(name: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(f"{name} is damaged or not a checkpoint.", "Download or save it again.")

"""What a person brings: a file of weights, a folder, or a zip of one, and the documents beside the weights."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deploy_core.errors import InvalidCheckpoint
from deploy_core.files import make_folder
from deploy_core.models import checkpoints
from deploy_core.models.own.told import DOCUMENTS

# The files that libraries save weights in, the safest first.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# What training writes beside the weights.
NOT_WEIGHTS = re.compile(r"(?:training_args|optimizer|scheduler|scaler|rng_state)[\w-]*\.(?:bin|pt|pth)", re.IGNORECASE)
SHARD = re.compile(r"-\d{5}-of-\d{5}\.|\.index\.json$")
LARGEST_DOCUMENT = 4_000_000


@dataclass(frozen=True)
class Brought:
    """A file of weights, and the texts of the documents beside it, by their names."""

    weights: Path
    documents: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def opened(source: Path, name: str, largest: int, place: Path) -> Iterator[Brought]:
    """What is at ``source``, a file or a folder that a person calls ``name``.

    The weights in a zip, up to ``largest`` bytes, are unpacked into ``place`` until the block ends.
    Raises InvalidCheckpoint, StorageFailed.
    """
    if is_folder(source):
        names = [path.name for path in sorted(source.iterdir()) if path.is_file()]
        yield Brought(source / chosen(names, name), _documents(source))
    elif _is_zip_of_files(source):
        with tempfile.TemporaryDirectory(dir=make_folder(place), prefix=".", suffix=".part") as folder:
            yield _unpacked(source, name, largest, Path(folder))
    else:
        yield Brought(source, _documents(source.parent))


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def chosen(names: Sequence[str], folder: str) -> str:
    """The one file of weights among ``names``. Raises InvalidCheckpoint if there is none, or no one."""
    for usual in WEIGHTS:
        if usual in names:
            return usual
    if any(SHARD.search(name) for name in names):
        raise InvalidCheckpoint(
            f"The weights in {folder} are split into several files.", "Save them as one file: max_shard_size='10GB'."
        )
    suffixes = checkpoints.SUFFIXES
    found = [name for name in names if name.lower().endswith(suffixes) and not NOT_WEIGHTS.fullmatch(name)]
    if len(found) == 1:
        return found[0]
    if found:
        few = ", ".join(found[:4]) + (", …" if len(found) > 4 else "")
        raise InvalidCheckpoint(f"{folder} holds several files of weights: {few}.", "Give one of them.")
    raise InvalidCheckpoint(
        f"{folder} holds no file of weights.", f"Give a folder with {' or '.join(WEIGHTS)}, or a file."
    )


def document(path: Path) -> str | None:
    """The text of a document; None if it is not there. Raises InvalidCheckpoint if it is too large or no text."""
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > LARGEST_DOCUMENT:
            raise _too_large(path.name)
        return path.read_bytes().decode("utf-8-sig", errors="replace")
    except (OSError, ValueError) as error:
        raise InvalidCheckpoint(f"{path.name} beside the weights cannot be read.", "Check its permissions.") from error


def _documents(folder: Path) -> Mapping[str, str]:
    found = {name: document(folder / name) for name in DOCUMENTS}
    return {name: text for name, text in found.items() if text is not None}


def _is_zip_of_files(path: Path) -> bool:
    """Whether the file is a zip that ``torch.save`` did not write."""
    try:
        if not zipfile.is_zipfile(path) or checkpoints.entries(path) > checkpoints.MOST_ENTRIES:
            return False
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False
    return bool(names) and not any(PurePosixPath(name).name in ("data.pkl", "constants.pkl") for name in names)


def _unpacked(path: Path, name: str, largest: int, folder: Path) -> Brought:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {
                entry.filename.replace("\\", "/"): entry
                for entry in archive.infolist()
                if not entry.is_dir() and not re.search(r"(?:^|[/\\])(?:\.|__MACOSX)", entry.filename)
            }
            places = sorted({str(PurePosixPath(key).parent) for key in entries}, key=lambda one: (one.count("/"), one))
            inside = _first_with_weights(places, entries, name)
            weights = chosen([PurePosixPath(key).name for key in inside], name)
            documents = {}
            for key, entry in inside.items():
                if PurePosixPath(key).name in DOCUMENTS:
                    if entry.file_size > LARGEST_DOCUMENT:
                        raise _too_large(PurePosixPath(key).name)
                    documents[PurePosixPath(key).name] = archive.read(entry).decode("utf-8-sig", errors="replace")
            entry = next(one for key, one in inside.items() if PurePosixPath(key).name == weights)
            if entry.file_size > largest:
                raise InvalidCheckpoint(
                    f"{weights} in {name} has {entry.file_size / 1e6:.0f} MB, and the limit is {largest / 1e6:.0f} MB.",
                    "Give a smaller model.",
                )
            target = folder / "weights"
            with archive.open(entry) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file)
            return Brought(target, documents)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError) as error:
        raise InvalidCheckpoint(
            f"{name} is a zip that cannot be unpacked: {_why(error)}.", "Pack the folder again, without a password."
        ) from error


def _first_with_weights(
    places: list[str], entries: Mapping[str, zipfile.ZipInfo], name: str
) -> Mapping[str, zipfile.ZipInfo]:
    error: InvalidCheckpoint | None = None
    for place in places:
        inside = {key: entry for key, entry in entries.items() if str(PurePosixPath(key).parent) == place}
        try:
            chosen([PurePosixPath(key).name for key in inside], name)
            return inside
        except InvalidCheckpoint as problem:
            error = error if error and "no file of weights" not in error.problem else problem
    raise error or InvalidCheckpoint(f"{name} is an empty zip.", "Pack the folder with the weights.")


def _why(error: Exception) -> str:
    return "it is encrypted" if "encrypted" in str(error) or "password" in str(error) else "it is damaged"


def _too_large(name: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(f"{name} beside the weights is too large.", "Give the weights alone.")

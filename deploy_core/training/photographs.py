"""The photographs of a run: each is decoded once, to a square of bytes on the device."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import psutil
import torch

from deploy_core.errors import InvalidPicture, InvalidPictureSet
from deploy_core.evaluation import labelled
from deploy_core.evaluation.labelled import LabelledSet
from deploy_core.evaluation.members import LAYOUT
from deploy_core.pictures.formats import READABLE
from deploy_core.pictures.pool import Decoders
from deploy_core.settings import Settings
from deploy_core.types import Preprocessing

# The pictures whose bytes are in memory at a time.
CHUNK = 256
NO_MEAN, NO_DEVIATION = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
Key = TypeVar("Key")


@dataclass(frozen=True)
class Photographs:
    """``pixels`` is uint8 (N, 3, S, S), RGB. ``labels`` is int64 (N,), the classes by index; None without labels.

    ``unreadable`` is the number of pictures that were left out because they cannot be read.
    """

    pixels: torch.Tensor = field(repr=False)
    labels: torch.Tensor | None = field(repr=False)
    unreadable: int

    def __len__(self) -> int:
        return len(self.pixels)


def without_labels(path: Path, side: int, device: str, settings: Settings) -> Photographs:
    """The center squares of all photographs in a folder or archive, wherever they lie in it, ``side`` pixels wide.

    Raises InvalidPictureSet if there are none, or more than fit into memory.
    """
    pictures = labelled.every_picture(path, settings)
    names, pixels, unreadable = _decoded(pictures, _square(side), device, settings, whole=False)
    if not names and not unreadable:
        raise InvalidPictureSet(f"{path.name} holds no pictures.", "Give a folder, tar or zip of photographs.")
    return Photographs(_some(pixels, unreadable), None, unreadable)


def of_classes(pictures: LabelledSet, indices: Mapping[str, int], side: int, device: str) -> Photographs:
    """The center squares of labelled photographs, ``side`` pixels wide.

    Raises InvalidPictureSet if there are none of a class, or more than fit into memory.
    """
    found, seen = _of_classes(pictures, indices, _square(side), device, whole=False)
    lost = next((entry.label for entry in pictures.entries if entry.label not in seen), None)
    if lost is not None:
        raise InvalidPictureSet(f"None of the pictures of the class {lost} can be read.", READABLE)
    return found


def for_measuring(pictures: LabelledSet, indices: Mapping[str, int], how: Preprocessing, device: str) -> Photographs:
    """Labelled photographs, resized and cropped as ``how`` says, not normalized. Raises InvalidPictureSet."""
    found, _ = _of_classes(pictures, indices, replace(how, mean=NO_MEAN, std=NO_DEVIATION), device, whole=True)
    return found


def open_classes(path: Path, settings: Settings) -> tuple[LabelledSet, tuple[str, ...]]:
    """A labelled set, and the names of its folders with pictures, sorted. Raises InvalidPictureSet for a single one."""
    pictures = labelled.open_set(path, settings, known=lambda _: False)
    names = tuple(sorted({entry.label for entry in pictures.entries}))
    if len(names) == 1:
        raise InvalidPictureSet(f"All pictures of {path.name} are of one class, {names[0]}.", LAYOUT)
    return pictures, names


def _of_classes(
    pictures: LabelledSet, indices: Mapping[str, int], how: Preprocessing, device: str, whole: bool
) -> tuple[Photographs, set[str]]:
    """The photographs, and the names of their classes."""
    entries, pixels, unreadable = _decoded(pictures.pictures(), how, device, pictures.settings, whole)
    labels = torch.tensor([indices[entry.label] for entry in entries], device=device)
    return Photographs(_some(pixels, unreadable), labels, unreadable), {entry.label for entry in entries}


def _square(side: int) -> Preprocessing:
    return Preprocessing(resize=side, crop=side, mean=NO_MEAN, std=NO_DEVIATION)


def _some(pixels: list[torch.Tensor], unreadable: int) -> torch.Tensor:
    if not pixels:
        raise InvalidPictureSet(f"None of the {unreadable} pictures can be read.", READABLE)
    return torch.cat(pixels)


def _decoded(
    pictures: Iterable[tuple[Key, bytes | None]], how: Preprocessing, device: str, settings: Settings, whole: bool
) -> tuple[list[Key], list[torch.Tensor], int]:
    """What names each readable picture, their pixels in pieces, and the number of unreadable ones."""
    keys: list[Key] = []
    pieces: list[torch.Tensor] = []
    unreadable = 0
    decoders = _decoders(settings)
    with ThreadPoolExecutor(decoders.at_once) as together:

        def pixels(picture: tuple[Key, bytes | None]) -> torch.Tensor | None:
            try:
                return None if picture[1] is None else _pixels(decoders.prepare(picture[1], how, whole).input, how.crop)
            except InvalidPicture:
                return None

        for chunk in _chunks(pictures):
            answers = list(together.map(pixels, chunk))
            readable = [(key, answer) for (key, _), answer in zip(chunk, answers, strict=True) if answer is not None]
            unreadable += len(chunk) - len(readable)
            if readable:
                keys += [key for key, _ in readable]
                pieces.append(torch.stack([answer for _, answer in readable]).to(device))
                _require_memory(len(keys), pieces[0][0].numel(), device)
    return keys, pieces, unreadable


@functools.cache
def _decoders(settings: Settings) -> Decoders:
    """One process a core: unlike visitors' pictures, these come all at once."""
    return Decoders(settings, len(os.sched_getaffinity(0)))


def _chunks(pictures: Iterable[tuple[Key, bytes | None]]) -> Iterator[list[tuple[Key, bytes | None]]]:
    remaining = iter(pictures)
    while chunk := list(itertools.islice(remaining, CHUNK)):
        yield chunk


def _pixels(prepared: bytes, side: int) -> torch.Tensor:
    values = torch.frombuffer(bytearray(prepared), dtype=torch.float32).reshape(3, side, side)
    return (values * 255).round().to(torch.uint8)


def _require_memory(count: int, size: int, device: str) -> None:
    """Raises InvalidPictureSet if the pieces, once joined, would not fit beside themselves."""
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
    if count * size > free:
        raise InvalidPictureSet(
            f"The memory is full after {count} photographs of {size / 1e3:.0f} kB.", "Give fewer photographs."
        )

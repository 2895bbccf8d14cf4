"""Reads CIFAR-10 for training: a folder or a tar archive for each split."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image


@dataclass(frozen=True)
class Split:
    """Labelled pictures: ``images`` uint8 (N, 3, 32, 32), ``labels`` int64 (N,), ``classes`` the names by index."""

    images: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: torch.Tensor) -> Split:
        return Split(self.images[indices], self.labels[indices], self.classes)

    def to(self, device: str) -> Split:
        return Split(self.images.to(device), self.labels.to(device), self.classes)


def read_split(folder: Path, name: str) -> Split:
    """Reads ``folder/name/<class>/*.jpg``, or the same layout inside ``folder/name.tar.xz``.

    Pictures are ordered by path, so that an index means the same picture on every machine.
    Raises FileNotFoundError if there is neither.
    """
    pictures = sorted(_pictures(folder, name), key=lambda picture: picture[0])
    if not pictures:
        raise FileNotFoundError(f"{folder} holds no pictures for the split '{name}'")
    classes = tuple(sorted({path.split("/")[-2] for path, _ in pictures}))
    index = {label: i for i, label in enumerate(classes)}
    labels = torch.tensor([index[path.split("/")[-2]] for path, _ in pictures])
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for _, data in pictures])
    return Split(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels, classes)


def hold_out(split: Split, per_class: int, seed: int) -> tuple[Split, Split]:
    """Holds out ``per_class`` pictures of each class for validation. Returns (the rest, the held-out pictures)."""
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(split), dtype=torch.bool)
    for label in range(len(split.classes)):
        members = torch.nonzero(split.labels == label).flatten()
        held[members[torch.randperm(len(members), generator=generator)[:per_class]]] = True
    return split.take(torch.nonzero(~held).flatten()), split.take(torch.nonzero(held).flatten())


def _pictures(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    if (folder / name).is_dir():
        for path in (folder / name).glob("*/*.jpg"):
            yield path.as_posix(), path.read_bytes()
    elif (folder / f"{name}.tar.xz").is_file():
        with tarfile.open(folder / f"{name}.tar.xz") as archive:
            for member in archive:
                handle = archive.extractfile(member) if member.name.endswith(".jpg") else None
                if handle is not None:
                    yield member.name, handle.read()
    else:
        raise FileNotFoundError(f"{folder} holds neither {name}/ nor {name}.tar.xz")

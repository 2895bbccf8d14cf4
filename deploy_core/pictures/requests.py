"""The requests to the processes that read pictures. The bytes of a picture file go with each."""

from __future__ import annotations

from dataclasses import dataclass

from deploy_core.processes.task import Task, WithBytes
from deploy_core.types import Preprocessing


@dataclass(frozen=True)
class Spent:
    """Milliseconds: reading and decoding the picture, and preprocessing it."""

    read: float
    preprocess: float


@dataclass(frozen=True)
class Drawn:
    """The width and height of the whole picture, and the length of each JPEG in bytes."""

    size: tuple[int, int]
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Prepare(Task[WithBytes[Spent]]):
    """The model's input as bytes, float32 (1, 3, S, S). ``whole``: at full size."""

    how: Preprocessing
    whole: bool
    kind = "prepare"
    answer = Spent


@dataclass(frozen=True)
class Show(Task[WithBytes[None]]):
    """A JPEG of the picture with no side above ``side`` pixels, or of its center square."""

    side: int
    is_square: bool
    kind = "show"
    answer = None


@dataclass(frozen=True)
class DrawLooks(Task[WithBytes[Drawn]]):
    """Three JPEGs: the picture, the model's input, and where the model looks.

    ``shares`` are rows of patches, ``opacity`` is 0..1, ``side`` is in pixels.
    """

    how: Preprocessing
    shares: tuple[tuple[float, ...], ...]
    opacity: float
    side: int
    kind = "looks"
    answer = Drawn

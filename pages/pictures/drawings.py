"""Drawings of pictures. Those of shipped photographs are kept, because every visitor sees them first."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from deploy_core import embedded
from deploy_core.pictures.pool import Looks
from deploy_core.types import Preprocessing
from pages.pictures.sources import Picture
from pages.state import services

# About 0.1 MB each.
MOST_KEPT = 64


def small(picture: Picture, side: int) -> bytes:
    """A JPEG of the picture, upright and small enough to send: no side above ``side`` pixels. Raises InvalidPicture."""
    return _kept_small(picture.sample.file, side) if picture.sample else services.decoders().small(picture.data, side)


def looks(picture: Picture, how: Preprocessing, shares: Sequence[Sequence[float]], opacity: float, side: int) -> Looks:
    """As ``Decoders.looks``. Raises InvalidPicture."""
    if picture.sample:
        return _kept_looks(picture.sample.file, how, tuple(map(tuple, shares)), opacity, side)
    return services.decoders().looks(picture.data, how, shares, opacity, side)


@functools.lru_cache(MOST_KEPT)
def _kept_small(file: str, side: int) -> bytes:
    return services.decoders().small(_data(file), side)


@functools.lru_cache(MOST_KEPT)
def _kept_looks(
    file: str, how: Preprocessing, shares: tuple[tuple[float, ...], ...], opacity: float, side: int
) -> Looks:
    return services.decoders().looks(_data(file), how, shares, opacity, side)


def _data(file: str) -> bytes:
    return (embedded.SAMPLES / file).read_bytes()

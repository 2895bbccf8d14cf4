"""Draws for people what a model sees of a picture, and where it looks."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from deploy_core.types import Preprocessing

# From the lowest to the highest value, like the colour map inferno: readable in grey, and for the colour-blind.
COLOURS = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))


def seen(picture: Image.Image, how: Preprocessing) -> Image.Image:
    """The part of an upright picture that the model sees, not resized."""
    return picture.crop(_box(picture, how))


def framed(picture: Image.Image, how: Preprocessing) -> Image.Image:
    """The picture, with the part that the model does not see darkened."""
    dark = Image.eval(picture, lambda level: level // 3)
    dark.paste(seen(picture, how), _box(picture, how)[:2])
    return dark


def square(picture: Image.Image, side: int) -> Image.Image:
    """The center square of a picture, ``side`` pixels wide."""
    return ImageOps.fit(picture, (side, side))


def fitted(picture: Image.Image, side: int) -> Image.Image:
    """The picture resized so that its long side has ``side`` pixels."""
    longest = max(picture.size)
    width, height = (max(1, round(side * length / longest)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def jpeg(picture: Image.Image) -> bytes:
    """An RGB picture as the bytes of a JPEG, for a page."""
    data = BytesIO()
    picture.save(data, "JPEG", quality=90)
    return data.getvalue()


def heat(picture: Image.Image, shares: Sequence[Sequence[float]], opacity: float) -> Image.Image:
    """The picture under a heat map of ``shares`` (rows of patches); ``opacity`` is 0..1."""
    grid = np.asarray(shares, np.float32)
    least, most = float(grid.min()), float(grid.max())
    levels = Image.fromarray((grid - least) / max(most - least, 1e-9)).resize(picture.size, Image.Resampling.BICUBIC)
    values = np.asarray(levels).clip(0, 1)
    stops = np.linspace(0, 1, len(COLOURS))
    bands = [np.interp(values, stops, [colour[band] for colour in COLOURS]) for band in range(3)]
    return Image.blend(picture, Image.fromarray(np.stack(bands, -1).astype(np.uint8)), opacity)


def _box(picture: Image.Image, how: Preprocessing) -> tuple[int, int, int, int]:
    sides = picture.size if how.is_squashed else (min(picture.size),) * 2
    width, height = (max(1, round(side * how.crop / how.resize)) for side in sides)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return left, top, left + width, top + height

"""Turns an RGB picture into a model's input, as its ``Preprocessing`` says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deploy_core.types import Preprocessing

MAX_SQUARES = 8
# With fewer pixels, detail that the decoder skips would be missing in the input (docs/decisions/0013-pictures.md).
LEAST_SIDE = 512


def enough_for(how: Preprocessing) -> int:
    """The pixels of a picture's short side that ``decode`` should keep: at least three times ``how.resize``."""
    return max(3 * how.resize, LEAST_SIDE)


def kept_share(size: tuple[int, int], how: Preprocessing) -> float:
    """The share of a picture of ``size`` (width, height) that is left after ``crop``, 0..1."""
    if how.is_squashed:
        return (how.crop / how.resize) ** 2
    short, long = min(size), max(size)
    left = long - 2 * _excess(size)
    return left / long * how.crop**2 / (how.resize * (how.resize * left // short))


def crop(picture: Image.Image, how: Preprocessing) -> Image.Image:
    """The part of an RGB picture that the model sees: resized as ``how.crop_mode`` says, then cropped to its center.

    Returns an RGB picture of ``how.crop`` x ``how.crop`` pixels, equal to that of torchvision's Resize and CenterCrop.
    """
    if how.is_squashed:
        width = height = how.resize
    else:
        picture = _without_far_ends(picture)
        width, height = (how.resize * side // min(picture.size) for side in picture.size)
    resized = picture.resize((width, height), Image.Resampling[how.interpolation.upper()])
    left, top = round((width - how.crop) / 2), round((height - how.crop) / 2)
    return resized.crop((left, top, left + how.crop, top + how.crop))


def preprocess(picture: Image.Image, how: Preprocessing) -> NDArray[np.float32]:
    """The model's input for an RGB picture: float32, (1, 3, how.crop, how.crop), C-contiguous."""
    return normalize(np.asarray(crop(picture, how)), how)


def normalize(pixels: NDArray[np.uint8], how: Preprocessing) -> NDArray[np.float32]:
    """The model's input for what ``crop`` left: uint8, (how.crop, how.crop, 3). Returns what ``preprocess`` does."""
    shares = pixels.astype(np.float32) / np.float32(255)
    normalized = (shares - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)
    return np.ascontiguousarray(normalized.transpose(2, 0, 1)[np.newaxis])


def _without_far_ends(picture: Image.Image) -> Image.Image:
    """Cuts a strip longer than eight squares at both ends, because the whole strip, resized, could fill the memory."""
    excess = _excess(picture.size)
    if not excess:
        return picture
    if picture.width > picture.height:
        return picture.crop((excess, 0, picture.width - excess, picture.height))
    return picture.crop((0, excess, picture.width, picture.height - excess))


def _excess(size: tuple[int, int]) -> int:
    """The pixels that are cut from each end of a strip of ``size``: a whole number of squares."""
    short, long = min(size), max(size)
    return max(0, long - MAX_SQUARES * short) // (2 * short) * short

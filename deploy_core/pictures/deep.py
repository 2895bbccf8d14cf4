"""Pictures with more than 8 bits for each colour. Most of their files do not say which number is white."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFile

from deploy_core.errors import InvalidPicture

# Cameras, scanners and programs count to 255, 1023, 4095, 16383, 65535 and so on, whatever the file has room for.
WHITES = tuple(2**bits - 1 for bits in range(8, 33, 2))
# Each of these ranges is four times the one before. A picture that does not use a quarter of its range is unclear.
LEAST_USED = 0.25
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
# The upper bytes of 16-bit colours that count to 4095 or less.
BLACK = 15
REMEDY = "Save it with 8 bits per colour."


def is_deep_grey(picture: Image.Image) -> bool:
    """Whether a picture holds grey numbers of 16 or 32 bits, or floating-point numbers."""
    return picture.mode == "F" or picture.mode.startswith("I")


def has_deep_colours(picture: Image.Image) -> bool:
    """Whether a picture that is not loaded yet has colours of 16 bits. Pillow reads their upper bytes only."""
    tiles = picture.tile if isinstance(picture, ImageFile.ImageFile) else []
    return not is_deep_grey(picture) and any(";16" in str(tile.args) for tile in tiles)


def require_visible(picture: Image.Image) -> None:
    """Raises InvalidPicture for the upper bytes of 16-bit colours that may be of smaller numbers."""
    if all(high <= BLACK for _, high in picture.convert("RGB").getextrema()):  # type: ignore[misc]
        raise InvalidPicture("The picture has 16 bits per colour, and all its colours are almost black.", REMEDY)


def to_eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of deep grey in 8 bits, scaled from the smallest usual range that holds all its numbers.

    The ranges are 0 to 1 for floating-point numbers, and 0 to each of ``WHITES``. Transparent pixels become white.
    Raises InvalidPicture for negative numbers, and for those that use less than a quarter of their range.
    """
    numbers = np.array(picture, np.float32)
    low, high = float(numbers.min()), float(numbers.max())
    is_share = picture.mode == "F" and high <= 1
    white = 1 if is_share else next((white for white in WHITES if high <= white), None)
    if white is None or not low >= 0:  # also if a number is none
        raise InvalidPicture(f"The picture holds numbers from {low:g} to {high:g}, which are no colours.", REMEDY)
    if 0 < high < LEAST_USED * white:
        raise InvalidPicture(f"The largest number in the picture is {high:g}, so it is unclear which is white.", REMEDY)
    see_through = numbers == picture.info["transparency"] if "transparency" in picture.info else None
    numbers *= 255 if is_share else 256 / (white + 1)
    if is_share:
        np.rint(numbers, out=numbers)
    if getattr(picture, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        np.subtract(255, numbers, out=numbers)
    if see_through is not None:
        numbers[see_through] = 255
    return Image.fromarray(numbers.clip(0, 255).astype(np.uint8))

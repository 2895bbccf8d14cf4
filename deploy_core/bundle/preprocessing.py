"""``preprocessing.json``: how a picture becomes the model's input, as values and in words."""

from __future__ import annotations

from typing import Any

from deploy_core.types import Preprocessing


def preprocessing_document(how: Preprocessing) -> dict[str, Any]:
    interpolation = interpolation_words(how)
    if how.is_squashed:
        sides = {"resize_width": how.resize, "resize_height": how.resize}
        scaled = f"Scale the whole of it to {how.resize} x {how.resize} pixels, whatever its proportion."
    else:
        sides = {"resize_short_side": how.resize}
        scaled = (
            f"Scale it so that the short side is {how.resize} pixels and the long side keeps the proportion, rounded "
            "down."
        )
    return {
        "width": how.crop,
        "height": how.crop,
        "layout": "NCHW",
        "channel_order": "RGB",
        "dtype": "float32",
        **sides,
        "interpolation": interpolation,
        "center_crop": how.crop,
        "scale": 1 / 255,
        "value_range": [0.0, 1.0],
        "mean": list(how.mean),
        "std": list(how.std),
        "in_words": [
            "Turn the picture the right side up (EXIF orientation), into sRGB with 8 bits per channel, on white where "
            "it is transparent.",
            f"{scaled} Interpolate: {interpolation}.",
            f"Cut {how.crop} x {how.crop} pixels out of the center. Where the rest is odd, round its half to the even "
            "number for the left and top margin.",
            "Divide each value (0 to 255) by 255, subtract the channel's mean, and divide by its std.",
            f"Lay the values out as float32 (1, 3, {how.crop}, {how.crop}): all of red row by row, then green, then "
            "blue.",
        ],
    }


def interpolation_words(how: Preprocessing) -> str:
    return f"{how.interpolation} with antialias (as Pillow resizes)"

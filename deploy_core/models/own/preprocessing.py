"""The preprocessing that a person's own model can have, and the one it has by default."""

from __future__ import annotations

import math
from collections.abc import Mapping

from deploy_core.models.families import FAMILIES, IMAGENET_MEAN, IMAGENET_STD
from deploy_core.models.namings import Usual
from deploy_core.models.spec import Architecture
from deploy_core.types import Preprocessing

NORMALIZATIONS: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "ImageNet's mean and deviation": (IMAGENET_MEAN, IMAGENET_STD),
    "-1 to 1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "0 to 1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
INTERPOLATIONS = ("bicubic", "bilinear", "hamming")
CROP_MODES = ("center", "squash")
# The sizes at which models are tested on the center of a picture; at other sizes, on the whole side.
CENTER_CROP_SIZES = range(128, 257)


def default_for(shape: Architecture, usual: Usual | None = None) -> Preprocessing:
    """The preprocessing of the library (``usual``) or of the family for an input of this size."""
    row = FAMILIES[shape.family]
    resize = int(shape.size / row.center_share) if shape.size in CENTER_CROP_SIZES else shape.size
    if usual is None:
        return Preprocessing(resize, shape.size, row.mean, row.std)
    resize = int(shape.size * usual.resize_share) if usual.resize_share else resize
    return Preprocessing(resize, shape.size, usual.mean, usual.std, usual.interpolation, usual.crop_mode)


def is_possible(how: Preprocessing, shape: Architecture) -> bool:
    """Whether the preprocessing can be done here, and gives inputs of ``shape``."""
    return (
        how.crop == shape.size
        and how.crop <= how.resize <= 4 * how.crop
        and how.interpolation in INTERPOLATIONS
        and how.crop_mode in CROP_MODES
        and len(how.mean) == len(how.std) == 3
        and all(math.isfinite(number) for number in how.mean)
        and all(0 < number < math.inf for number in how.std)
    )


def normalization_of(how: Preprocessing) -> str | None:
    """The key in ``NORMALIZATIONS`` of a model's mean and deviation; None if it has others."""
    return next((name for name, known in NORMALIZATIONS.items() if known == (how.mean, how.std)), None)

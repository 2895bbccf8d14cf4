"""The pictures on which files are compared with the original: shipped photographs, and seeded parts of them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from PIL import Image

from deploy_core import embedded
from deploy_core.inference.classify import tensor_of
from deploy_core.models.spec import ModelSpec
from deploy_core.pictures import decode
from deploy_core.settings import Settings
from deploy_core.types import PictureView

if TYPE_CHECKING:
    import torch

SEED = 0
# As training crops pictures: Szegedy et al., "Going Deeper with Convolutions", 2014, arXiv 1409.4842, less extreme.
LEAST_AREA = 0.2
WIDEST = 4 / 3


def views(seed: int = SEED) -> Iterator[PictureView]:
    """Without end: the first sample, the photographs, the other samples, each followed by a part of it; then parts."""
    first, *others = (sample.path.name for sample in embedded.samples())
    files = [first, *(path.name for path in embedded.photographs()), *others]
    chance = random.Random(seed)  # noqa: S311 - the same parts each time
    for file in files:
        yield PictureView(file)
        yield _part(file, chance)
    while True:
        for file in files:
            yield _part(file, chance)


def picture_of(view: PictureView, settings: Settings) -> Image.Image:
    """What the view shows, RGB."""
    picture = decode.decode(embedded.picture(view.file).read_bytes(), settings)
    width, height = picture.size
    left, top, right, bottom = view.box
    part = picture.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view.is_mirrored else part


def first_input(spec: ModelSpec, settings: Settings) -> torch.Tensor:
    """The first picture as the model's input, float32 (1, 3, S, S)."""
    return tensor_of(picture_of(next(views()), settings), spec)


def _part(file: str, chance: random.Random) -> PictureView:
    area = chance.uniform(LEAST_AREA, 1)
    ratio = math.exp(chance.uniform(-math.log(WIDEST), math.log(WIDEST)))
    width, height = (min(1.0, math.sqrt(area * side)) for side in (ratio, 1 / ratio))
    left, top = chance.uniform(0, 1 - width), chance.uniform(0, 1 - height)
    return PictureView(file, (left, top, left + width, top + height), chance.random() < 0.5)

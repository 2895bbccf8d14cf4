"""Compares ways to shrink a photograph for the embedded model: ``python -m benchmarks.shrinking FOLDER``.

FOLDER is the one of ``benchmarks.photographs``. Twelve pictures are too few to decide, so each way also gets forty
random crops of each picture, with sides of four fifths to the whole, half of them mirrored. The last column is the mean
probability of the first answer on the pictures of no class.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image, ImageOps
from PIL.Image import Resampling

from benchmarks.photographs import in_class, of_no_class
from deploy_core import embedded, settings
from deploy_core.inference import classify
from deploy_core.pictures import decode, preprocess

SIZE = embedded.PREPROCESSING.crop
CROPS = 40
LEAST_SIDE = 0.8
SEED = 0
SHIPPED = f"{embedded.PREPROCESSING.crop_mode}, {embedded.PREPROCESSING.interpolation}"

Way = Callable[[Image.Image], Image.Image]


def by(crop_mode: str, interpolation: str) -> Way:
    how = replace(embedded.PREPROCESSING, crop_mode=crop_mode, interpolation=interpolation)
    return lambda picture: preprocess.crop(picture, how)


def padded(picture: Image.Image) -> Image.Image:
    mean = tuple(round(255 * value) for value in embedded.PREPROCESSING.mean)
    return ImageOps.pad(picture, (SIZE, SIZE), Resampling.BICUBIC, color=mean)


FILTERS = ("bicubic", "bilinear", "lanczos", "hamming", "box")
WAYS: Mapping[str, Way] = {
    **{
        f"{mode}, {interpolation}": by(mode, interpolation)
        for mode in ("center", "squash")
        for interpolation in FILTERS
    },
    "padded, bicubic": padded,
}


def main(folder: Path) -> None:
    limits = settings.load()
    classifier = classify.open_model("demo", "pretrained", limits)
    shown = in_class(folder)
    pictures = [decode.decode(path.read_bytes(), limits) for path in shown]
    others = [decode.decode(path.read_bytes(), limits) for path in of_no_class(folder)]
    labels = torch.tensor([embedded.LABELS.index(label) for label in shown.values()])
    wanted = labels.repeat_interleave(CROPS)
    generator = random.Random(SEED)  # noqa: S311
    crops = [random_crop(picture, generator) for picture in pictures for _ in range(CROPS)]
    print("| way | right of 12 | of their crops | their right class | of no class |\n| --- | --- | --- | --- | --- |")
    for name, way in WAYS.items():
        whole = probabilities(classifier, [way(picture) for picture in pictures])
        parts = probabilities(classifier, [way(crop) for crop in crops])
        right = int((whole.argmax(1) == labels).sum())
        share = (parts.argmax(1) == wanted).float().mean()
        sure = parts.gather(1, wanted[:, None]).mean()
        none = probabilities(classifier, [way(picture) for picture in others]).amax(1).mean()
        shipped = " (shipped)" if name == SHIPPED else ""
        print(f"| {name}{shipped} | {right} | {share * 100:.1f} % | {sure * 100:.1f} % | {none * 100:.1f} % |")


def random_crop(picture: Image.Image, generator: random.Random) -> Image.Image:
    side = generator.uniform(LEAST_SIDE, 1)
    width, height = int(picture.width * side), int(picture.height * side)
    left, top = generator.randint(0, picture.width - width), generator.randint(0, picture.height - height)
    crop = picture.crop((left, top, left + width, top + height))
    return ImageOps.mirror(crop) if generator.random() < 0.5 else crop


def probabilities(classifier: classify.Classifier, small: list[Image.Image]) -> torch.Tensor:
    """Probabilities, float32 (N, classes), of pictures of the model's own size."""
    tensors = torch.cat([classify.tensor_of(picture, classifier.spec) for picture in small])
    return classifier.batch_logits(tensors).softmax(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Ways to shrink a photograph for the embedded model, compared: ``python -m benchmarks.shrinking FOLDER``.

FOLDER is that of ``benchmarks.photographs``. Twelve pictures decide nothing, so each way is also asked about forty
random crops of each, four fifths to all of its sides, half of them mirrored.
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

from benchmarks.photographs import in_class
from deploy_core import classify, embedded, images, settings

SIZE = embedded.PREPROCESSING.crop
CROPS = 40
LEAST_SIDE = 0.8
SEED = 0

Way = Callable[[Image.Image], Image.Image]


def middle(resampling: Resampling) -> Way:
    how = replace(embedded.PREPROCESSING, interpolation=resampling.name.lower())
    return lambda picture: images.crop(picture, how)


def squeezed(resampling: Resampling) -> Way:
    return lambda picture: picture.resize((SIZE, SIZE), resampling)


def padded(resampling: Resampling) -> Way:
    mean = tuple(round(255 * value) for value in embedded.PREPROCESSING.mean)
    return lambda picture: ImageOps.pad(picture, (SIZE, SIZE), resampling, color=mean)


WAYS: Mapping[str, Way] = {
    "middle, bicubic (shipped)": middle(Resampling.BICUBIC),
    "middle, bilinear": middle(Resampling.BILINEAR),
    "middle, lanczos": middle(Resampling.LANCZOS),
    "middle, box": middle(Resampling.BOX),
    "squeezed, bicubic": squeezed(Resampling.BICUBIC),
    "squeezed, bilinear": squeezed(Resampling.BILINEAR),
    "squeezed, box": squeezed(Resampling.BOX),
    "padded, bicubic": padded(Resampling.BICUBIC),
}


def main(folder: Path) -> None:
    limits = settings.load()
    classifier = classify.open_model("demo", "pretrained", limits)
    shown = in_class(folder)
    pictures = [images.decode(path.read_bytes(), limits) for path in shown]
    labels = torch.tensor([embedded.LABELS.index(label) for label in shown.values()])
    wanted = labels.repeat_interleave(CROPS)
    generator = random.Random(SEED)  # noqa: S311
    crops = [part(picture, generator) for picture in pictures for _ in range(CROPS)]
    print("| way | right of 12 | of their crops | mean probability of the right class |\n| --- | --- | --- | --- |")
    for name, way in WAYS.items():
        whole = asked(classifier, [way(picture) for picture in pictures])
        parts = asked(classifier, [way(crop) for crop in crops])
        right = int((whole.argmax(1) == labels).sum())
        share = (parts.argmax(1) == wanted).float().mean()
        sure = parts.gather(1, wanted[:, None]).mean()
        print(f"| {name} | {right} | {share * 100:.1f} % | {sure * 100:.1f} % |")


def part(picture: Image.Image, generator: random.Random) -> Image.Image:
    side = generator.uniform(LEAST_SIDE, 1)
    width, height = int(picture.width * side), int(picture.height * side)
    left, top = generator.randint(0, picture.width - width), generator.randint(0, picture.height - height)
    crop = picture.crop((left, top, left + width, top + height))
    return ImageOps.mirror(crop) if generator.random() < 0.5 else crop


def asked(classifier: classify.Classifier, small: list[Image.Image]) -> torch.Tensor:
    """Probabilities, (N, classes), of pictures of the model's own size."""
    tensors = torch.cat([classify.tensor_of(picture, classifier.spec) for picture in small])
    return classifier.batch_logits(tensors).softmax(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The time around one inference for a picture of 12 megapixels, and how reading it smaller changes the answers.

python -m benchmarks.pictures [FOLDER]    with a folder of photographs: how much the answers change
"""

from __future__ import annotations

import statistics
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.figure import Figure
from deploy_core import embedded, settings
from deploy_core.inference import classify
from deploy_core.inference.classify import Classifier
from deploy_core.pictures import decode

SIZE = (4000, 3000)
GRAIN = 5.0
REPEATS = 15
MODEL = "deit_base_patch16_224"


def figures() -> list[Figure]:
    limits = settings.load()
    data = _photograph(embedded.SAMPLES / "chelsea.png")
    model = classify.open_model(MODEL, "random", limits)
    model.warm_up()
    spent = [model.classify_prepared(model.prepare(data, limits), "a photograph").milliseconds for _ in range(REPEATS)]
    around = statistics.median((one.read + one.preprocess) / one.inference for one in spent)
    last = spent[-1]
    print(
        f"{len(data) / 1e6:.1f} MB; the last: read {last.read:.0f} ms, preprocess {last.preprocess:.0f} ms, "
        f"inference {last.inference:.0f} ms",
        file=sys.stderr,
    )
    return [Figure("around the inference of a 12-megapixel JPEG with DeiT-Base", around, 0.35, "x")]


def print_changes(photographs: list[Path]) -> None:
    """Prints how much the answers for 12-megapixel JPEGs change when they are read at a fraction of the size."""
    pictures = [_photograph(path) for path in photographs]
    model = classify.open_model("demo", "pretrained", settings.load())
    compared = [_compare(model, data) for data in pictures]
    same = sum(same for same, *_ in compared)
    print(
        f"same top-1 on {same} of {len(compared)}, cosine at least {min(cosine for _, cosine, *_ in compared):.6f}, "
        f"input off by {statistics.fmean(off for *_, off, _ in compared):.4f} on average, "
        f"probability by at most {max(change for *_, change in compared):.4f}"
    )


def _compare(model: Classifier, data: bytes) -> tuple[bool, float, float, float]:
    import torch

    quick = classify.tensor_from(model.prepare(data, settings.load()), model.spec)
    whole = classify.tensor_of(decode.decode(data, settings.load()), model.spec)
    ours, theirs = model.logits(quick), model.logits(whole)
    cosine = float(torch.nn.functional.cosine_similarity(ours, theirs, dim=0))
    change = float((torch.softmax(ours, 0) - torch.softmax(theirs, 0)).abs().max())
    return int(ours.argmax()) == int(theirs.argmax()), cosine, float((quick - whole).abs().mean()), change


def _photograph(path: Path) -> bytes:
    """A JPEG as a phone saves it, with the grain of a sensor. Without the grain it would be a third of the size."""
    with Image.open(path) as picture:
        turned = picture.size[0] < picture.size[1]
        large = picture.convert("RGB").resize(SIZE[::-1] if turned else SIZE, Image.Resampling.LANCZOS)
    grain = np.random.default_rng(0).normal(0, GRAIN, (large.height, large.width, 1))
    large = Image.fromarray((np.asarray(large) + grain).clip(0, 255).astype(np.uint8))
    file = BytesIO()
    large.save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    for figure in figures():
        print(figure.line())
    if len(sys.argv) > 1:
        print_changes(sorted(path for path in Path(sys.argv[1]).iterdir() if path.suffix in (".JPEG", ".png")))

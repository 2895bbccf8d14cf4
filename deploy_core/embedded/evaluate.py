"""Measures the embedded model on CIFAR-10's 10,000 test pictures: the figures of the model card.

    python -m deploy_core.embedded.evaluate --data FOLDER

FOLDER holds ``test/<class>/*.jpg`` or ``test.tar.xz``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from deploy_core import models, settings
from deploy_core.embedded import LABELS
from deploy_core.embedded.data import read_split
from deploy_core.embedded.train import normalize

BATCH = 250


@torch.inference_mode()
def predictions(module: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits, float32 (N, classes), of pictures, uint8 (N, 3, 32, 32)."""
    return torch.cat([module(normalize(images[start : start + BATCH])) for start in range(0, len(images), BATCH)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with test/ or test.tar.xz")
    arguments = parser.parse_args()
    split = read_split(arguments.data, "test")
    module = models.load("demo", "pretrained", settings.load()).module
    started = time.perf_counter()
    logits = predictions(module, split.images)
    seconds = time.perf_counter() - started
    right = logits.argmax(1) == split.labels
    among_five = (logits.topk(5).indices == split.labels.unsqueeze(1)).any(1)
    print(f"pictures  {len(split)}")
    print(f"top-1     {right.float().mean():.2%}")
    print(f"top-5     {among_five.float().mean():.2%}")
    for index, label in enumerate(LABELS):
        print(f"  {label:12}{right[split.labels == index].float().mean():.1%}")
    print(f"{len(split) / seconds:.0f} pictures a second")


if __name__ == "__main__":
    main()

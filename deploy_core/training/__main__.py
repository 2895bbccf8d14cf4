"""``python -m deploy_core.training``: distils a DeiT on a person's own photographs.

    python -m deploy_core.training --photos PHOTOS --out RUN

The DeiT learns ImageNet's classes from EfficientNet-Lite0; the photographs need no labels. With ``--labels`` it learns
the classes that the folders in PHOTOS are named after. RUN gets ``weights.safetensors`` and ``labels.txt`` for
``python -m deploy_core import``, and a checkpoint, from which the same command goes on.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import torch

from deploy_core import embedded, settings
from deploy_core.errors import DeployError, InvalidRequest
from deploy_core.files import sha256
from deploy_core.training import student, teacher
from deploy_core.training.recipe import USUAL_BATCH, Recipe, going_on
from deploy_core.training.run import Job, train

MINUTES = 20
CPU_BATCH = 32
EXIT_MISTAKE, EXIT_INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.benchmark = True
    try:
        job = _job(_parser().parse_args(arguments), device)
        train(job, teacher.from_package(), device, settings.load(), lambda line: print(line, flush=True))
    except DeployError as error:
        print(f"deploy_core.training: {error}".replace("\n", " "), file=sys.stderr)
        return EXIT_MISTAKE
    except torch.OutOfMemoryError:
        print("deploy_core.training: The GPU's memory is full. Give a smaller --batch.", file=sys.stderr)
        return EXIT_MISTAKE
    except KeyboardInterrupt:
        print("deploy_core.training: interrupted; the same command goes on from the checkpoint.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _job(options: argparse.Namespace, device: str) -> Job:
    start: Path | None = options.start or (embedded.WEIGHTS if options.labels else None)
    recipe = going_on(student.shape_of(start), sha256(start)) if start else Recipe()
    recipe = replace(
        recipe,
        minutes=options.minutes or (math.inf if options.samples else MINUTES),
        samples=options.samples or math.inf,
        batch=options.batch or (USUAL_BATCH if device == "cuda" else CPU_BATCH),
    )
    return Job(options.photos, options.out, recipe, options.labels, start, options.test)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(f"{message[0].upper()}{message[1:]}.", f"See '{self.prog} --help'.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m deploy_core.training",
        description="Distil a DeiT from EfficientNet-Lite0 on your own photographs.",
    )
    parser.register("type", Path, settings.expanded)
    add = parser.add_argument
    add("--photos", type=Path, required=True, metavar="PATH", help="a folder of photographs, or a tar or zip of one")
    add("--labels", action="store_true", help="the folders in PATH are the classes to learn (ImageNet's)")
    add("--out", type=Path, required=True, metavar="RUN", help="folder for the weights, the labels and the checkpoint")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=_positive, metavar="M", help="how long to train, without reading and measuring"
    )
    length.add_argument("--samples", type=_positive, metavar="N", help="how many crops to train on, instead")
    add("--start", type=Path, metavar="WEIGHTS", help="go on from these weights (random; the embedded with --labels)")
    add("--test", type=Path, metavar="PATH", help="labelled pictures to measure the accuracy on: one folder a class")
    add("--batch", type=_whole, metavar="N", help=f"crops in a step ({USUAL_BATCH} on a GPU, {CPU_BATCH} without)")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())

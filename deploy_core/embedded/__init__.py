"""What ships with the project: a DeiT-Tiny that knows ImageNet, photographs, and what was measured with them."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "demo.safetensors"
SAMPLES = FOLDER / "samples"
PHOTOGRAPHS = FOLDER / "photographs"
SAVED_PROFILE = FOLDER / "profile.json"
SAVED_EVALUATION = FOLDER / "evaluation.json"
# What the embedded model answers about the samples, written by ``python -m deploy_core.training.ship``.
SAVED_ANSWERS = FOLDER / "answers.json"
SAVED_ALTERNATIVES = FOLDER / "alternatives.json"
# Built files in the layout of a store, so that a visitor's device can run one without a build.
ARTIFACTS = FOLDER / "artifacts"


LICENCES = {
    "CC BY 2.0": "https://creativecommons.org/licenses/by/2.0/",
    "CC0": "https://creativecommons.org/publicdomain/zero/1.0/",
}


@dataclass(frozen=True)
class Sample:
    """A photograph that visitors can try.

    ``right`` are the indices of the ImageNet classes that name what it shows. ``is_mistaken`` says whether the embedded
    model's first answer is another class. ``author``, ``licence`` (a key of ``LICENCES``) and ``page`` (an address) are
    the credit.
    """

    file: str
    title: str
    right: tuple[int, ...]
    is_mistaken: bool
    author: str
    licence: str
    page: str

    @property
    def path(self) -> Path:
        return SAMPLES / self.file


@functools.cache
def samples() -> tuple[Sample, ...]:
    """The photographs that visitors can try, in the order in which they are offered."""
    return tuple(
        Sample(
            file=row["file"],
            title=row["title"],
            right=tuple(map(int, row["right"].split())),
            is_mistaken=row["is_mistaken"] == "yes",
            author=row["author"],
            licence=row["licence"],
            page=row["page"],
        )
        for row in _rows("samples.csv")
    )


@functools.cache
def photographs() -> tuple[Path, ...]:
    """The photographs on which files are compared with the original: 299 x 299 pixels, each of another class.

    ``photographs.csv`` has the class, the author, the licence and the page of each.
    """
    return tuple(PHOTOGRAPHS / row["file"] for row in _rows("photographs.csv"))


def picture(file: str) -> Path:
    """The path of the sample or the photograph that is called ``file``."""
    return next(folder / file for folder in (PHOTOGRAPHS, SAMPLES) if (folder / file).is_file())


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))

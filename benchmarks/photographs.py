"""The embedded model on real photographs, which are not 32x32: ``python -m benchmarks.photographs FOLDER``.

FOLDER holds ``<WordNet id>_<class>.JPEG`` files. The model should name the right class for those that show one of the
ten classes. For the others every answer is wrong, and a low probability is better. An ambulance and a racing car are
left out, because people would not agree on their class either.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from deploy_core import embedded, settings
from deploy_core.inference import classify
from deploy_core.types import Answer

SHOWS = {
    "airliner": "airplane",
    "container_ship": "ship",
    "golden_retriever": "dog",
    "goldfinch": "bird",
    "jeep": "automobile",
    "sorrel": "horse",
    "sports_car": "automobile",
    "tabby": "cat",
    "toucan": "bird",
    "trailer_truck": "truck",
    "tree_frog": "frog",
}
NONE_OF_THEM = (
    "African_elephant",
    "acoustic_guitar",
    "banana",
    "coffee_mug",
    "ladybug",
    "timber_wolf",
    "zebra",
)
GALLERY = {"chelsea.png": "cat"}


def main(folder: Path) -> None:
    limits = settings.load()
    classifier = classify.open_model("demo", "pretrained", limits)

    def ask(path: Path) -> Answer:
        return classifier.classify(str(path), limits, top=1).top[0]

    right = 0
    shown = in_class(folder)
    for path, label in shown.items():
        answer = ask(path)
        right += answer.label == label
        print(f"{path.name:36}{label:12}{answer.label:12}{answer.probability:7.1%}")
    others = [(path, ask(path)) for path in of_no_class(folder)]
    for path, answer in others:
        print(f"{path.name:36}{'none':12}{answer.label:12}{answer.probability:7.1%}")
    print(f"right: {right} of {len(shown)}")
    print(f"mean top-1 probability where none is right: {statistics.fmean(a.probability for _, a in others):.1%}")


def in_class(folder: Path) -> dict[Path, str]:
    """The pictures of the gallery and of ``folder`` that show one of the ten classes, each with its class."""
    gallery = {embedded.SAMPLES / name: label for name, label in GALLERY.items()}
    return gallery | {_path(folder, name): label for name, label in SHOWS.items()}


def of_no_class(folder: Path) -> list[Path]:
    """The pictures that show none of the ten classes."""
    return [_path(folder, name) for name in NONE_OF_THEM]


def _path(folder: Path, name: str) -> Path:
    return next(folder.glob(f"n*_{name}.JPEG"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

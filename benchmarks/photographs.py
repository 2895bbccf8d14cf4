"""The embedded model on real photographs, which are not 32x32: ``python -m benchmarks.photographs FOLDER``.

FOLDER holds ``<WordNet id>_<class>.JPEG`` files. Those that show one of the ten classes should be named right; the
others can only be named wrong, and the less sure the model is of them, the better. Two are left out, because people
would not agree on their class either: an ambulance and a racing car.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from deploy_core import classify, embedded, settings
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

    inside = {path.stem.split("_", 1)[1]: path for path in sorted(folder.glob("n*.JPEG"))}
    pairs = [(embedded.SAMPLES / name, label) for name, label in GALLERY.items()]
    pairs += [(inside[name], label) for name, label in SHOWS.items()]
    right = 0
    for path, label in pairs:
        answer = ask(path)
        right += answer.label == label
        print(f"{path.name:36}{label:12}{answer.label:12}{answer.probability:7.1%}")
    others = [(inside[name], ask(inside[name])) for name in NONE_OF_THEM]
    for path, answer in others:
        print(f"{path.name:36}{'none':12}{answer.label:12}{answer.probability:7.1%}")
    print(f"right: {right} of {len(pairs)}")
    print(f"mean top-1 probability where none is right: {statistics.fmean(a.probability for _, a in others):.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

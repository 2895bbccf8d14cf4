"""The embedded model on photographs that are not labelled by folder: ``python -m benchmarks.photographs FOLDER``.

FOLDER holds ``<WordNet id>_<class>.JPEG`` files. Prints where the right class is among the model's guesses.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy_core import settings
from deploy_core.inference import classify
from deploy_core.models import catalogue, load

GUESSES = 5


def main(folder: Path) -> None:
    limits = settings.load()
    classifier = classify.open_model("demo", "pretrained", limits)
    ids = catalogue.label_ids(load.find("demo"))
    places = []
    for path in sorted(folder.glob("n????????_*.JPEG")):
        guesses = classifier.classify(str(path), limits, top=GUESSES).top
        right = ids.index(path.name.split("_")[0])
        place = next((place for place, guess in enumerate(guesses, 1) if guess.index == right), None)
        places.append(place)
        print(f"{path.stem[10:]:20}{place or '-':>3}  {guesses[0].label.split(',')[0]:24}{guesses[0].probability:7.1%}")
    print(f"first: {places.count(1)} of {len(places)}, among {GUESSES}: {len(places) - places.count(None)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

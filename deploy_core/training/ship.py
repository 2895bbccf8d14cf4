"""Makes what ships with the project: built files, in the layout of a store, and the answers about the samples.

    python -m deploy_core.training.ship

Run it after a change of the weights, of the preprocessing, or of the versions of packages.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from deploy_core import build, documents, embedded, settings
from deploy_core.embedded import Sample
from deploy_core.inference import attention, shipped
from deploy_core.inference.classify import Classifier, open_model, tensor_from
from deploy_core.inference.shipped import ShippedAnswer
from deploy_core.settings import Settings
from deploy_core.storage.locks import LOCK
from deploy_core.storage.shelf import open_shelf
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest

FORMATS = ("onnx_int8",)


def main() -> None:
    ship_answers()
    ship_files()


def ship_answers() -> None:
    limits = settings.load()
    model = open_model("demo", "pretrained", limits)
    answers = tuple(_answer(model, sample, limits) for sample in embedded.samples())
    documents.write(embedded.SAVED_ANSWERS, shipped.of(model.spec, answers))


def _answer(model: Classifier, sample: Sample, limits: Settings) -> ShippedAnswer:
    picture = model.prepare(sample.path.read_bytes(), limits)
    looks = attention.rollout(model.module, model.spec.family, tensor_from(picture, model.spec))
    top = model.classify_prepared(picture, sample.file, shipped.MOST_CLASSES).top
    return ShippedAnswer(shipped.digest(sample), top, looks.tolist())


def ship_files() -> None:
    request = BuildRequest("demo", "pretrained", FORMATS)
    with tempfile.TemporaryDirectory() as home:
        limits = replace(settings.load(), home=Path(home))
        store = Store(limits)
        with open_shelf(store, request) as shelf:
            build.build(request, shelf, limits, lambda event: print(event.message))
        shutil.rmtree(embedded.ARTIFACTS, ignore_errors=True)
        for stored in (store.find(request)[key] for key in FORMATS):
            shutil.copytree(stored.folder, embedded.ARTIFACTS / stored.key, ignore=shutil.ignore_patterns(LOCK))


if __name__ == "__main__":
    main()

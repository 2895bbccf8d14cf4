"""What ships with the project: the embedded model knows its samples, and every photograph has its credit."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from deploy_core import embedded
from deploy_core.embedded import Sample
from deploy_core.files import sha256
from deploy_core.inference import classify, views
from deploy_core.inference.classify import Classifier
from deploy_core.models import catalogue, load
from deploy_core.settings import Settings
from deploy_core.types import PictureView
from tests.whole_build import RUN_HERE, WholeBuild

WOLF, ZEBRA = 269, 340


def rows(name: str) -> list[dict[str, str]]:
    with (embedded.FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


PICTURES = [
    *((embedded.SAMPLES, row) for row in rows("samples.csv")),
    *((embedded.PHOTOGRAPHS, row) for row in rows("photographs.csv")),
]


@pytest.fixture(scope="module")
def model() -> Classifier:
    return classify.open_model("demo", "pretrained", Settings())


@pytest.fixture(scope="module")
def opened(whole_build: WholeBuild) -> dict[str, Classifier]:
    """The embedded model's file in each format."""
    return {key: classify.open_artifact(whole_build.path(key), "demo", "pretrained") for key in RUN_HERE}


def best(classifier: Classifier, path: Path, count: int) -> list[int]:
    """The indices of the most probable classes."""
    return [answer.index for answer in classifier.classify(str(path), Settings(), count).top]


@pytest.mark.parametrize(("folder", "row"), PICTURES, ids=[row["file"] for _, row in PICTURES])
def test_a_picture_opens_and_has_its_credit(folder: Path, row: dict[str, str]) -> None:
    with Image.open(folder / row["file"]) as picture:
        picture.load()
        assert picture.format in ("JPEG", "PNG")
    assert row["author"].strip()
    assert row["licence"] in embedded.LICENCES
    assert row["page"].startswith(("http://", "https://"))


def test_there_are_enough_pictures_and_none_twice() -> None:
    assert len(embedded.samples()) >= 8
    assert len(embedded.photographs()) >= 64
    hashes = [sha256(folder / row["file"]) for folder, row in PICTURES]
    assert len(set(hashes)) == len(hashes)


def test_no_picture_ships_without_its_credit() -> None:
    for folder in (embedded.SAMPLES, embedded.PHOTOGRAPHS):
        there = {path.name for path in folder.iterdir() if path.suffix != ".md"}
        assert there == {row["file"] for home, row in PICTURES if home == folder}


def test_each_photograph_is_of_another_class_of_the_model() -> None:
    ids = catalogue.label_ids(load.find("demo"))
    indices = [int(row["index"]) for row in rows("photographs.csv")]
    assert len(set(indices)) == len(indices)
    assert set(indices) <= set(range(1000))
    assert [ids[index] for index in indices] == [path.name.split("_")[0] for path in embedded.photographs()]


def test_files_are_compared_on_the_first_sample_and_photographs() -> None:
    whole = [embedded.picture(view.file) for view in islice(views.views(), 272) if view == PictureView(view.file)]
    samples = [sample.path for sample in embedded.samples()]
    assert whole == [samples[0], *embedded.photographs(), *samples[1:]]


@pytest.mark.parametrize("sample", embedded.samples(), ids=lambda sample: sample.file)
def test_a_sample_is_named_right_unless_it_says_otherwise(sample: Sample, model: Classifier) -> None:
    (first,) = best(model, sample.path, 1)
    assert (first not in sample.right) is sample.is_mistaken


def test_the_tutorials_wolf_is_among_the_first_three(photos: Path, model: Classifier) -> None:
    assert WOLF in best(model, photos / "wolf.png", 3)


@pytest.mark.parametrize("key", RUN_HERE)
def test_every_file_knows_the_zebra(key: str, opened: dict[str, Classifier]) -> None:
    assert best(opened[key], embedded.SAMPLES / "zebra.jpg", 1) == [ZEBRA]


@pytest.mark.parametrize("key", RUN_HERE)
def test_every_file_has_the_tutorials_wolf_among_its_first_three(
    key: str, photos: Path, opened: dict[str, Classifier]
) -> None:
    assert WOLF in best(opened[key], photos / "wolf.png", 3)

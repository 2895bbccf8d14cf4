from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from deploy_core.errors import InvalidPictureSet
from deploy_core.evaluation.class_names import ClassNames
from deploy_core.models import load
from deploy_core.models.own import card
from tests.own_model import SHAPE

Form = Literal["NFC", "NFD"]
# Only a person's own model has labels of its own.
PETS = ClassNames(replace(card.without_file(SHAPE, "pets", ("cat", "dog", "ship")), file=Path("pets.safetensors")))
IMAGENET = ClassNames(load.find("deit_base_patch16_224"))


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("n02114367", 269),
        ("timber wolf", 269),
        ("Grey_Wolf", 269),
        ("timber-wolf,-grey-wolf,-gray-wolf,-Canis-lupus", 269),
        ("269", 269),
    ],
)
def test_a_class_has_many_names(name: str, index: int) -> None:
    assert IMAGENET.indices([name]) == {name: index}


def test_the_embedded_model_knows_the_same_classes() -> None:
    embedded = ClassNames(load.find("demo"))
    assert embedded.labels == IMAGENET.labels
    assert embedded.indices(["n02391049", "School Bus"]) == {"n02391049": 340, "School Bus": 779}


def test_the_classes_of_an_own_model_are_known_by_their_labels() -> None:
    assert PETS.indices(["cat", "Ship"]) == {"cat": 0, "Ship": 2}
    assert not PETS.knows("n02123045")


@pytest.mark.parametrize("name", ["crane", "maillot"])
def test_a_name_of_two_classes_names_neither(name: str) -> None:
    assert not IMAGENET.knows(name)


def test_unknown_folders_are_named_with_a_guess() -> None:
    with pytest.raises(InvalidPictureSet, match="no class 'cats', 'boat'.*Did you mean 'cat'.*: cat, dog, ship"):
        PETS.indices(["cats", "dog", "boat"])


def test_the_names_of_many_classes_are_not_listed() -> None:
    with pytest.raises(InvalidPictureSet, match="no class 'zebras'.*Did you mean 'zebra'.*ids work too: n02114367"):
        IMAGENET.indices(["zebras"])


def test_many_unknown_folders_are_counted() -> None:
    with pytest.raises(InvalidPictureSet, match="'a', 'b', 'c' and 2 more"):
        PETS.indices(list("abcde"))


def test_two_folders_of_one_class_are_refused() -> None:
    with pytest.raises(InvalidPictureSet, match="cat, Cat mean the same class"):
        PETS.indices(["cat", "Cat", "dog"])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("of_labels", ["NFC", "NFD"])
def test_a_name_is_known_however_its_letters_are_composed(form: Form, of_labels: Form) -> None:
    labels = tuple(unicodedata.normalize(of_labels, label) for label in ("café", "naïve fish", "Straße"))
    names = ClassNames(replace(card.without_file(SHAPE, "x", labels), file=Path("x.safetensors")))
    folders = [unicodedata.normalize(form, name) for name in ("CAFÉ", "naïve-fish", "strasse")]
    assert [*names.indices(folders).values()] == [0, 1, 2]

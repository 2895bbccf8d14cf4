from __future__ import annotations

import pytest

from deploy_core.errors import InvalidPictureSet
from deploy_core.evaluation.class_names import ClassNames
from deploy_core.models import load

DEMO = ClassNames(load.find("demo"))
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


def test_the_embedded_classes_are_known_by_their_labels() -> None:
    assert DEMO.indices(["cat", "Truck"]) == {"cat": 3, "Truck": 9}


@pytest.mark.parametrize("name", ["crane", "maillot"])
def test_a_name_of_two_classes_names_neither(name: str) -> None:
    assert not IMAGENET.knows(name)


def test_unknown_folders_are_named_with_a_guess() -> None:
    with pytest.raises(InvalidPictureSet, match="no class 'cats', 'boat'.*Did you mean 'cat'.*airplane, automobile"):
        DEMO.indices(["cats", "dog", "boat"])


def test_many_unknown_folders_are_counted() -> None:
    with pytest.raises(InvalidPictureSet, match="'a', 'b', 'c' and 2 more"):
        DEMO.indices(list("abcde"))


def test_two_folders_of_one_class_are_refused() -> None:
    with pytest.raises(InvalidPictureSet, match="cat, Cat mean the same class"):
        DEMO.indices(["cat", "Cat", "dog"])

"""Finds the class index of a model for the name of a class folder."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from deploy_core.errors import InvalidPictureSet, UnknownClasses
from deploy_core.models import catalogue
from deploy_core.models.spec import ModelSpec

SEPARATORS = re.compile(r"[\s_-]+")
SHOWN = 3
FEW = 20


class ClassNames:
    """The accepted names of a model's classes: label, one of its synonyms, ImageNet's WordNet id, or index.

    Ignores case and how Unicode composes a letter, and treats hyphens and underscores as spaces. A name that two
    classes share is not accepted.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.labels = catalogue.labels(spec)
        names = [*enumerate(self.labels)]
        for index, label in enumerate(self.labels):
            names += [(index, synonym) for synonym in label.split(",")] if "," in label else []
        names += enumerate(catalogue.label_ids(spec))
        candidates: dict[str, set[int]] = {}
        for index, name in names:
            candidates.setdefault(_normal(name), set()).add(index)
        self._indices = {str(index): index for index in range(len(self.labels))}
        self._indices |= {name: next(iter(classes)) for name, classes in candidates.items() if len(classes) == 1}

    def knows(self, name: str) -> bool:
        return _normal(name) in self._indices

    def indices(self, folders: Sequence[str]) -> dict[str, int]:
        """The class index of each folder.

        Raises UnknownClasses, which names the folders that are not classes, and InvalidPictureSet for two that are one.
        """
        unknown = [name for name in folders if not self.knows(name)]
        if unknown:
            raise self._unknown(unknown)
        indices = {name: self._indices[_normal(name)] for name in folders}
        twice = [index for index, count in Counter(indices.values()).items() if count > 1]
        if twice:
            same = [name for name, index in indices.items() if index == twice[0]]
            raise InvalidPictureSet(
                f"The folders {', '.join(same)} mean the same class.", "Put their pictures into one of them."
            )
        return indices

    def _unknown(self, unknown: Sequence[str]) -> UnknownClasses:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        similar = difflib.get_close_matches(_normal(unknown[0]), self._indices, n=1)
        hint = f" Did you mean '{similar[0]}'?" if similar else ""
        if not all(name.isascii() for name in unknown):
            # Text in another encoding can be valid UTF-8: GBK's name of a cat is one letter with an accent.
            hint += " If a name looks wrong, its encoding is unknown: pack the pictures with names in UTF-8."
        few = (
            f"Its classes: {', '.join(self.labels)}."
            if len(self.labels) <= FEW
            else "ImageNet's ids work too: n02114367."
        )
        return UnknownClasses(
            f"The model has no class {', '.join(repr(name) for name in unknown[:SHOWN])}{more}.",
            f"Name each folder after a class of the model, or remove it.{hint} {few}",
        )


def composed(name: str) -> str:
    """The name in Unicode's composed form, in which equal names have equal characters."""
    return unicodedata.normalize("NFC", name)


def _normal(name: str) -> str:
    return composed(SEPARATORS.sub(" ", composed(name)).strip().casefold())

"""What the shapes of the tensors do not show: from a person, from timm's config, or from notes in the checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from deploy_core.errors import InvalidCheckpoint, InvalidRequest
from deploy_core.models import catalogue
from deploy_core.models.own import card, preprocessing
from deploy_core.models.own.labels import labels_in_notes
from deploy_core.models.own.preprocessing import CROP_MODES, INTERPOLATIONS, NORMALIZATIONS
from deploy_core.models.spec import Architecture
from deploy_core.types import Preprocessing


@dataclass(frozen=True)
class Corrections:
    """Values that replace what was read from the tensors' shapes, or the defaults. None replaces nothing.

    ``size`` is the input's side in pixels; the position embeddings are interpolated to it. ``resize`` is the size in
    pixels to which a picture is resized before the center crop. ``crop_mode`` is one of ``CROP_MODES``, as in
    ``Preprocessing``. ``normalization`` is a key of ``NORMALIZATIONS``.
    """

    heads: int | None = None
    size: int | None = None
    resize: int | None = None
    crop_mode: str | None = None
    normalization: str | None = None
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] | None = None

    def merged_with(self, defaults: Corrections) -> Corrections:
        """Values set here win; missing ones come from ``defaults``."""
        return Corrections(**{one.name: getattr(self, one.name) or getattr(defaults, one.name) for one in fields(self)})


def from_timm_config(config: Mapping[str, Any]) -> Corrections:
    """The labels and the preprocessing in timm's ``config.json``; nothing else in it is used."""
    trained = config.get("pretrained_cfg")
    trained = trained if isinstance(trained, Mapping) else {}
    labels = labels_in_notes(config) or labels_in_notes(trained)
    try:
        size = int(trained["input_size"][-1])
        mean, std = (tuple(float(number) for number in trained[key]) for key in ("mean", "std"))
        resize = math.floor(size / float(trained.get("crop_pct") or 1))
        how = Preprocessing(
            resize,
            size,
            mean,  # type: ignore[arg-type]
            std,  # type: ignore[arg-type]
            interpolation=str(trained.get("interpolation") or "bicubic"),
            crop_mode=str(trained.get("crop_mode") or "center"),
        )
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return Corrections(labels=labels)
    return Corrections(labels=labels, preprocessing=how)


def from_notes(notes: Mapping[str, Any], path: Path, classes: int) -> Corrections:
    """What a checkpoint of ``classes`` classes holds besides its tensors: the header of a model file, or labels."""
    text = notes.get(card.MODEL_KEY)
    try:
        spec = card.from_header(text, path) if isinstance(text, str) else None
    except InvalidCheckpoint:
        spec = None
    if spec is None or (spec.architecture is None and spec.classes != classes):
        return Corrections(labels=labels_in_notes(notes))
    known = Corrections(preprocessing=spec.preprocessing, labels=catalogue.labels(spec))
    shape = spec.architecture
    return known if shape is None else replace(known, heads=shape.heads, size=shape.size)


def preprocessing_for(shape: Architecture, corrections: Corrections) -> Preprocessing:
    """The preprocessing that ``corrections`` ask for; what they leave open is the family's default.

    Raises InvalidRequest for a preprocessing that cannot be done here, or does not give inputs of ``shape``.
    """
    usual = preprocessing.default_for(shape)
    known = corrections.preprocessing or usual
    mean, std = known.mean, known.std
    if corrections.normalization is not None:
        if corrections.normalization not in NORMALIZATIONS:
            raise InvalidRequest(
                f"There is no normalization '{corrections.normalization}'.", f"Choose: {', '.join(NORMALIZATIONS)}."
            )
        mean, std = NORMALIZATIONS[corrections.normalization]
    crop_mode = corrections.crop_mode or known.crop_mode
    for what, value, choices in (
        ("interpolation", known.interpolation, INTERPOLATIONS),
        ("crop mode", crop_mode, CROP_MODES),
    ):
        if value not in choices:
            raise InvalidRequest(
                f"The {what} '{value}' is not supported here, only {' and '.join(choices)}.",
                "Bring the weights as a file: pictures are then resized with bicubic and cropped to their center.",
            )
    resize = corrections.resize or (known.resize if known.resize >= shape.size else usual.resize)
    how = Preprocessing(resize, shape.size, mean, std, known.interpolation, crop_mode)
    if not preprocessing.is_possible(how, shape):
        raise InvalidRequest(
            f"A picture resized to {how.resize} pixels has no center of {shape.size}.",
            f"Resize to {shape.size} or more, and to less than {4 * shape.size}.",
        )
    return how

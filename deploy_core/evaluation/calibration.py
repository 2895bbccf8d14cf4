"""A person's own pictures for static quantizers: the same sets that files are evaluated on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from deploy_core.errors import InvalidPicture, InvalidPictureSet
from deploy_core.evaluation.evaluate import open_pictures
from deploy_core.formats.format import CalibrationPictures
from deploy_core.inference import calibration
from deploy_core.inference.classify import tensor_from
from deploy_core.models.spec import ModelSpec
from deploy_core.pictures import pool
from deploy_core.pictures.formats import READABLE
from deploy_core.settings import Settings


def of_set(path: Path, spec: ModelSpec, settings: Settings) -> CalibrationPictures:
    """Up to ``calibration.PICTURES`` pictures of a labelled set, from all of its classes. Raises InvalidPictureSet."""
    pictures = open_pictures(path, spec, settings)
    step = -(-len(pictures.entries) // calibration.PICTURES)
    reading = pool.shared(settings)
    inputs = []
    for position, (_, data) in enumerate(pictures.pictures()):
        if data is not None and position % step == 0:
            with suppress(InvalidPicture):
                inputs.append(tensor_from(reading.prepare(data, spec.preprocessing), spec))
    if not inputs:
        raise InvalidPictureSet(f"None of the pictures in {path.name} can be read.", READABLE)
    return calibration.of(path.name, inputs)

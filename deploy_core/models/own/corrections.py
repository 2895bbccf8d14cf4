"""What a person says about a model, and what follows for its preprocessing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deploy_core.errors import InvalidCheckpoint, InvalidRequest
from deploy_core.models.namings import Usual
from deploy_core.models.own import preprocessing
from deploy_core.models.own.preprocessing import CROP_MODES, INTERPOLATIONS, NORMALIZATIONS
from deploy_core.models.own.timm_facts import POOLINGS
from deploy_core.models.own.told import Picture, Told
from deploy_core.models.spec import Architecture
from deploy_core.types import Preprocessing


@dataclass(frozen=True)
class Corrections:
    """Values that replace what was read from a checkpoint, or the defaults. None replaces nothing.

    ``size`` is the input's side in pixels; the position embeddings are interpolated to it. ``resize`` is the size in
    pixels to which a picture is resized before the center crop. ``crop_mode`` is one of ``CROP_MODES``, as in
    ``Preprocessing``. ``normalization`` is a key of ``NORMALIZATIONS``. ``pooling`` is ``token`` or ``avg``, as in
    ``Variant``. ``part`` names one of several models in a checkpoint, such as ``state_dict_ema``.
    """

    heads: int | None = None
    size: int | None = None
    resize: int | None = None
    crop_mode: str | None = None
    normalization: str | None = None
    pooling: str | None = None
    labels: tuple[str, ...] | None = None
    part: str | None = None

    def __post_init__(self) -> None:
        if self.pooling not in (None, *POOLINGS):
            raise InvalidRequest(f"There is no pooling '{self.pooling}'.", f"Choose: {', '.join(POOLINGS)}.")


def preprocessing_for(shape: Architecture, corrections: Corrections, told: Told, usual: Usual | None) -> Preprocessing:
    """The preprocessing by ``corrections``, else as ``told``, else as the library usually does, else the family's.

    Raises InvalidRequest for a preprocessing that cannot be done here, or does not give inputs of ``shape``.
    """
    known = preprocessing.default_for(shape, usual)
    mean, std = told.normalization or (known.mean, known.std)
    if corrections.normalization is not None:
        if corrections.normalization not in NORMALIZATIONS:
            raise InvalidRequest(
                f"There is no normalization '{corrections.normalization}'.", f"Choose: {', '.join(NORMALIZATIONS)}."
            )
        mean, std = NORMALIZATIONS[corrections.normalization]
    picture = told.picture or Picture(known.resize, shape.size, known.interpolation, known.crop_mode)
    crop_mode = corrections.crop_mode or picture.crop_mode
    for what, value, choices in (
        ("interpolation", picture.interpolation, INTERPOLATIONS),
        ("crop mode", crop_mode, CROP_MODES),
    ):
        if value not in choices:
            raise InvalidRequest(
                f"The {what} '{value}' is not supported here, only {' and '.join(choices)}.",
                "Bring the weights as a file: pictures are then resized with bicubic and cropped to their center.",
            )
    resize = corrections.resize or _resize(shape, corrections, picture)
    how = Preprocessing(resize, shape.size, mean, std, picture.interpolation, crop_mode)
    if not preprocessing.is_possible(how, shape):
        raise InvalidRequest(
            f"A picture resized to {how.resize} pixels has no center of {shape.size}.",
            f"Resize to {shape.size} or more, and to less than {4 * shape.size}.",
        )
    return how


def _resize(shape: Architecture, corrections: Corrections, picture: Picture) -> int:
    """The resize for an input of ``shape``, in the proportion of ``picture``."""
    if corrections.crop_mode == "squash" and picture.crop_mode != "squash":
        return shape.size
    if picture.crop == shape.size:
        return picture.resize
    if picture.is_exact and corrections.size is None:
        raise InvalidCheckpoint(
            f"The files beside the weights make inputs of {picture.crop} pixels, and the model takes {shape.size}.",
            f"Correct preprocessor_config.json, or ask for an input of {picture.crop} pixels (--size).",
        )
    return max(shape.size, picture.resize * shape.size // picture.crop)


def assumed_of(shape: Architecture, corrections: Corrections, told: Told, reads_class_token: bool) -> tuple[str, ...]:
    """The topics (``assumptions.TOPICS``) that neither a person nor a file settles.

    ``reads_class_token`` says that the library's head reads the class token, always.
    """
    return tuple(
        topic
        for topic in _open_topics(shape, told, reads_class_token)
        if not (topic in SETTLED_BY and any(getattr(corrections, name) is not None for name in SETTLED_BY[topic]))
    )


SETTLED_BY = {
    "normalization": ("normalization",),
    "picture": ("resize", "crop_mode"),
    "pooling": ("pooling",),
    "heads": ("heads",),
}


def _open_topics(shape: Architecture, told: Told, reads_class_token: bool) -> Iterator[str]:
    if told.assumed is not None:
        yield from told.assumed
        return
    if told.normalization is None:
        yield "normalization"
    if told.picture is None or told.picture.crop != shape.size:
        yield "picture"
    # Tensors show a mean of the patches by the name of the norm after it.
    could_be_either = shape.family in ("vit", "deit") and not shape.kind.fc_norm
    if told.pooling is None and could_be_either and not reads_class_token:
        yield "pooling"
    if told.heads is None:
        yield "heads"

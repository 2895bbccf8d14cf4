"""What files and notes tell about a model besides its tensors.

``config.json`` of timm or transformers and ``preprocessor_config.json`` lie beside the weights; training scripts save
notes with them. They are data: names of architectures are looked up among timm's plain Vision Transformers, and nothing
in them is called. What contradicts a model that can be built here is refused with the reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from deploy_core.errors import InvalidCheckpoint
from deploy_core.models import refusals
from deploy_core.models.own import timm_facts
from deploy_core.models.own.labels import labels_in_notes

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
DOCUMENTS = (CONFIG, PREPROCESSOR)
# Pillow's numbers of its filters, as transformers saves them.
RESAMPLES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}

TRANSFORMERS = {"vit": "", "deit": ""}
RESCALE = 1 / 255

Normalization = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class Picture:
    """How pictures are resized and cropped, in pixels. ``is_exact``: for other inputs than ``crop`` it is no use."""

    resize: int
    crop: int
    interpolation: str
    crop_mode: str
    is_exact: bool = False


@dataclass(frozen=True)
class Told:
    """What is known besides the tensors; None and empty values are unknown.

    ``numbers`` are fields of an ``Architecture`` that the tensors must confirm. ``assumed`` are the topics that an own
    model's card calls assumed. ``source`` is who says it, for errors.
    """

    source: str = ""
    family: str | None = None
    heads: int | None = None
    size: int | None = None
    pooling: str | None = None
    norm_eps: float | None = None
    normalization: Normalization | None = None
    picture: Picture | None = None
    labels: tuple[str, ...] | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    assumed: tuple[str, ...] | None = None

    def or_else(self, other: Told) -> Told:
        """Values known here win; missing ones come from ``other``."""
        mine = {one.name: getattr(self, one.name) for one in fields(self)}
        return Told(**{key: getattr(other, key) if value in (None, "", {}) else value for key, value in mine.items()})


def beside(documents: Mapping[str, str]) -> Told:
    """What the documents say, by their file names. Raises InvalidCheckpoint for a model that is not taken here."""
    read = {name: _json(name, documents[name]) for name in DOCUMENTS if name in documents}
    config, processor = read.get(CONFIG, {}), read.get(PREPROCESSOR, {})
    told = Told()
    if "architecture" in config:
        told = of_timm(config)
    elif "model_type" in config:
        told = of_transformers(config)
    elif config:
        told = Told(labels=labels_in_notes(config))
    return of_processor(processor).or_else(told) if processor else told


def of_timm(config: Mapping[str, Any]) -> Told:
    """timm's ``config.json``. Raises InvalidCheckpoint for an architecture that is no plain ViT."""
    trained = config.get("pretrained_cfg")
    trained = trained if isinstance(trained, Mapping) else config
    arguments = config.get("model_args")
    arguments = arguments if isinstance(arguments, Mapping) else {}
    facts = timm_facts.of(str(config["architecture"]), arguments, config.get("global_pool"))
    numbers = {**facts.numbers, **_numbers({"classes": config.get("num_classes")})}
    return Told(
        source=CONFIG,
        family=facts.family,
        heads=facts.heads,
        pooling=facts.pooling,
        norm_eps=facts.norm_eps,
        normalization=_normalization(trained.get("mean"), trained.get("std")),
        picture=_timm_picture(trained),
        labels=labels_in_notes(config) or labels_in_notes(trained),
        numbers=numbers,
    )


def of_transformers(config: Mapping[str, Any]) -> Told:
    """``config.json`` of transformers. Raises InvalidCheckpoint for a model that is no ViT or DeiT classifier."""
    kind = str(config.get("model_type"))
    if kind not in TRANSFORMERS:
        raise InvalidCheckpoint(f"{CONFIG} says that the model is a '{kind}' of transformers.", refusals.TAKEN)
    refuse_activation(config.get("hidden_act", "gelu"), CONFIG)
    if config.get("problem_type") not in (None, "single_label_classification"):
        raise InvalidCheckpoint(
            f"{CONFIG} says '{config['problem_type']}', and answers here are one class per picture.",
            "Give a model that was trained for one class per picture.",
        )
    sizes = {key: _one(config.get(f"{key}_size")) for key in ("image", "patch")}
    labels = labels_in_notes({"id2label": config.get("id2label")})
    return Told(
        source=CONFIG,
        family="deit" if kind == "deit" else None,
        heads=_certain(config, "num_attention_heads") or 12,
        pooling="token",
        norm_eps=_number(config.get("layer_norm_eps", 1e-12)),
        labels=labels or ("LABEL_0", "LABEL_1"),
        numbers=_numbers(
            {
                "width": _certain(config, "hidden_size"),
                "depth": _certain(config, "num_hidden_layers"),
                "hidden": _certain(config, "intermediate_size"),
                "patch": sizes["patch"],
                "size": sizes["image"],
            }
        ),
    )


def of_processor(config: Mapping[str, Any]) -> Told:
    """``preprocessor_config.json`` of transformers."""
    factor = 1.0
    if config.get("do_rescale", True):
        factor = (_number(config.get("rescale_factor", RESCALE)) or RESCALE) / RESCALE
    else:
        factor = 1 / RESCALE
    known: Normalization | None = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    if config.get("do_normalize", True):
        known = _normalization(config.get("image_mean"), config.get("image_std"))
    if known is not None and not math.isclose(factor, 1, rel_tol=1e-6):
        # Pixels of 0 to 1 times the factor, then normalized.
        mean, std = (tuple(value / factor for value in values) for values in known)
        known = (mean, std)  # type: ignore[assignment]
    return Told(source=PREPROCESSOR, normalization=known, picture=_processors_picture(config))


def of_notes(notes: Mapping[str, Any]) -> Told:
    """What training scripts of timm and of DeiT's authors save beside the weights: the architecture, and labels."""
    labels = Told(labels=labels_in_notes(notes))
    arguments = notes.get("args")
    arguments = arguments if isinstance(arguments, Mapping) else getattr(arguments, "__dict__", {})
    name = notes.get("arch") or arguments.get("model")
    if not isinstance(name, str) or not timm_facts.is_known(name):
        return labels
    given = {key: value for key, value in arguments.items() if value is not None}
    given_kwargs = given.get("model_kwargs")
    options = dict(given_kwargs) if isinstance(given_kwargs, Mapping) else {}
    if given.get("gp"):
        options["global_pool"] = given["gp"]
    facts = timm_facts.of(name, options, None)
    trained = timm_facts.usual(name) | {
        key: given[key] for key in ("mean", "std", "crop_pct", "interpolation", "crop_mode") if key in given
    }
    return labels.or_else(
        Told(
            source="the checkpoint's notes",
            family=facts.family,
            heads=facts.heads,
            pooling=facts.pooling,
            norm_eps=facts.norm_eps,
            normalization=_normalization(trained.get("mean"), trained.get("std")),
            picture=None if facts.family == "deit" else _timm_picture(trained),
            numbers=facts.numbers,
        )
    )


def refuse_activation(name: Any, source: str) -> None:
    """Raises InvalidCheckpoint for an activation other than GELU."""
    if name not in (None, "gelu", "gelu_python"):
        raise InvalidCheckpoint(
            f"{source} says that the activation is '{name}', and models are built with GELU here.",
            "Give a model with GELU: with another activation its answers would be wrong.",
        )


def _json(name: str, text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidCheckpoint(
            f"{name} beside the weights cannot be read.", "Mend it, or give the weights alone."
        ) from error
    if not isinstance(document, dict):
        raise InvalidCheckpoint(f"{name} beside the weights holds no settings.", "Mend it, or give the weights alone.")
    return document


def _timm_picture(trained: Mapping[str, Any]) -> Picture | None:
    try:
        size = int(trained["input_size"][-1])
        resize = math.floor(size / float(trained.get("crop_pct") or 1))
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return None
    return Picture(
        resize, size, str(trained.get("interpolation") or "bicubic"), str(trained.get("crop_mode") or "center")
    )


def _processors_picture(config: Mapping[str, Any]) -> Picture | None:
    """The resize and crop of an image processor: to a height and a width, or to a shortest edge with a crop."""
    if not config.get("do_resize", True):
        raise _odd_picture("does not resize pictures")
    size, crop = config.get("size"), config.get("crop_size")
    if not config.get("do_center_crop", False):
        crop = None
    edge = size.get("shortest_edge") if isinstance(size, Mapping) else None
    resize = _whole(edge) if edge is not None else _side(size)
    if size is None:
        return None
    if resize is None or (crop is not None and _side(crop) is None):
        raise _odd_picture("does not make pictures square")
    if edge is not None and crop is None:
        raise _odd_picture("does not make pictures square")
    code = config.get("resample", 2)
    filters = {**{str(key): value for key, value in RESAMPLES.items()}, **{name: name for name in RESAMPLES.values()}}
    return Picture(
        resize,
        (_side(crop) if crop is not None else None) or resize,
        filters.get(str(code), str(code)),
        "center" if edge is not None else "squash",
        is_exact=True,
    )


def _odd_picture(what: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(
        f"{PREPROCESSOR} {what}, which is not supported here.", "Correct it, or give the weights without it."
    )


def _side(size: Any) -> int | None:
    """The side of a square: a number, or equal height and width."""
    if isinstance(size, Mapping):
        return _whole(size.get("height")) if size.get("height") == size.get("width") else None
    return _one(size)


def _one(value: Any) -> int | None:
    """A number, or one of equal numbers."""
    if isinstance(value, list | tuple) and value and len(set(map(str, value))) == 1:
        value = value[0]
    return _whole(value)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9 else None


def _certain(config: Mapping[str, Any], key: str) -> int | None:
    """A whole number that may be missing, but not be anything else. Raises InvalidCheckpoint."""
    if key in config and _whole(config[key]) is None:
        raise InvalidCheckpoint(f"{CONFIG} says that {key} is {config[key]!r}.", "Correct it: it is a whole number.")
    return _whole(config.get(key))


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 10**9 else None


def _numbers(values: Mapping[str, Any]) -> dict[str, int]:
    found = {key: _whole(value) for key, value in values.items()}
    return {key: value for key, value in found.items() if value is not None}


def _normalization(mean: Any, std: Any) -> Normalization | None:
    try:
        values = tuple(tuple(float(number) for number in side) for side in (mean, std))
    except (TypeError, ValueError, OverflowError):
        return None
    if any(len(side) == 1 for side in values):
        values = tuple(side * 3 if len(side) == 1 else side for side in values)
    return values if all(len(side) == 3 for side in values) else None  # type: ignore[return-value]

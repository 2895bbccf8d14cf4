"""What is assumed about a model. People see it, with the likely alternatives, until they choose.

A topic is *assumed* if neither the weights, nor a file beside them, nor a person said it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy_core.models.own.corrections import Corrections
from deploy_core.models.own.preprocessing import NORMALIZATIONS, normalization_of
from deploy_core.models.spec import ModelSpec

HEAD_WIDTHS = (64, 32, 80, 96, 128)
MOST_ALTERNATIVES = 2
POOLING_WORDS = {"token": "the class token", "avg": "the mean of the patches"}


@dataclass(frozen=True)
class Alternative:
    """Another likely value, in words, and the correction that takes it."""

    text: str
    corrections: Corrections


@dataclass(frozen=True)
class Topic:
    """``taken`` says what was assumed, as a sentence. ``alternatives`` are the other likely values.

    ``keep`` is the correction that says that the assumption is right. ``option`` is the command's.
    """

    taken: Callable[[ModelSpec], str]
    alternatives: Callable[[ModelSpec], tuple[Alternative, ...]]
    keep: Callable[[ModelSpec], Corrections]
    option: str


def _normalization(spec: ModelSpec) -> str:
    return normalization_of(spec.preprocessing) or "its own"


def _normalizations(spec: ModelSpec) -> tuple[Alternative, ...]:
    others = [name for name in NORMALIZATIONS if name != normalization_of(spec.preprocessing)]
    return tuple(Alternative(name, Corrections(normalization=name)) for name in others)


def _framing(resize: int, crop_mode: str, size: int) -> str:
    if crop_mode == "squash":
        return f"squashed to {size} × {size}"
    return f"short side to {resize}, center of {size}" if resize > size else f"short side to {size}, center"


def _framed(spec: ModelSpec) -> str:
    how = spec.preprocessing
    return _framing(how.resize, how.crop_mode, how.crop)


def _framings(spec: ModelSpec) -> tuple[Alternative, ...]:
    size = spec.input_size
    ways = ((size * 8 // 7, "center"), (size, "center"), (size, "squash"))
    made = {_framing(*way, size): way for way in ways}
    made.pop(_framed(spec), None)
    return tuple(Alternative(text, Corrections(resize=way[0], crop_mode=way[1])) for text, way in made.items())


def _heads(spec: ModelSpec) -> int:
    return spec.architecture.heads if spec.architecture else 0


def _other_heads(spec: ModelSpec) -> tuple[Alternative, ...]:
    width = spec.architecture.width if spec.architecture else 0
    counts = [width // part for part in HEAD_WIDTHS if width % part == 0]
    likely = [count for count in dict.fromkeys(counts) if count and count != _heads(spec)]
    return tuple(Alternative(f"{count} heads", Corrections(heads=count)) for count in likely)


def _pooling(spec: ModelSpec) -> str:
    return spec.architecture.kind.pooling if spec.architecture else "token"


TOPICS: Mapping[str, Topic] = {
    "normalization": Topic(
        lambda spec: f"pixels normalized by {_normalization(spec)}",
        _normalizations,
        lambda spec: Corrections(normalization=normalization_of(spec.preprocessing)),
        "--normalization",
    ),
    "picture": Topic(
        lambda spec: f"pictures: {_framed(spec)}",
        _framings,
        lambda spec: Corrections(resize=spec.preprocessing.resize, crop_mode=spec.preprocessing.crop_mode),
        "--resize, --crop-mode",
    ),
    "pooling": Topic(
        lambda spec: f"its head reads {POOLING_WORDS[_pooling(spec)]}",
        lambda spec: tuple(
            Alternative(text, Corrections(pooling=pooling))
            for pooling, text in POOLING_WORDS.items()
            if pooling != _pooling(spec) and spec.architecture and spec.architecture.kind.class_token
        ),
        lambda spec: Corrections(pooling=_pooling(spec)),
        "--pooling",
    ),
    "heads": Topic(
        lambda spec: f"{_heads(spec)} attention head{'' if _heads(spec) == 1 else 's'}",
        _other_heads,
        lambda spec: Corrections(heads=_heads(spec)),
        "--heads",
    ),
}


def assumed(spec: ModelSpec) -> Mapping[str, Topic]:
    """The topics that are assumed of a model, by their keys."""
    return {key: TOPICS[key] for key in spec.assumed if key in TOPICS}


def alternatives(spec: ModelSpec, topic: Topic) -> tuple[Alternative, ...]:
    """The two likeliest other values."""
    return topic.alternatives(spec)[:MOST_ALTERNATIVES]


def sentences(spec: ModelSpec) -> tuple[str, ...]:
    """What is assumed, one line each, with the likely alternatives; empty if nothing is."""
    return tuple(
        f"{topic.taken(spec)}" + (f" (or {', '.join(one.text for one in others)})" if others else "")
        for topic in assumed(spec).values()
        for others in [alternatives(spec, topic)]
    )

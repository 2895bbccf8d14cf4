"""Compares an artifact's answers with the original's on the same photographs. Noise would prove little."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core import embedded
from deploy_core.inference.classify import tensor_of
from deploy_core.models.spec import ModelSpec
from deploy_core.pictures import decode
from deploy_core.settings import Settings
from deploy_core.types import Faithfulness

if TYPE_CHECKING:
    import torch

PICTURES = 64
LEAST_TOP1_AGREEMENT = 0.75
# Two int8 engines (onednn here, qnnpack on a phone) differ by up to 0.07 in a logit, which can decide a near tie.
NEAR_TIE = 0.25


@dataclass(frozen=True)
class Reference:
    """A picture on which artifacts are compared with the original; ``tensor`` is the input, float32 (1, 3, S, S)."""

    picture: str
    tensor: torch.Tensor


def reference_pictures() -> tuple[Path, ...]:
    """The pictures on which artifacts are compared: the first sample, then shipped photographs, ``PICTURES`` in all."""
    return (embedded.samples()[0].path, *embedded.photographs())[:PICTURES]


def reference_names() -> tuple[str, ...]:
    """The file names of the reference pictures, in their order."""
    return tuple(path.name for path in reference_pictures())


def references(spec: ModelSpec, settings: Settings) -> Iterator[Reference]:
    """The reference pictures as inputs of a model, one after another, so that not all are in memory at a time."""
    return (_reference(path, spec, settings) for path in reference_pictures())


def reference(spec: ModelSpec, settings: Settings) -> Reference:
    """The first reference picture."""
    return next(references(spec, settings))


def compare(originals: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> Faithfulness:
    """Compares logits, one float32 (classes,) for each picture, on as many pictures as both have."""
    import torch

    pairs = [(original.double(), other.double()) for original, other in zip(originals, others, strict=False)]
    return Faithfulness(
        pictures=len(pairs),
        same_top1=int(pairs[0][0].argmax()) == int(pairs[0][1].argmax()),
        top1_agreement=statistics.fmean(_agrees(a, b) for a, b in pairs),
        top5_overlap=statistics.fmean(_shared_top5(a, b) for a, b in pairs),
        cosine=min(float(torch.nn.functional.cosine_similarity(a, b, dim=0)) for a, b in pairs),
        max_abs_difference=max(float((a - b).abs().max()) for a, b in pairs),
    )


def disagrees(faithfulness: Faithfulness, least_cosine: float, weights: str) -> bool:
    """Whether an artifact's answers differ too much from the original's to ship it.

    Random weights give near ties, so only the cosine counts for them, not top-1.
    """
    if faithfulness.cosine < least_cosine:
        return True
    return weights != "random" and faithfulness.top1_agreement < LEAST_TOP1_AGREEMENT


def _reference(path: Path, spec: ModelSpec, settings: Settings) -> Reference:
    return Reference(path.name, tensor_of(decode.decode(path.read_bytes(), settings), spec))


def _shared_top5(one: torch.Tensor, other: torch.Tensor) -> float:
    count = min(5, len(one))
    return len(set(one.topk(count).indices.tolist()) & set(other.topk(count).indices.tolist())) / count


def _agrees(original: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether the first class of ``other`` is the first class of the original, or within ``NEAR_TIE`` of it."""
    return float(original.max() - original[other.argmax()]) < NEAR_TIE

"""An artifact's answers against the original's, on the same pictures: photographs, because noise proves little."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import ImageOps

from deploy_core import embedded, images
from deploy_core.classify import tensor_of
from deploy_core.models import ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import Faithfulness

if TYPE_CHECKING:
    import torch

PHOTOGRAPHS = ("chelsea.png", "rocket.jpg", "coffee.png", "astronaut.png")
# Each photograph is shown as it is and mirrored.
PICTURES = tuple(name for photograph in PHOTOGRAPHS for name in (photograph, f"{photograph}, mirrored"))
LEAST_TOP1_AGREEMENT = 0.75


@dataclass(frozen=True)
class Reference:
    """A picture that every artifact is asked about, as the model's input: float32 (1, 3, S, S)."""

    picture: str
    tensor: torch.Tensor


def references(spec: ModelSpec, settings: Settings) -> tuple[Reference, ...]:
    """The reference pictures in the order of ``PICTURES``."""
    pictures = []
    for photograph in PHOTOGRAPHS:
        picture = images.decode((embedded.SAMPLES / photograph).read_bytes(), settings)
        pictures += [picture, ImageOps.mirror(picture)]
    return tuple(Reference(name, tensor_of(picture, spec)) for name, picture in zip(PICTURES, pictures, strict=True))


def reference(spec: ModelSpec, settings: Settings) -> Reference:
    """The first reference picture, for whoever needs one only."""
    picture = images.decode((embedded.SAMPLES / PHOTOGRAPHS[0]).read_bytes(), settings)
    return Reference(PICTURES[0], tensor_of(picture, spec))


def compare(originals: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> Faithfulness:
    """Compares logits, one float32 (classes,) for each picture."""
    import torch

    pairs = [(original.double(), other.double()) for original, other in zip(originals, others, strict=True)]
    return Faithfulness(
        pictures=len(pairs),
        same_top1=_same_top1(*pairs[0]),
        top1_agreement=statistics.fmean(_same_top1(a, b) for a, b in pairs),
        top5_overlap=statistics.fmean(_shared_top5(a, b) for a, b in pairs),
        cosine=min(float(torch.nn.functional.cosine_similarity(a, b, dim=0)) for a, b in pairs),
        max_abs_difference=max(float((a - b).abs().max()) for a, b in pairs),
    )


def disagrees(faithfulness: Faithfulness, least_cosine: float, weights: str) -> bool:
    """Whether an artifact's answers are too far from the original's to ship it.

    Random weights answer with near ties, so their top-1 says nothing; the cosine still does.
    """
    if faithfulness.cosine < least_cosine:
        return True
    return weights != "random" and faithfulness.top1_agreement < LEAST_TOP1_AGREEMENT


def _shared_top5(one: torch.Tensor, other: torch.Tensor) -> float:
    count = min(5, len(one))
    return len(set(one.topk(count).indices.tolist()) & set(other.topk(count).indices.tolist())) / count


def _same_top1(one: torch.Tensor, other: torch.Tensor) -> bool:
    return int(one.argmax()) == int(other.argmax())

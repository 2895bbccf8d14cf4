"""An artifact's answers against the original model's, on the same picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy_core import embedded, images
from deploy_core.classify import tensor_of
from deploy_core.models import ModelSpec
from deploy_core.settings import Settings

if TYPE_CHECKING:
    import torch

REFERENCE_PICTURE = embedded.SAMPLES / "chelsea.png"


@dataclass(frozen=True)
class Faithfulness:
    """How near two logit vectors are: 1.0, 0.0 and True for equal ones."""

    cosine: float
    max_abs_difference: float
    same_top1: bool


def reference_input(spec: ModelSpec, settings: Settings) -> torch.Tensor:
    """The reference picture as the model's input, float32 (1, 3, S, S)."""
    return tensor_of(images.decode(REFERENCE_PICTURE.read_bytes(), settings), spec)


def compare(original: torch.Tensor, other: torch.Tensor) -> Faithfulness:
    """Compares logits, float32 (classes,)."""
    import torch

    original, other = original.double(), other.double()
    return Faithfulness(
        cosine=float(torch.nn.functional.cosine_similarity(original, other, dim=0)),
        max_abs_difference=float((original - other).abs().max()),
        same_top1=bool(original.argmax() == other.argmax()),
    )

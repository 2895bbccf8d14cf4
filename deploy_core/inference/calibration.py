"""The pictures by which static quantizers learn how large activations get."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from deploy_core.formats.format import CalibrationPictures
from deploy_core.inference import views
from deploy_core.inference.classify import tensor_of
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import Calibration

if TYPE_CHECKING:
    import torch

PICTURES = 64
# Not the parts of the photographs on which files are proven.
SEED = 1


def shipped(spec: ModelSpec, settings: Settings) -> CalibrationPictures:
    """Shipped photographs and parts of them, for builds whose caller has no pictures of the model's own kind."""
    chosen = islice(views.views(SEED), PICTURES)
    return of("shipped photographs", [tensor_of(views.picture_of(view, settings), spec) for view in chosen])


def of(source: str, inputs: Sequence[torch.Tensor]) -> CalibrationPictures:
    """``inputs`` are one or more float32 (1, 3, S, S)."""
    import torch

    together = torch.cat(list(inputs))
    digest = hashlib.sha256(together.numpy().astype("<f4").tobytes()).hexdigest()
    return CalibrationPictures(Calibration(source, len(together), digest), together)

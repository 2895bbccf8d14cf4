"""A file's answer to the test picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deploy_core.bundle.contents import (
    Sample,
)
from deploy_core.formats import FORMATS, Format
from deploy_core.inference import verify as verification
from deploy_core.inference.classify import Classifier
from deploy_core.models import load
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import Artifact


def sample(path: Path, artifact: Artifact, model: str, settings: Settings) -> Sample:
    """Asks the artifact at ``path`` about the test picture. Raises InvalidRequest or InvalidArtifact."""
    spec = load.find(model)
    reference = verification.reference(spec, settings)
    tensor = reference.tensor.numpy().astype("<f4").tobytes()
    return Sample(reference.picture, tensor, ask(FORMATS[artifact.format], path, spec, tensor))


def ask(row: Format, path: Path, spec: ModelSpec, tensor: bytes) -> tuple[float, ...]:
    import torch

    shape = (1, 3, spec.input_size, spec.input_size)
    picture = torch.from_numpy(np.frombuffer(tensor, "<f4").astype(np.float32).reshape(shape))
    logits: list[float] = Classifier(spec, "", (), row.load(path)).logits(picture).tolist()
    return tuple(logits)

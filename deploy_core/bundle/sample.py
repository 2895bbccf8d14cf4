"""A file's answer to the test picture, under the engine of phones and under this machine's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy_core.formats import FORMATS, Format, engines
from deploy_core.inference import views
from deploy_core.inference.classify import Classifier
from deploy_core.models import catalogue
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import Artifact, EngineAnswer, KnownAnswer


def known_answer(path: Path, artifact: Artifact, spec: ModelSpec, settings: Settings) -> KnownAnswer:
    """Asks the artifact at ``path`` about the test picture. Raises InvalidArtifact."""
    tensor = views.first_input(spec, settings).numpy().astype("<f4").tobytes()
    answers = ask(FORMATS[artifact.format], path, spec, tensor)
    return KnownAnswer(next(views.views()).file, tensor, answers, catalogue.labels(spec))


def ask(row: Format, path: Path, spec: ModelSpec, tensor: bytes) -> tuple[EngineAnswer, ...]:
    """The logits of a file of ``row`` for an input, as in ``KnownAnswer``. Raises InvalidArtifact."""
    import torch

    shape = (1, 3, spec.input_size, spec.input_size)
    picture = torch.from_numpy(np.frombuffer(tensor, "<f4").astype(np.float32).reshape(shape))
    loads = {row.run_engine(): row.load}
    if row.load_as_on_phone and engines.PHONE_ENGINE in engines.supported():
        loads = {engines.PHONE_ENGINE: row.load_as_on_phone, **loads}
    return tuple(
        EngineAnswer(engine, tuple(Classifier(spec, "", (), read(path)).logits(picture).tolist()))
        for engine, read in loads.items()
    )


def cosine_of(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The cosine similarity of two answers; not a number where the numbers overflow."""
    with np.errstate(all="ignore"):
        return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))

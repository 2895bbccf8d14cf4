"""Classifies a picture: its most probable labels, and the time of each step."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core.errors import InvalidArtifact, InvalidPicture, InvalidRequest
from deploy_core.files import is_file
from deploy_core.formats import Run, by_filename
from deploy_core.inference import capacity
from deploy_core.models import catalogue, load
from deploy_core.models.spec import ModelSpec
from deploy_core.pictures import pool, preprocess, read
from deploy_core.pictures.pool import Prepared
from deploy_core.settings import Settings
from deploy_core.types import Answer, Milliseconds, Prediction, Progress, silent

if TYPE_CHECKING:
    import torch
    from PIL import Image


DEFAULT_TOP = 5


@dataclass(frozen=True)
class Classifier:
    """A model, or one of its artifacts, ready for pictures. Threads can share it."""

    spec: ModelSpec
    weights: str
    labels: tuple[str, ...]
    run: Run

    def classify(self, source: str, settings: Settings, top: int | None = None) -> Prediction:
        """The ``top`` most probable classes of a picture file or http(s) URL, by default five or all.

        Raises InvalidRequest, InvalidPicture, PictureUnreachable or InvalidArtifact.
        """
        top = self._require_top(top)
        started = time.perf_counter()
        data = read.read(source, settings)
        fetched = (time.perf_counter() - started) * 1000
        prepared = self.prepare(data, settings)
        return self.classify_prepared(replace(prepared, read=fetched + prepared.read), source, top)

    def prepare(self, data: bytes, settings: Settings) -> Prepared:
        """The model's input for the bytes of a picture file, decoded in another process. Raises InvalidPicture."""
        return pool.shared(settings).prepare(data, self.spec.preprocessing)

    def classify_prepared(self, picture: Prepared, name: str, top: int | None = None) -> Prediction:
        """As ``classify``, for a picture that is already the model's input; the prediction calls it ``name``."""
        import torch

        top = self._require_top(top)
        started = time.perf_counter()
        logits = self.logits(tensor_from(picture, self.spec))
        inferred = (time.perf_counter() - started) * 1000
        probabilities, indices = torch.softmax(logits, 0).topk(top)
        answers = tuple(
            Answer(index, self.labels[index], probability)
            for index, probability in zip(indices.tolist(), probabilities.tolist(), strict=True)
        )
        spent = Milliseconds(read=picture.read, preprocess=picture.preprocess, inference=inferred)
        return Prediction(self.spec.name, self.weights, name, answers, spent)

    def warm_up(self) -> None:
        """Answers one empty input, so that the first visitor does not wait for a cold start."""
        import torch

        size = self.spec.input_size
        self.logits(torch.zeros(1, 3, size, size))

    @property
    def module(self) -> torch.nn.Module:
        """The module of the original. Raises InvalidRequest for an artifact, which has none."""
        import torch

        if not isinstance(self.run, torch.nn.Module):
            raise InvalidRequest("Only the original shows where it looks.", "Ask the model, not one of its files.")
        return self.run

    def logits(self, tensor: torch.Tensor) -> torch.Tensor:
        """Logits, float32 (classes,), of one preprocessed picture, float32 (1, 3, S, S). Raises InvalidArtifact."""
        return self.batch_logits(tensor)[0]

    def batch_logits(self, tensors: torch.Tensor) -> torch.Tensor:
        """Logits, float32 (N, classes), of preprocessed pictures, float32 (N, 3, S, S). Raises InvalidArtifact."""
        import torch

        try:
            with torch.inference_mode():
                logits = self.run(tensors)
        except (RuntimeError, torch.jit.Error) as error:
            raise self._mismatch() from error
        if logits.shape != (len(tensors), self.spec.classes):
            raise self._mismatch()
        if not bool(logits.isfinite().all()):
            raise InvalidArtifact("The answer of the model holds infinite numbers or NaN.", "Check its weights.")
        return logits

    def _require_top(self, top: int | None) -> int:
        top = min(DEFAULT_TOP, self.spec.classes) if top is None else top
        if not 1 <= top <= self.spec.classes:
            raise InvalidRequest(
                f"{self.spec.name} knows {self.spec.classes} classes, so it cannot name the top {top}.",
                f"Ask for 1 to {self.spec.classes}.",
            )
        return top

    def _mismatch(self) -> InvalidArtifact:
        size = self.spec.input_size
        return InvalidArtifact(
            f"The artifact does not turn a {size}x{size} picture into {self.spec.classes} classes, "
            f"as {self.spec.name} does.",
            "Give the model that it was built from with --model.",
        )


def tensor_of(picture: Image.Image, spec: ModelSpec) -> torch.Tensor:
    """The model's input, float32 (1, 3, S, S), for an RGB picture."""
    import torch

    return torch.from_numpy(preprocess.preprocess(picture, spec.preprocessing))


def tensor_from(picture: Prepared, spec: ModelSpec) -> torch.Tensor:
    """The model's input, float32 (1, 3, S, S), from its bytes. Raises InvalidPicture for an input of another size."""
    import torch

    size = spec.input_size
    if len(picture.input) != 4 * 3 * size * size:
        raise InvalidPicture("The picture was prepared for another model.", "Try again.")
    return torch.frombuffer(bytearray(picture.input), dtype=torch.float32).reshape(1, 3, size, size)


def open_model(name: str, weights: str, settings: Settings, progress: Progress = silent) -> Classifier:
    """A classifier with the original model. Raises as ``load.load``, and InvalidRequest as ``require_model``."""
    capacity.require_model(load.find(name), settings)
    model = load.load(name, weights, settings, progress)
    return Classifier(model.spec, weights, model.labels, model.module)


def open_artifact(path: Path, name: str, weights: str) -> Classifier:
    """A classifier with a built file; ``name`` is the model it was built from. Raises InvalidArtifact."""
    if not is_file(path):
        raise InvalidArtifact(f"There is no artifact {path}.", "Check the path, or build it first.")
    return open_artifact_of(load.find(name), path, weights)


def open_artifact_of(spec: ModelSpec, path: Path, weights: str) -> Classifier:
    """As ``open_artifact``, for a model whose own file need not exist."""
    return Classifier(spec, weights, catalogue.labels(spec), by_filename(path).load(path))

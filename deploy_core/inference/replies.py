"""What one file answers to one picture, beside the original's answer to the same picture."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy_core.inference import verify
from deploy_core.inference.classify import Classifier
from deploy_core.types import Answer

if TYPE_CHECKING:
    import torch

WARM_UP = 2
LEAST_ROUNDS, MOST_ROUNDS = 3, 25
TIMED_SECONDS = 0.5
WATCHED = 5


@dataclass(frozen=True)
class Probability:
    """Of a class that the original finds most probable: how probable it is to the original, and to the file."""

    index: int
    label: str
    original: float
    file: float

    @property
    def change(self) -> float:
        return self.file - self.original


@dataclass(frozen=True)
class Reply:
    """``cosine`` and ``max_abs_difference`` compare logits; times are the fastest of a few taken in turn."""

    format: str
    top: Answer
    agrees: bool
    cosine: float
    max_abs_difference: float
    milliseconds: float
    original_milliseconds: float
    probabilities: tuple[Probability, ...]

    @property
    def time_ratio(self) -> float:
        """The file's time divided by the original's."""
        return self.milliseconds / self.original_milliseconds


@dataclass(frozen=True)
class Given:
    """A model's input for a picture, and a file's answer to it: float32, little-endian, in base64."""

    input: str
    logits: str


def given(file: Classifier, tensor: torch.Tensor) -> Given:
    """What ``file`` answers to a preprocessed picture, float32 (1, 3, S, S). Raises InvalidArtifact."""
    return Given(_encoded(tensor), _encoded(file.logits(tensor)))


def _encoded(values: torch.Tensor) -> str:
    return base64.b64encode(values.numpy().astype("<f4").tobytes()).decode()


def reply(format_key: str, file: Classifier, original: Classifier, tensor: torch.Tensor) -> Reply:
    """Asks both about one preprocessed picture, float32 (1, 3, S, S). Raises InvalidArtifact."""
    import torch

    theirs, ours = original.logits(tensor), file.logits(tensor)
    compared = verify.compare([theirs], [ours])
    before, after = torch.softmax(theirs, 0), torch.softmax(ours, 0)
    watched = before.topk(min(WATCHED, len(before))).indices.tolist()
    best = int(after.argmax())
    milliseconds, original_milliseconds = _in_turn(file, original, tensor)
    return Reply(
        format=format_key,
        top=Answer(best, file.labels[best], float(after[best])),
        agrees=compared.same_top1,
        cosine=compared.cosine,
        max_abs_difference=compared.max_abs_difference,
        milliseconds=milliseconds,
        original_milliseconds=original_milliseconds,
        probabilities=tuple(
            Probability(index, file.labels[index], float(before[index]), float(after[index])) for index in watched
        ),
    )


def _in_turn(file: Classifier, original: Classifier, tensor: torch.Tensor) -> tuple[float, float]:
    """The fastest of each: other work on the machine can only slow so few of them down, and not both alike."""
    for classifier in (file, original) * WARM_UP:
        classifier.logits(tensor)
    times: list[tuple[float, float]] = []
    started = time.perf_counter()
    while len(times) < LEAST_ROUNDS or (len(times) < MOST_ROUNDS and time.perf_counter() - started < TIMED_SECONDS):
        times.append((_milliseconds(file, tensor), _milliseconds(original, tensor)))
    ours, theirs = zip(*times, strict=True)
    return min(ours), min(theirs)


def _milliseconds(classifier: Classifier, tensor: torch.Tensor) -> float:
    started = time.perf_counter()
    classifier.logits(tensor)
    return (time.perf_counter() - started) * 1000

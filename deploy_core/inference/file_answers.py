"""The answer of one file to one picture: compared with the original's, or as a question for a visitor's device."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy_core.inference.classify import Classifier
from deploy_core.inference.differences import difference
from deploy_core.types import Answer

if TYPE_CHECKING:
    import torch

WARM_UP = 2
LEAST_ROUNDS, MOST_ROUNDS = 3, 25
TIMED_SECONDS = 0.5
CLASSES_COMPARED = 5


@dataclass(frozen=True)
class Probability:
    """The probability that the original and the file give to a class."""

    index: int
    label: str
    original: float
    file: float

    @property
    def change(self) -> float:
        return self.file - self.original


@dataclass(frozen=True)
class FileAnswer:
    """The answer of a file to one picture, compared with the original's.

    - ``agrees``, ``cosine``, ``max_abs_difference``: of the logits, as in ``differences.Difference``
    - ``milliseconds``, ``original_milliseconds``: the fastest of a few inferences, measured in turn
    - ``probabilities``: the classes that the original finds most probable
    """

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
class DeviceQuestion:
    """A question for a visitor's device: the input of a model for a picture, and the logits that a file answers here.

    Both are float32, little-endian, in base64.
    """

    input: str
    logits: str


def device_question(file: Classifier, tensor: torch.Tensor) -> DeviceQuestion:
    """The question for a preprocessed picture, float32 (1, 3, S, S). Raises InvalidArtifact."""
    return DeviceQuestion(_encoded(tensor), _encoded(file.logits(tensor)))


def _encoded(values: torch.Tensor) -> str:
    return base64.b64encode(values.numpy().astype("<f4").tobytes()).decode()


def compare_with_original(format_key: str, file: Classifier, original: Classifier, tensor: torch.Tensor) -> FileAnswer:
    """Asks the file and the original about a preprocessed picture, float32 (1, 3, S, S). Raises InvalidArtifact."""
    import torch

    original_logits, file_logits = original.logits(tensor), file.logits(tensor)
    compared = difference(original_logits, file_logits)
    before, after = torch.softmax(original_logits, 0), torch.softmax(file_logits, 0)
    most_probable = before.topk(min(CLASSES_COMPARED, len(before))).indices.tolist()
    best = int(after.argmax())
    milliseconds, original_milliseconds = _in_turn(file, original, tensor)
    return FileAnswer(
        format=format_key,
        top=Answer(best, file.labels[best], float(after[best])),
        agrees=not compared.is_flipped,
        cosine=compared.cosine,
        max_abs_difference=compared.largest,
        milliseconds=milliseconds,
        original_milliseconds=original_milliseconds,
        probabilities=tuple(
            Probability(index, file.labels[index], float(before[index]), float(after[index])) for index in most_probable
        ),
    )


def _in_turn(file: Classifier, original: Classifier, tensor: torch.Tensor) -> tuple[float, float]:
    """The fastest time of each. Other work on the machine only slows inferences down, and may slow one side more."""
    for classifier in (file, original) * WARM_UP:
        classifier.logits(tensor)
    times: list[tuple[float, float]] = []
    started = time.perf_counter()
    while len(times) < LEAST_ROUNDS or (len(times) < MOST_ROUNDS and time.perf_counter() - started < TIMED_SECONDS):
        times.append((_milliseconds(file, tensor), _milliseconds(original, tensor)))
    file_times, original_times = zip(*times, strict=True)
    return min(file_times), min(original_times)


def _milliseconds(classifier: Classifier, tensor: torch.Tensor) -> float:
    started = time.perf_counter()
    classifier.logits(tensor)
    return (time.perf_counter() - started) * 1000

"""The answer of one file to one picture: compared with the original's, or as a question for a visitor's device."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy_core.inference.classify import Classifier
from deploy_core.inference.differences import difference
from deploy_core.types import Answer

if TYPE_CHECKING:
    import torch

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
    - ``probabilities``: the classes that the original finds most probable
    """

    format: str
    top: Answer
    agrees: bool
    cosine: float
    max_abs_difference: float
    probabilities: tuple[Probability, ...]


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
    return FileAnswer(
        format=format_key,
        top=Answer(best, file.labels[best], float(after[best])),
        agrees=not compared.is_flipped,
        cosine=compared.cosine,
        max_abs_difference=compared.largest,
        probabilities=tuple(
            Probability(index, file.labels[index], float(before[index]), float(after[index])) for index in most_probable
        ),
    )

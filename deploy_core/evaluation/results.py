"""The results of an evaluation, and its JSON file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from deploy_core import documents
from deploy_core.evaluation.scores import PairedDifference, PredictionColumns, Score
from deploy_core.inference.differences import Difference
from deploy_core.types import Proof


@dataclass(frozen=True)
class Opinion:
    """The answer of one subject to a picture: a class index and its probability."""

    subject: str
    answer: int
    probability: float


@dataclass(frozen=True)
class Disagreement:
    """A picture for which the subjects' answers differ; ``thumbnail`` is a small JPEG in base64, empty if it failed."""

    picture: str
    true: int
    opinions: tuple[Opinion, ...]
    thumbnail: str = field(repr=False)


@dataclass(frozen=True)
class ShardResult:
    """The answers to one shard. ``names``, ``classes`` and ``answers`` (by subject) cover the readable pictures.

    ``differences`` compare each subject but the first with it.
    """

    number: int
    names: tuple[str, ...]
    classes: tuple[int, ...]
    unreadable: tuple[str, ...]
    answers: dict[str, PredictionColumns]
    differences: dict[str, tuple[Difference, ...]]
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True)
class Result:
    """The score of one subject; ``change`` and ``proof`` compare it with the first subject, and are None for that."""

    subject: str
    score: Score
    change: PairedDifference | None
    proof: Proof | None = None


@dataclass(frozen=True)
class Evaluation:
    """The results of several subjects on one labelled set.

    - ``labels``: the model's classes, by index
    - ``unreadable``: the pictures that could not be read and do not count
    - ``ignored``: the number of files that are not pictures
    - ``left_out``: the folders that are named after no class of the model, where the person agreed to leave them out
    - ``disagreeing``: the number of pictures for which the subjects' answers differ
    - ``disagreements``: some of these pictures, chosen by a hash of their names, so from all over the set
    """

    model: str
    weights: str
    data: str
    count: int
    labels: tuple[str, ...] = field(repr=False)
    unreadable: tuple[str, ...]
    ignored: int
    results: tuple[Result, ...]
    disagreeing: int
    disagreements: tuple[Disagreement, ...] = field(repr=False)
    left_out: tuple[str, ...] = ()


def save_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Writes an evaluation as JSON, whole or not at all. Raises StorageFailed."""
    documents.write(path, evaluation)


def read_evaluation(path: Path) -> Evaluation:
    """Reads a file that ``save_evaluation`` wrote. Raises InvalidArtifact for any other file."""
    return documents.read(path, Evaluation)

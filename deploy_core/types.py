"""The few shapes that flow through the project. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preprocessing:
    """From an RGB picture to the model's input: short side to ``resize``, center crop, scale to 0..1, normalize."""

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"


@dataclass(frozen=True)
class Answer:
    """One class of a classification; ``probability`` is 0..1."""

    index: int
    label: str
    probability: float


@dataclass(frozen=True)
class Milliseconds:
    """Where the time of one classification went."""

    read: float
    preprocess: float
    inference: float


@dataclass(frozen=True)
class Prediction:
    """A classified picture: the most probable classes first."""

    model: str
    weights: str
    source: str
    top: tuple[Answer, ...]
    milliseconds: Milliseconds


@dataclass(frozen=True)
class BuildRequest:
    """What to build; ``formats`` are keys of FORMATS, and what they need is built with them."""

    model: str
    weights: str
    formats: tuple[str, ...]
    engine: str = "qnnpack"
    optimize: str = "default"


@dataclass(frozen=True)
class Event:
    """Progress of long work: ``done`` of ``total`` steps are behind us, and ``message`` names the current one."""

    message: str
    done: int
    total: int


Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Progress for callers that want none."""


@dataclass(frozen=True)
class Artifact:
    """A built file and how faithful its answers are to the original model's.

    ``seconds`` is the time to convert and save it, without the check. ``cosine`` and
    ``max_abs_difference`` compare the logits of the reference picture.
    """

    format: str
    file: str
    bytes: int
    sha256: str
    seconds: float
    cosine: float
    max_abs_difference: float
    same_top1: bool


@dataclass(frozen=True)
class BuildResult:
    """What one build wrote into one folder; saved there as ``build.json``."""

    model: str
    weights: str
    engine: str
    optimize: str
    reference_picture: str
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True)
class ProfileRow:
    """One artifact's speed. ``samples_ms`` holds every timed run, in order.

    ``self_cpu_ms`` is the figure the tutorial prints (the profiler's self CPU time of one inference);
    ``reduction_percent`` its last column, computed here from medians.
    """

    format: str
    bytes: int
    run_engine: str | None
    median_ms: float
    p95_ms: float
    self_cpu_ms: float
    reduction_percent: float
    samples_ms: tuple[float, ...]


@dataclass(frozen=True)
class ProfileReport:
    """All artifacts of one build, measured in turn on one host."""

    model: str
    weights: str
    host: dict[str, Any]
    repeats: int
    threads: int
    measured_at: str
    rows: tuple[ProfileRow, ...] = field(default_factory=tuple)

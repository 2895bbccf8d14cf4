"""The few shapes that flow through the project. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from deploy_core.ranges import Range


@dataclass(frozen=True)
class Preprocessing:
    """From an RGB picture to the model's input: resize, center crop, scale to 0..1, normalize.

    ``crop_mode`` is timm's: with "center" the short side becomes ``resize`` and the long side keeps the proportion;
    with "squash" both sides become ``resize``. ``interpolation`` names one of Pillow's filters.
    """

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    crop_mode: str = "center"

    @property
    def is_squashed(self) -> bool:
        return self.crop_mode == "squash"


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

    @property
    def total(self) -> float:
        return self.read + self.preprocess + self.inference


@dataclass(frozen=True)
class Prediction:
    """A classified picture: the most probable classes first."""

    model: str
    weights: str
    source: str
    top: tuple[Answer, ...]
    milliseconds: Milliseconds


@dataclass(frozen=True)
class ModelChoice:
    """A model and its weights.

    ``reference`` is a name of the catalogue or the path of a person's own model; ``weights`` is ``pretrained``,
    ``random`` or the path of a checkpoint.
    """

    reference: str
    weights: str


@dataclass(frozen=True)
class BuildRequest:
    """What to build; ``formats`` are keys of FORMATS, and what they need is built with them."""

    model: str
    weights: str
    formats: tuple[str, ...]
    engine: str = "qnnpack"
    optimize: str = "default"

    @property
    def choice(self) -> ModelChoice:
        return ModelChoice(self.model, self.weights)


@dataclass(frozen=True)
class Event:
    """Progress of long work: ``fraction`` (0..1) of the expected time is over; ``message`` is the current stage."""

    message: str
    fraction: float


Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Progress for callers that want none."""


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """Progress for a piece of the work that goes from ``start`` to ``end`` of the whole."""

    def tell(event: Event) -> None:
        progress(Event(event.message, start + event.fraction * (end - start)))

    return tell


@dataclass(frozen=True)
class Faithfulness:
    """How near an artifact's answers are to the original's, over several pictures, asked one at a time.

    ``top1_agreement`` and ``top5_overlap`` are means over the pictures, 0..1; a class that the original holds for as
    likely as its first (``verify.NEAR_TIE``) agrees with it, too. ``cosine`` is the logits' smallest cosine similarity
    on any of them, ``max_abs_difference`` the largest difference of any logit; ``same_top1`` speaks of the first
    picture alone.
    """

    pictures: int
    same_top1: bool
    top1_agreement: float
    top5_overlap: float
    cosine: float
    max_abs_difference: float

    @property
    def agreeing_pictures(self) -> int:
        """On how many of the ``pictures`` the first class agrees with the original's."""
        return round(self.top1_agreement * self.pictures)


@dataclass(frozen=True)
class Delegation:
    """What share of a program's operators a delegate runs, and the names of those that it leaves to the runtime."""

    percent: float
    undelegated: tuple[str, ...]


class Platform(StrEnum):
    """Where apps run. The values are names for people."""

    ANDROID = "Android"
    IOS = "iOS"
    MACOS = "macOS"
    BROWSERS = "browsers"

    @property
    def app_folder(self) -> str:
        """The folder of a bundle that holds the app code for it."""
        return self.value.lower()


@dataclass(frozen=True)
class Runtime:
    """A program that loads a format's files on devices, in the oldest version that was checked or is documented.

    ``install`` is how an app gets it. ``elsewhere`` names, in words, other places where the files load.
    """

    name: str
    platforms: tuple[Platform, ...]
    version: str
    install: str
    elsewhere: str = ""

    @property
    def places(self) -> str:
        """The platforms and ``elsewhere``, as text."""
        return "; ".join(filter(None, (", ".join(self.platforms), self.elsewhere)))


@dataclass(frozen=True)
class Finding:
    """One check of a file against a runtime: whether it ``holds``, and what was found, as a sentence."""

    holds: bool
    text: str


@dataclass(frozen=True)
class Seconds:
    """Where the time of building one artifact went: convert and save, sync to disk, check against the original."""

    build: float
    sync: float
    check: float


@dataclass(frozen=True)
class Artifact:
    """A built file, and the proof of what it is worth.

    ``relative_time`` is the time of one inference in that of the original's, both measured in turn and at their best
    during the check: a hint, not a profile.
    ``disagrees`` marks a file whose answers are beyond the bound of its format (``Format.least_cosine``).
    """

    format: str
    file: str
    bytes: int
    sha256: str
    seconds: Seconds
    faithfulness: Faithfulness
    relative_time: float
    disagrees: bool
    delegation: Delegation | None
    findings: tuple[Finding, ...]

    def size_change(self, original: Artifact) -> float:
        """Its size against the original's: -0.75 for a quarter of it."""
        return self.bytes / original.bytes - 1


@dataclass(frozen=True)
class Unbuilt:
    """A format that gave no artifact: not available on this machine, or failed, and why."""

    format: str
    is_available: bool
    reason: str


@dataclass(frozen=True)
class BuildResult:
    """What one build wrote; in a folder of its own it is saved there as ``build.json``."""

    model: str
    weights: str
    engine: str
    optimize: str
    reference_pictures: tuple[str, ...]
    artifacts: tuple[Artifact, ...]
    unbuilt: tuple[Unbuilt, ...]


@dataclass(frozen=True)
class OperatorTime:
    """What one operator of a file takes of one inference: its own time, without the operators that it calls."""

    name: str
    group: str
    self_ms: Annotated[float, Range(0, 86_400_000)]
    calls: Annotated[float, Range(0, 1e6)]

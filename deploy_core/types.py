"""The few shapes that flow through the project. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
    """Progress of long work: ``fraction`` (0..1) of the expected time is over; ``message`` is the current stage.

    ``medians`` are the milliseconds that a profile knows so far, by format.
    """

    message: str
    fraction: float
    medians: Mapping[str, float] = field(default_factory=dict)


Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Progress for callers that want none."""


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """Progress for a piece of the work that goes from ``start`` to ``end`` of the whole."""

    def tell(event: Event) -> None:
        progress(replace(event, fraction=start + event.fraction * (end - start)))

    return tell


class Verdict(StrEnum):
    """What a file does to the original's answers. The values are words for people (``inference/verdicts.py``)."""

    SAME = "same answers"
    UNDECIDED = "differs only where the original itself is undecided"
    CHANGES = "changes answers"


@dataclass(frozen=True)
class PictureView:
    """A shipped photograph, or a part of it.

    ``box`` holds the left, top, right and bottom edge as shares of the photograph's sides.
    """

    file: str
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    is_mirrored: bool = False


@dataclass(frozen=True)
class MovedPicture:
    """A picture on which the margin between the original's first two answers moved far.

    ``original`` and ``file`` are the labels of the first answers. ``margin`` and ``margin_after`` are distances of the
    logits of the original's first two answers: in its own answer, and in the file's.
    """

    view: PictureView
    original: str
    file: str
    margin: float
    margin_after: float


@dataclass(frozen=True)
class PhoneProof:
    """The same comparison under the quantized ``engine`` of phones, on few pictures, because it is slow elsewhere.

    ``cosine`` and ``max_abs_difference`` compare with the original, the ``_here`` ones with this machine's own engine.
    """

    engine: str
    pictures: int
    flips: int
    cosine: float
    max_abs_difference: float
    cosine_here: float
    max_abs_difference_here: float


@dataclass(frozen=True)
class Proof:
    """How a file's answers differ from the original's, over several pictures.

    - ``engine``: what computed the file's answers
    - ``flips``: the pictures whose first answer is another one; ``decided_flips``: those of them where the original's
      first answer is ahead of the file's by ``verdicts.NEAR_TIE`` or more
    - ``flip_interval``: the 95 % interval of the share of flips
    - ``margin_median``: of the distance between the logits of the original's first two answers
    - ``move_median``, ``move_p95``: how far the file moves that margin
    - ``within_reach``: the share of the original's margins that are smaller than ``move_p95``
    - ``top5_overlap``: the mean share of the first five answers that are the same
    - ``cosine``, ``max_abs_difference``: of the logits, on the picture where each is worst
    - ``verdict``: None where there is none; ``no_verdict`` then says why, in a sentence
    - ``moved``: the pictures whose margin moved most
    """

    pictures: int
    engine: str
    flips: int
    decided_flips: int
    flip_interval: tuple[float, float]
    margin_median: float
    move_median: float
    move_p95: float
    within_reach: float
    top5_overlap: float
    cosine: float
    max_abs_difference: float
    verdict: Verdict | None
    no_verdict: str
    moved: tuple[MovedPicture, ...]
    phone: PhoneProof | None = None

    @property
    def agreement(self) -> float:
        """The share of pictures with the original's first answer, or one that the original finds as likely."""
        return 1 - self.decided_flips / self.pictures


@dataclass(frozen=True)
class WeightCheck:
    """The weights that were read back from a file, against the original's.

    - ``tensors``, ``values``: how many tensors and numbers of the original are in the file
    - ``folded``: the tensors that it does not hold as such, because the converter computed them into others
    - ``largest_error``: the largest distance of a value, as a share of what rounding to the file's type explains
    """

    tensors: int
    values: int
    folded: tuple[str, ...]
    largest_error: float

    @property
    def holds(self) -> bool:
        return self.tensors > 0 and self.largest_error <= 1


@dataclass(frozen=True)
class ReadBack:
    """What was checked of a file that is built here and not run here, in place of a proof.

    - ``operators``: how often the program holds each operator
    - ``picture``: the shipped photograph that an interpreter answered; ``is_flipped``, ``cosine`` and
      ``max_abs_difference`` compare that answer with the original's, as in ``Proof``
    - ``not_run``: a sentence on what that does not show
    """

    operators: dict[str, int]
    weights: WeightCheck
    picture: str
    is_flipped: bool
    cosine: float
    max_abs_difference: float
    not_run: str


@dataclass(frozen=True)
class EngineAnswer:
    """The logits (classes,) that one engine computes from a file and a picture."""

    engine: str
    logits: tuple[float, ...]


@dataclass(frozen=True)
class KnownAnswer:
    """A file's answer to one picture, to check other runtimes with.

    ``input`` is float32 (1, 3, S, S), little-endian. ``answers`` are those of the engine that computes as phones
    do, and of this machine's own where that is another one.
    """

    picture: str
    input: bytes
    answers: tuple[EngineAnswer, ...]
    labels: tuple[str, ...]


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
    SERVERS = "servers"

    @property
    def app_folder(self) -> str:
        """The folder of a bundle that holds the app code for it."""
        return self.value.lower()


@dataclass(frozen=True)
class Runtime:
    """A program that loads a format's files on devices, in the oldest version that was checked or is documented.

    ``install`` is how an app gets it. ``elsewhere`` names, in words, other places where the files load.
    ``is_maintained`` is False for a runtime that gets no new versions.
    """

    name: str
    platforms: tuple[Platform, ...]
    version: str
    install: str
    elsewhere: str = ""
    is_maintained: bool = True

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
class Calibration:
    """The pictures by which a static quantizer learned how large activations get.

    ``source`` names them for people. ``sha256`` is of the model's inputs, float32 (``pictures``, 3, S, S).
    """

    source: str
    pictures: int
    sha256: str


@dataclass(frozen=True)
class Artifact:
    """A built file, and the proof of what it is worth; where it does not run here, what was read back instead.

    ``calibration`` is None for a file that no pictures were needed for.

    ``disagrees`` marks a file that changes answers, whose cosine is below its format's ``Format.least_cosine``, or
    whose weights are not the original's.
    """

    format: str
    file: str
    bytes: int
    sha256: str
    seconds: Seconds
    proof: Proof | None
    disagrees: bool
    delegation: Delegation | None
    findings: tuple[Finding, ...]
    read_back: ReadBack | None = None
    calibration: Calibration | None = None

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
    """What one build wrote; in a folder of its own it is saved there as ``build.json``.

    ``assumed`` says what nothing in the model's checkpoint told (``models.own.assumptions``).
    """

    model: str
    weights: str
    engine: str
    optimize: str
    artifacts: tuple[Artifact, ...]
    unbuilt: tuple[Unbuilt, ...]
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class OperatorTime:
    """What one operator of a file takes of one inference: its own time, without the operators that it calls."""

    name: str
    group: str
    self_ms: Annotated[float, Range(0, 86_400_000)]
    calls: Annotated[float, Range(0, 1e6)]

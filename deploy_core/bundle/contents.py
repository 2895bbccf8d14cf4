"""What a bundle holds: the names of its files, and the dataclasses that its JSON files are read as."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy_core.models.spec import Architecture
from deploy_core.types import Answer, Calibration, Runtime, Verdict

README, LABELS, PREPROCESSING = "README.md", "labels.txt", "preprocessing.json"
TENSOR, EXPECTED, VERSIONS, SUMS = "test_input.bin", "expected.json", "versions.json", "SHA256SUMS"
CONTENTS = (README, LABELS, PREPROCESSING, TENSOR, EXPECTED, VERSIONS, SUMS)

# Another engine moved the margin between an int8 file's first two answers by up to 0.26 of a logit
# (docs/decisions/0009-proof.md).
ENGINE_TIE = 0.5

APP_CODE = Path(__file__).parent / "app_code"
COMMON = APP_CODE / "common"
TEMPLATE = ".template"
# The app code that compares a device's answer with the expected one, in each platform's language.
CHECK = "Check"
# All that a bundle may hold besides its artifact.
PIECES = frozenset(CONTENTS) | {
    f"{path.parent.name}/{path.name.removesuffix(TEMPLATE)}" for path in APP_CODE.glob(f"*/*/*{TEMPLATE}")
}


@dataclass(frozen=True)
class Tolerance:
    """How close the answer of another runtime must be: the cosine of the logits, and the first answer.

    With ``same_top1``, another first answer is allowed if its logit is less than ``near_tie`` behind.
    """

    cosine: float
    same_top1: bool
    near_tie: float = 0.0


@dataclass(frozen=True)
class OtherEngine:
    """The logits of another engine, and how near they are to those of the first."""

    engine: str
    cosine: float
    max_abs_difference: float
    logits: tuple[float, ...]


@dataclass(frozen=True)
class Expected:
    """``expected.json``: the artifact's answer to the test picture, computed by ``engine``."""

    picture: str
    input: str
    shape: tuple[int, ...]
    top: tuple[Answer, ...]
    tolerance: Tolerance
    logits: tuple[float, ...]
    engine: str = ""
    others: tuple[OtherEngine, ...] = ()


@dataclass(frozen=True)
class RuntimeNote:
    """A runtime as ``versions.json`` names it: ``platforms`` is text."""

    name: str
    platforms: str
    version: str
    install: str

    @classmethod
    def of(cls, runtime: Runtime) -> RuntimeNote:
        return cls(runtime.name, runtime.places, runtime.version, runtime.install)


@dataclass(frozen=True)
class Versions:
    """``versions.json``: what built the artifact, and what loads it. Options without effect on it are None.

    ``architecture`` is given for a person's own model; models of the catalogue have a name. ``calibration`` is given
    for formats that learn from pictures.
    """

    model: str
    weights: str
    format: str
    file: str
    bytes: int
    sha256: str
    engine: str | None
    optimize: str | None
    packages: dict[str, str | None]
    runtimes: tuple[RuntimeNote, ...]
    architecture: Architecture | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class EngineCheck:
    """How one engine answered here. ``verdict`` is None for random weights, whose first answer means nothing."""

    engine: str
    holds: bool
    verdict: Verdict | None
    cosine: float
    max_abs_difference: float


@dataclass(frozen=True)
class BundleCheck:
    """The result of ``check.verify``: whether the artifact answers as its bundle states, under each engine here."""

    format: str
    file: str
    holds: bool
    engines: tuple[EngineCheck, ...]
    text: str


def kind_of_weights(weights: str) -> str:
    """``pretrained``, ``random`` or ``checkpoint``. The path of a checkpoint stays private."""
    return weights if weights in ("pretrained", "random") else "checkpoint"

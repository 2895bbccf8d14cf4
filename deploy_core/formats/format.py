"""What a row of the table of formats holds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import FormatUnavailable
from deploy_core.formats.operators import Observe, Run
from deploy_core.types import BuildResult, Calibration, Delegation, Finding, Platform, Runtime, WeightCheck

if TYPE_CHECKING:
    import torch

    from deploy_core.models.load import LoadedModel

# The row that all others are compared with.
ORIGINAL_KEY = "original"
# What people read of a file that no runtime on this machine runs.
NOT_RUN = "built here, not run here"


@dataclass(frozen=True)
class CalibrationPictures:
    """What a static quantizer is given; ``inputs`` is float32 (N, 3, S, S)."""

    record: Calibration
    inputs: torch.Tensor


@dataclass
class Workbench:
    """The state of one build: the model, the options, and what each stage made, by the key of its format.

    ``calibrating`` gives the pictures of static quantizers, which most builds need not read. ``program`` is what
    ``exporting.program`` has made.
    """

    model: LoadedModel
    engine: str
    optimize: str
    calibrating: Callable[[], CalibrationPictures] | None = None
    results: dict[str, Any] = field(default_factory=dict)
    delegations: dict[str, Delegation] = field(default_factory=dict)
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    program: Any = None

    def calibrate(self, key: str) -> torch.Tensor:
        """The inputs for a static quantizer, float32 (N, 3, S, S). Notes them as those of the format ``key``."""
        assert self.calibrating is not None  # noqa: S101 - a build always has pictures
        given = self.calibrating()
        self.calibrations[key] = given.record
        return given.inputs


@dataclass(frozen=True)
class Reading:
    """What reading a file back gives, where no runtime on this machine runs it.

    - ``operators``: how often the program holds each operator
    - ``weights``: its weights against the original's
    - ``run``: an interpreter that computes the program on this machine, slowly
    - ``not_run``: a sentence on what the interpreter does not show
    """

    operators: dict[str, int]
    weights: WeightCheck
    run: Run
    not_run: str


@dataclass(frozen=True)
class FormatFamily:
    """Formats that are made and run in the same way.

    ``title`` names them. ``about`` introduces them on the page Build, in Markdown; it is empty for the original.
    """

    title: str
    about: str


@dataclass(frozen=True)
class Format:
    """Everything that the project asks about a format.

    What it is:

    - ``key``: its name on the command line and in JSON
    - ``family``: the formats that it belongs to
    - ``title``, ``summary``: its name and one sentence, for people
    - ``suffix``: the end of its file names, after the name of the model
    - ``colour``: its colour in charts, ``#rrggbb``
    - ``weight_bytes``: the bytes that one weight of a Linear layer takes
    - ``is_program``: whether loading a file runs code in it, so that the file must come from somebody you trust

    How a file is made:

    - ``probe``: returns None, or the reason why the format cannot be built here
    - ``needs``: the key of the format whose result it starts from
    - ``options``: the fields of BuildRequest that change its content
    - ``packages``: the distributions that change its content, with the version to install where one is missing
    - ``requirements``: the file that installs them in exactly these versions, where they do not come with the app
    - ``convert``: returns the result in memory; the result of ``needs`` is in ``Workbench.results``
    - ``save``: writes that result to a path
    - ``effort``: the time that building takes, as a multiple of the time for scripting
    - ``library_bytes``, ``copies``: the memory that building takes: bytes of libraries other than torch, and how many
      copies of the float weights
    - ``least_cosine``: an artifact whose logits have a lower cosine similarity to the original's disagrees with it
    - ``effect``: returns one or two sentences on what the step did to size and speed in a build, and why

    How a file runs on this machine:

    - ``load``: reads a file; returns a callable on float32 (N, 3, S, S), with N = 1 where ``takes_batches`` is False;
      where nothing runs it here, ``not_here``, which raises FormatUnavailable
    - ``read_back``: reads a file that does not run here, and compares it with the model; None where ``load`` runs it
    - ``load_as_on_phone``: as ``load``, under ``engines.PHONE_ENGINE``; None where ``load`` computes as phones do
    - ``run_engine``: returns what computes its files: torch, one of torch's quantized engines, or another runtime
    - ``runtime_package``: the distribution that holds the runtime; a profile records its version
    - ``runs_in_torch``: whether torch's profiler can time its operators
    - ``observe``: returns the operators of a file with their self time; None where the runtime does not report them
    - ``delegate``: the library that the runtime hands operators to; None where there is none

    How a file runs elsewhere:

    - ``runtimes``: the runtimes that load its files on devices
    - ``inspect``: checks one file against those runtimes
    - ``app_code``: the folder of templates for an app in ``bundle/app_code/``; None where there are none
    - ``runs_in_client``: whether the page On your device can run its files (``device/``)
    - ``client_backends``: the backends of that page that run them
    """

    key: str
    family: FormatFamily
    title: str
    summary: str
    suffix: str
    colour: str
    weight_bytes: int
    is_program: bool
    probe: Callable[[], str | None]
    needs: str | None
    options: tuple[str, ...]
    packages: Mapping[str, str]
    convert: Callable[[Workbench], Any]
    save: Callable[[Workbench, Any, Path], None]
    effort: float
    library_bytes: int
    copies: float
    least_cosine: float
    effect: Callable[[BuildResult], str]
    load: Callable[[Path], Run]
    load_as_on_phone: Callable[[Path], Run] | None
    takes_batches: bool
    run_engine: Callable[[], str]
    runtime_package: str
    runs_in_torch: bool
    observe: Observe | None
    delegate: str | None
    runtimes: tuple[Runtime, ...]
    inspect: Callable[[Path], tuple[Finding, ...]]
    app_code: str | None
    runs_in_client: bool
    client_backends: tuple[str, ...] = ("wasm", "webgpu")
    requirements: str | None = None
    read_back: Callable[[Path, torch.nn.Module], Reading] | None = None

    def filename(self, model: str) -> str:
        return model + self.suffix

    @property
    def extension(self) -> str:
        return Path(f"model{self.suffix}").suffix

    @property
    def is_int8(self) -> bool:
        return self.weight_bytes == 1

    @property
    def runs_here(self) -> bool:
        """Whether a runtime on this machine answers with its files, so that they can be proven and timed."""
        return self.read_back is None

    @property
    def answers_depend_on_batch(self) -> bool:
        """Dynamic int8 uses one scale for the activations of a whole batch."""
        return self.is_int8

    @property
    def is_maintained(self) -> bool:
        """Whether a runtime of its files gets new versions."""
        return any(runtime.is_maintained for runtime in self.runtimes)

    def runs_on(self, *platforms: Platform) -> bool:
        """Whether a runtime loads its files on one of the ``platforms``."""
        return any(platform in runtime.platforms for runtime in self.runtimes for platform in platforms)

    def missing_packages(self) -> str | None:
        """None, or a sentence with the command that installs the missing packages."""
        return missing(self.packages, self.requirements)

    def versions(self) -> dict[str, str | None]:
        """The installed versions of ``packages``; None for a missing one."""
        return {name: _version(name) for name in self.packages}


def not_here(path: Path) -> Run:
    """The ``load`` of files that no runtime on this machine runs. Raises FormatUnavailable."""
    raise FormatUnavailable(f"{path.name} is {NOT_RUN}.", "Its bundle has code and a test for the device that runs it.")


def other_version(package: str, wanted: str) -> str | None:
    """None, or a sentence with the command that installs the ``wanted`` version of an installed ``package``."""
    installed = _version(package)
    if installed in (None, wanted):
        return None
    return f"It needs {package} {wanted}, and {installed} is installed: pip install {package}=={wanted}"


def missing(packages: Mapping[str, str], requirements: str | None = None) -> str | None:
    """None, or a sentence with the command that installs the missing ``packages`` in their versions.

    With a file of ``requirements``, the versions must be exactly these, and the command installs that file.
    """
    found = {name: _version(name) for name in packages}
    if requirements:
        others = [f"{name} {here}" for name, here in found.items() if here not in (None, packages[name])]
        instead = f" (here are {', '.join(others)})" if others else ""
        complete = found == dict(packages)
        return None if complete else f"Install what it needs{instead}: pip install --no-deps -r {requirements}"
    wanted = [f"{name}=={number}" for name, number in packages.items() if found[name] is None]
    return f"Install what it needs: pip install {' '.join(wanted)}" if wanted else None


# Reading a package's metadata takes a millisecond, and every page asks for the versions of all formats.
@functools.cache
def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None

"""What a row of the table of formats says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.formats.operators import Observe, Run
from deploy_core.types import BuildResult, Delegation, Finding, Runtime

if TYPE_CHECKING:
    from deploy_core.models.load import LoadedModel


@dataclass
class Workbench:
    """What the stages of one build hand on: the model, the options, and what each stage made, by its key."""

    model: LoadedModel
    engine: str
    optimize: str
    results: dict[str, Any] = field(default_factory=dict)
    delegations: dict[str, Delegation] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """Everything anyone asks about a format.

    - ``needs``: the format whose result this one starts from
    - ``options``: the fields of BuildRequest that decide its content
    - ``packages``: the distributions that decide its content, and the version to install where one is missing
    - ``effort``: how long building takes, in the time that scripting takes
    - ``library_bytes``, ``copies``: the memory that building takes: what its libraries hold beyond torch, and how many
      times the float weights
    - ``least_cosine``: below it on any picture, an artifact disagrees with the original
    - ``probe``: None, or why the format is not available here
    - ``run_engine``: what computes its files here: torch, torch's quantized engine, or another runtime
    - ``convert``: makes the result in memory; what the row needs is then in ``Workbench.results``
    - ``save``: writes that result to a path
    - ``load``: reads a file back; gives a callable on float32 (N, 3, S, S), N = 1 where ``takes_batches`` is False
    - ``runtimes``, ``inspect``: what on a device loads its files, and the checks of one file against those
    - ``app_code``: the folder of the bundle's templates for an app
    - ``runs_in_torch``: whether torch's profiler sees inside
    - ``observe``: the operators of a file by self time; None where its runtime does not tell
    - ``effect``: what the step did to size and speed in a build, and why; one sentence or two
    """

    key: str
    title: str
    suffix: str
    summary: str
    needs: str | None
    options: tuple[str, ...]
    packages: Mapping[str, str]
    is_int8: bool
    takes_batches: bool
    effort: float
    library_bytes: int
    copies: float
    least_cosine: float
    probe: Callable[[], str | None]
    run_engine: Callable[[], str]
    convert: Callable[[Workbench], Any]
    save: Callable[[Workbench, Any, Path], None]
    load: Callable[[Path], Run]
    runtimes: tuple[Runtime, ...]
    inspect: Callable[[Path], tuple[Finding, ...]]
    app_code: str | None
    runs_in_torch: bool
    observe: Observe | None
    effect: Callable[[BuildResult], str]

    def filename(self, model: str) -> str:
        return model + self.suffix

    @property
    def extension(self) -> str:
        return Path(f"model{self.suffix}").suffix

    @property
    def answers_depend_on_batch(self) -> bool:
        """Dynamic int8 takes one scale for the activations of a whole batch."""
        return self.is_int8

    def missing_packages(self) -> str | None:
        """None, or that a package is not installed and the command that installs it."""
        return missing(self.packages)

    def versions(self) -> dict[str, str | None]:
        """The installed versions of what decides the content of its files."""
        return {name: _version(name) for name in self.packages}


def missing(packages: Mapping[str, str]) -> str | None:
    """None, or that a package is not installed and the command that installs the versions of ``packages``."""
    wanted = [f"{name}=={number}" for name, number in packages.items() if _version(name) is None]
    return f"Install what it needs: pip install {' '.join(wanted)}" if wanted else None


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None

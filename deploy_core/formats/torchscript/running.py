"""TorchScript files, read back and run by torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core.errors import InvalidArtifact
from deploy_core.formats import engines
from deploy_core.formats.operators import Run

if TYPE_CHECKING:
    import torch


@contextmanager
def deprecations_ignored() -> Iterator[None]:
    """Silences the warnings that TorchScript, eager quantization and the lite interpreter are deprecated.

    torch recommends torch.export, torchao and ExecuTorch instead. This project pins torch for the old ones, and
    docs/decisions/0001-pinned-torch.md says so.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def load_script(path: Path, engine: str | None = None) -> Run:
    """A ``.pt`` file, run by an engine, by default this machine's fastest. Raises InvalidArtifact."""
    return _load(path, _read_script, engine)


def load_lite(path: Path, engine: str | None = None) -> Run:
    """A ``.ptl`` file, as ``load_script``. Raises InvalidArtifact."""
    return _load(path, _read_lite, engine)


def _load(path: Path, read: Callable[[str], Any], engine: str | None) -> Run:
    with deprecations_ignored(), engines.using(engine or engines.run_engine()):
        try:
            run: Run = read(str(path))
        except (RuntimeError, ValueError) as error:
            raise InvalidArtifact(f"{path.name} is damaged or no TorchScript file.", "Build it again.") from error
    return _without_its_warning(run) if engine == engines.PHONE_ENGINE else run


def _without_its_warning(run: Run) -> Run:
    """qnnpack warns that it uses the full range where a file asks for the reduced one. It is what phones do."""

    def quiet(pictures: torch.Tensor) -> torch.Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*qnnpack incorrectly ignores reduce_range")
            return run(pictures)

    return quiet


def _read_script(path: str) -> Any:
    import torch

    return torch.jit.load(path, map_location="cpu")


def _read_lite(path: str) -> Any:
    from torch.jit.mobile import _load_for_lite_interpreter

    return _load_for_lite_interpreter(path)

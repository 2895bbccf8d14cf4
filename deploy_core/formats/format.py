"""What a row of the table of formats says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from deploy_core.models import LoadedModel

Run = Callable[["torch.Tensor"], "torch.Tensor"]


@dataclass
class Workbench:
    """What the stages of one build hand on: the model, the options, and each stage's result by its key."""

    model: LoadedModel
    engine: str
    optimize: str
    results: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """Everything anyone asks about a format.

    ``needs`` names the format whose result this one starts from. ``probe`` gives None, or why the format is
    not available here. ``build`` converts, keeps its result on the workbench and writes the file. ``load``
    reads the file back and gives a callable on float32 (N, 3, S, S). ``is_quantized`` files are packed for
    the run engine when they are loaded.
    """

    key: str
    title: str
    suffix: str
    summary: str
    needs: str | None
    is_quantized: bool
    probe: Callable[[], str | None]
    build: Callable[[Workbench, Path], None]
    load: Callable[[Path], Run]

    def filename(self, model: str) -> str:
        return model + self.suffix

    @property
    def extension(self) -> str:
        return Path(f"model{self.suffix}").suffix

"""A person's fine-tuned checkpoint, from a file or from the Hub, becomes a model file.

Architecture, classes, input and patch size are read from the shapes of the tensors (``shapes``). Labels and
preprocessing come from corrections, from notes in the checkpoint or from timm's config (``corrections``).
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_core.errors import InvalidCheckpoint, InvalidRequest
from deploy_core.files import is_file, make_folder
from deploy_core.models import checkpoints, hub, load
from deploy_core.models.families import FAMILIES
from deploy_core.models.hub import HubName
from deploy_core.models.own import card, shapes
from deploy_core.models.own.card import Card
from deploy_core.models.own.corrections import Corrections, from_notes, from_timm_config, preprocessing_for
from deploy_core.models.spec import BYTES_PER_WEIGHT, ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import Progress, silent

if TYPE_CHECKING:
    import torch

LONGEST_NAME = 30
# Takes the size of a checkpoint in bytes; raises a DeployError if there is no room for it.
Admit = Callable[[int], None]


def bring(
    source: Path | HubName,
    folder: Path,
    settings: Settings,
    corrections: Corrections | None = None,
    progress: Progress = silent,
    name: str = "",
    admit: Admit = lambda _: None,
) -> ModelSpec:
    """Writes the model file of a checkpoint file, or of a repository on the Hub, into ``folder``.

    ``name`` is what the person calls the checkpoint; by default it is the source's own name. ``admit`` is called with
    the size before a download, and before the file is read.
    Raises InvalidCheckpoint, InvalidRequest for corrections that contradict the checkpoint, StorageFailed, and
    whatever ``admit`` and ``hub.fetch_repository`` raise.
    """
    corrections = corrections or Corrections()
    if isinstance(source, HubName):
        with tempfile.TemporaryDirectory(dir=make_folder(folder), prefix=".", suffix=".part") as place:
            repository = hub.fetch_repository(source, Path(place), progress, settings, admit)
            corrections = corrections.merged_with(from_timm_config(repository.config))
            return bring(repository.weights, folder, settings, corrections, progress, name or source.file_name, admit)
    if is_file(source):
        admit(source.stat().st_size)
    name = name or source.name
    return _write(source, name, card.path_in(folder, name), settings, corrections)


def correct(path: Path, settings: Settings, corrections: Corrections) -> ModelSpec:
    """Writes a model file again, corrected. Its tensors stay as they were in the checkpoint. Raises as ``bring``."""
    return _write(path, f"{card.read(path).title}{card.SUFFIX}", path, settings, corrections)


def free_name(folder: Path, name: str) -> str:
    """``name``, followed by a number if ``folder`` already has a model file for that name."""
    stem, suffix = Path(name).stem[:LONGEST_NAME], Path(name).suffix
    names = itertools.chain([name], (f"{stem} {number}{suffix}" for number in itertools.count(2)))
    return next(free for free in names if not card.path_in(folder, free).exists())


def _write(checkpoint: Path, name: str, path: Path, settings: Settings, corrections: Corrections) -> ModelSpec:
    """Reads the file ``checkpoint``, which the person calls ``name``, and writes its model file to ``path``."""
    read = checkpoints.read(checkpoint, name)
    _require_size(read.state, name, settings)
    trained = shapes.architecture_of(read.state, name)
    corrections = corrections.merged_with(from_notes(read.notes, path, trained.classes))
    architecture = replace(trained, heads=corrections.heads or trained.heads, size=corrections.size or trained.size)
    shapes.require_possible(architecture)
    state = {key: value.float().contiguous() for key, value in read.state.items()}
    _require_finite(state, name)
    labels = corrections.labels or tuple(f"class {i}" for i in range(trained.classes))
    if len(labels) != trained.classes:
        raise InvalidRequest(
            f"There are {len(labels)} labels, and {name} has {trained.classes} classes.",
            "Give one label for each class, in the order of the model's outputs.",
        )
    fitted = shapes.fit_positions(state, architecture)
    made = Card(
        name=path.stem,
        title=card.title(name),
        parameters=sum(value.numel() for value in fitted.values()),
        architecture=architecture,
        preprocessing=preprocessing_for(architecture, corrections),
        labels=labels,
    )
    load.module_of(card.spec_of(made, path), fitted, name, f"the {FAMILIES[architecture.family].title}")
    # The positions as they were trained, so that a later correction starts from them.
    card.write(path, made, state)
    return card.read(path)


def _require_size(state: Mapping[str, torch.Tensor], name: str, settings: Settings) -> None:
    """Checked before any tensor is copied: a tensor may claim to be larger than what is stored of it."""
    parameters = sum(value.numel() for value in state.values())
    if parameters > settings.largest_parameters:
        raise InvalidCheckpoint(
            f"{name} has {parameters / 1e6:.0f} million parameters, and this app takes models of up to "
            f"{settings.largest_parameters / 1e6:.0f} million.",
            "Give a smaller model.",
        )
    needed = parameters * BYTES_PER_WEIGHT
    if needed > settings.upload_bytes:
        raise InvalidCheckpoint(
            f"{name} has {needed / 1e6:.0f} MB of weights, and uploads may take {settings.upload_bytes / 1e6:.0f} MB.",
            "Give a smaller model.",
        )


def _require_finite(state: Mapping[str, torch.Tensor], name: str) -> None:
    broken = [key for key, value in state.items() if not bool(value.isfinite().all())]
    if broken:
        raise InvalidCheckpoint(
            f"{name} holds infinite numbers or NaN in {broken[0]}.",
            "Its training diverged: give an earlier checkpoint.",
        )

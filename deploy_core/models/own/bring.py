"""A person's fine-tuned checkpoint, from a file or from the Hub, becomes a model file.

Architecture, classes, input and patch size are read from the shapes of the tensors (``shapes``). What shapes do not
show comes from a person (``corrections``), from files beside the weights or notes in them (``told``), or is assumed
(``assumptions``).
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
from deploy_core.models import catalogue, checkpoints, hub, load
from deploy_core.models.checkpoints import Checkpoint
from deploy_core.models.families import FAMILIES
from deploy_core.models.hub import HubName
from deploy_core.models.own import beside, card, shapes, told
from deploy_core.models.own.beside import Brought
from deploy_core.models.own.card import Card
from deploy_core.models.own.corrections import Corrections, assumed_of, preprocessing_for
from deploy_core.models.own.told import Picture, Told
from deploy_core.models.spec import BYTES_PER_WEIGHT, ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import Progress, silent

if TYPE_CHECKING:
    import torch

LONGEST_NAME = 30
# Takes the size of a checkpoint in bytes; raises a DeployError if there is no room for it.
Admit = Callable[[int], None]
# Takes what was found in a checkpoint: which of several models was read, and what was left out.
Tell = Callable[[Checkpoint], None]
MISFIT = "Give the weights of a plain Vision Transformer as its training saved them, without added layers."


def bring(
    source: Path | HubName,
    folder: Path,
    settings: Settings,
    corrections: Corrections | None = None,
    progress: Progress = silent,
    name: str = "",
    admit: Admit = lambda _: None,
    documents: Mapping[str, str] | None = None,
    tell: Tell = lambda _: None,
) -> ModelSpec:
    """Writes the model file of a checkpoint file, a folder, a zip of one, or a repository on the Hub, into ``folder``.

    ``config.json`` and ``preprocessor_config.json`` beside the weights are read; ``documents`` gives their texts where
    they lie elsewhere. ``name`` is what the person calls the checkpoint; by default it is the source's own name.
    ``admit`` is called with the size before a download, and before the file is read. ``tell`` is called with what was
    found in the file.
    Raises InvalidCheckpoint, InvalidRequest for corrections that contradict the checkpoint, StorageFailed, and
    whatever ``admit`` and ``hub.fetch_repository`` raise.
    """
    corrections = corrections or Corrections()
    if isinstance(source, HubName):
        with tempfile.TemporaryDirectory(dir=make_folder(folder), prefix=".", suffix=".part") as place:
            found = fetch(source, Path(place), progress, settings, admit)
            name, weights = name or source.file_name, found.weights
            return bring(weights, folder, settings, corrections, progress, name, admit, found.documents, tell)
    name = name or source.resolve().name or "model"
    if is_file(source):
        admit(source.stat().st_size)
    with beside.opened(source, name, settings.upload_bytes, folder) as found:
        if documents:
            found = Brought(found.weights, documents)
        if found.weights != source and is_file(found.weights):
            admit(found.weights.stat().st_size)
        return _write(found, name, card.path_in(folder, name), settings, corrections, tell)


def fetch(source: HubName, folder: Path, progress: Progress, settings: Settings, admit: Admit) -> Brought:
    """Downloads a repository; what its documents say is checked before its weights are downloaded.

    Raises as ``hub.fetch_repository``.
    """
    weights = hub.fetch_repository(
        source, folder, progress, settings, beside.WEIGHTS, told.DOCUMENTS, told.beside, admit
    )
    return Brought(weights.weights, weights.documents)


def correct(path: Path, settings: Settings, corrections: Corrections) -> ModelSpec:
    """Writes a model file again, corrected. Its tensors stay as they were in the checkpoint. Raises as ``bring``."""
    return _write(Brought(path), f"{card.read(path).title}{card.SUFFIX}", path, settings, corrections)


def free_name(folder: Path, name: str) -> str:
    """``name``, followed by a number if ``folder`` already has a model file for that name."""
    stem, suffix = Path(name).stem[:LONGEST_NAME], Path(name).suffix
    names = itertools.chain([name], (f"{stem} {number}{suffix}" for number in itertools.count(2)))
    return next(free for free in names if not card.path_in(folder, free).exists())


def _write(
    found: Brought, name: str, path: Path, settings: Settings, corrections: Corrections, tell: Tell = lambda _: None
) -> ModelSpec:
    """Reads the weights that were ``found``, called ``name``, and writes their model file to ``path``."""
    read = checkpoints.read(found.weights, name, corrections.part or "")
    _require_size(read.state, name, settings)
    tell(read)
    known = _of_own_card(read, path)
    if known is None:
        known = told.beside(found.documents).or_else(told.of_notes(read.notes))
    trained = shapes.architecture_of(read.state, name, known, read.naming.norm_eps)
    if corrections.pooling:
        trained = shapes.with_pooling(read.state, trained, corrections.pooling)
    architecture = replace(
        trained,
        heads=corrections.heads or trained.heads,
        size=corrections.size or known.size or trained.size,
    )
    shapes.require_possible(architecture)
    state = {key: value.float().contiguous() for key, value in read.state.items()}
    _require_finite(state, name)
    labels = corrections.labels or known.labels or tuple(f"class {i}" for i in range(trained.classes))
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
        preprocessing=preprocessing_for(architecture, corrections, known, read.naming.usual),
        labels=labels,
        assumed=assumed_of(architecture, corrections, known, read.naming.reads_class_token),
    )
    called = f"the {FAMILIES[architecture.family].title} that its other tensors are of"
    load.module_of(card.spec_of(made, path), fitted, name, called, MISFIT)
    # The positions as they were trained, so that a later correction starts from them.
    card.write(path, made, state)
    return card.read(path)


def _of_own_card(read: Checkpoint, path: Path) -> Told | None:
    """What the header of a model file says; None for any other file, and for a header of another model."""
    text = read.notes.get(card.MODEL_KEY)
    try:
        spec = card.from_header(text, path) if isinstance(text, str) else None
    except InvalidCheckpoint:
        spec = None
    head = read.state.get(shapes.HEAD)
    if spec is None or head is None or not head.ndim or head.shape[0] != spec.classes:
        return None
    how, shape = spec.preprocessing, spec.architecture
    return Told(
        family=spec.family,
        pooling=shape.kind.pooling if shape else "token",
        heads=shape.heads if shape else None,
        size=shape.size if shape else None,
        norm_eps=shape.variant.norm_eps if shape else None,
        normalization=(how.mean, how.std),
        picture=Picture(how.resize, how.crop, how.interpolation, how.crop_mode),
        labels=catalogue.labels(spec),
        assumed=spec.assumed,
    )


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

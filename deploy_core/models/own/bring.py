"""A person's own fine-tuned DeiT: a checkpoint to a model file, and what such a file says of itself.

A model file is a safetensors file: float32 weights, and in its header all that a ``ModelSpec`` says. Its path is
a model's name wherever one is asked for. The ``original`` that a build writes is one, too.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_core import documents
from deploy_core.errors import InvalidArtifact, InvalidCheckpoint, InvalidRequest
from deploy_core.files import atomic_write, is_file, make_folder, require_space
from deploy_core.models import catalogue, checkpoints, hub
from deploy_core.models.hub import HubName
from deploy_core.models.spec import BYTES_PER_WEIGHT, FAMILIES, IMAGENET_MEAN, IMAGENET_STD, Architecture, ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import Preprocessing, Progress, silent

if TYPE_CHECKING:
    import torch

MODEL_KEY = "deit_deploy_model"
SUFFIX = ".safetensors"
NORMALIZATIONS: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "ImageNet's mean and deviation": (IMAGENET_MEAN, IMAGENET_STD),
    "-1 to 1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "0 to 1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
# What training scripts call the names of the classes, in a checkpoint or beside it.
LABEL_NOTES = ("label_names", "labels", "class_names", "classes", "id2label", "class_to_idx", "label2id")
NEEDED = (
    "cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight",
    "head.weight",
)  # fmt: skip
HEAD_WIDTH = 64
LARGEST = Architecture("", width=8192, depth=128, heads=128, hidden=65536, patch=64, size=2048, classes=200_000)
# Every token attends to every other, so that memory and time grow with the square of their number.
MOST_PATCHES = 2500
LONGEST_LABEL = 200
LARGEST_LABELS = 2_000_000
# What a model file's header holds beside its card: a name and a shape for each tensor.
HEADER_BESIDE_CARD = 500_000
LONGEST_NAME = 30
INTERPOLATIONS = ("bicubic", "bilinear", "hamming")
CROP_MODES = ("center", "squash")
# Told how many bytes a checkpoint has; raises a DeployError where there is no room for it.
Admit = Callable[[int], None]


@dataclass(frozen=True)
class Card:
    """What a model file says of its model."""

    name: str
    title: str
    parameters: int
    architecture: Architecture
    preprocessing: Preprocessing
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Corrections:
    """What a person knows better than can be read from the tensors' shapes; None is as read.

    ``size``: the input's side in pixels, to which the position embeddings are then interpolated; ``resize``: what a
    picture is resized to before the center crop, in pixels; ``crop_mode``: one of ``CROP_MODES``, as in
    ``Preprocessing``; ``normalization``: a key of ``NORMALIZATIONS``.
    """

    heads: int | None = None
    size: int | None = None
    resize: int | None = None
    crop_mode: str | None = None
    normalization: str | None = None
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] | None = None

    def over(self, others: Corrections) -> Corrections:
        """These, and the others where these say nothing."""
        return Corrections(**{one.name: getattr(self, one.name) or getattr(others, one.name) for one in fields(self)})


def is_reference(name: str) -> bool:
    """Whether a model's name is that of a model file."""
    return name.endswith(SUFFIX)


def bring(
    source: Path | HubName,
    folder: Path,
    settings: Settings,
    told: Corrections,
    progress: Progress = silent,
    name: str = "",
    admit: Admit = lambda _: None,
) -> ModelSpec:
    """The model of a checkpoint file, or of a name on the Hub, as a model file in ``folder``.

    ``name`` is what to call it, the source's own by default. ``admit`` is asked before a download, and before the file
    is read. Raises as ``admit``, ``take_in`` and ``hub.fetch_repository`` do.
    """
    name = name or called(source)
    if isinstance(source, Path):
        if is_file(source):
            admit(source.stat().st_size)
        return read(take_in(source, name, folder, settings, told))
    with tempfile.TemporaryDirectory(dir=make_folder(folder), prefix=".", suffix=".part") as place:
        found = hub.fetch_repository(source, Path(place), progress, settings, admit)
        admit(found.weights.stat().st_size)
        return read(take_in(found.weights, name, folder, settings, told.over(noted(found.config))))


def called(source: Path | HubName) -> str:
    """The name of a checkpoint's file, or of a repository on the Hub."""
    return source.name if isinstance(source, Path) else f"{source.name}{SUFFIX}"


def free_name(folder: Path, name: str) -> str:
    """``name``, with a number after it where ``folder`` has a model of that name already."""
    stem, suffix = Path(name).stem[:LONGEST_NAME], Path(name).suffix
    names = itertools.chain([name], (f"{stem} {number}{suffix}" for number in itertools.count(2)))
    return next(free for free in names if not _path(folder, free).exists())


def normalization_of(how: Preprocessing) -> str | None:
    """The key in ``NORMALIZATIONS`` of how a model's input is normalized; None where it is its own."""
    return next((name for name, known in NORMALIZATIONS.items() if known == (how.mean, how.std)), None)


def described(spec: ModelSpec) -> str:
    """What was read from a checkpoint, in one line."""
    shape = spec.architecture
    if shape is None:
        return spec.title
    squashed = ", pictures squashed to that," if spec.preprocessing.is_squashed else ""
    return (
        f"{FAMILIES[shape.family].title}, {shape.width} wide, {shape.depth} deep, {shape.heads} heads; "
        f"{shape.size} x {shape.size} pixels{squashed} in patches of {shape.patch}; {shape.classes} classes; "
        f"{spec.parameters / 1e6:.1f} M parameters"
    )


def take_in(checkpoint: Path, name: str, folder: Path, settings: Settings, told: Corrections | None = None) -> Path:
    """Writes the model file of a checkpoint into ``folder``; ``name`` is what the person calls it.

    Architecture, classes, input and patch size are read from the shapes of the tensors, the labels from what lies
    beside them. Raises InvalidCheckpoint, InvalidRequest for corrections that contradict it, or StorageFailed.
    """
    return _take_in(checkpoint, name, _path(folder, name), settings, told or Corrections())


def correct(path: Path, settings: Settings, told: Corrections) -> Path:
    """Writes a model file again as told. Its tensors stay as they were brought. Raises as ``take_in`` does."""
    return _take_in(path, f"{read(path).title}{SUFFIX}", path, settings, told)


def _take_in(checkpoint: Path, name: str, path: Path, settings: Settings, told: Corrections) -> Path:
    from safetensors.torch import save_file

    found = checkpoints.read(checkpoint, name)
    _require_size(found.state, name, settings)
    trained = architecture_of(found.state, name)
    told = told.over(_said(found.notes, path, trained.classes))
    architecture = replace(trained, heads=told.heads or trained.heads, size=told.size or trained.size)
    _require_whole(architecture)
    state = {key: value.float().contiguous() for key, value in found.state.items()}
    _require_finite(state, name)
    labels = told.labels or tuple(f"class {i}" for i in range(trained.classes))
    if len(labels) != trained.classes:
        raise InvalidRequest(
            f"There are {len(labels)} labels, and {name} has {trained.classes} classes.",
            "Give one label for each class, in the order of the model's outputs.",
        )
    whole = fitted(state, architecture)
    card = Card(
        name=path.stem,
        title=_title(name),
        parameters=sum(value.numel() for value in whole.values()),
        architecture=architecture,
        preprocessing=_preprocessing(architecture, told),
        labels=labels,
    )
    _require_fit(_spec(card, path), architecture.family, whole, name)
    require_space(make_folder(path.parent), card.parameters * BYTES_PER_WEIGHT)
    text = _text(card)
    if len(text) + HEADER_BESIDE_CARD > checkpoints.LARGEST_HEADER:
        raise InvalidRequest("The labels are too long.", "Give shorter ones.")
    with atomic_write(path) as temporary:
        save_file(state, temporary, metadata={MODEL_KEY: text})
    return path


def architecture_of(state: Mapping[str, torch.Tensor], name: str) -> Architecture:
    """What the shapes of a DeiT's tensors tell. The number of heads is not among it: DeiT's are 64 wide.

    Raises InvalidCheckpoint for another architecture.
    """
    missing = [key for key in NEEDED if key not in state]
    if missing:
        raise _no_deit(name, f"it has no {missing[0]}")
    family = "distilled" if "dist_token" in state else "deit3" if "blocks.0.ls1.gamma" in state else "deit"
    patches, positions = state["patch_embed.proj.weight"], state["pos_embed"]
    if patches.ndim != 4 or patches.shape[1] != 3 or patches.shape[2] != patches.shape[3]:
        raise _no_deit(name, f"its patches are {checkpoints.shape(patches)}")
    if positions.ndim != 3 or any(state[key].ndim != 2 for key in NEEDED[3:]):
        raise _no_deit(name, "its tensors have other shapes")
    width, patch = patches.shape[0], patches.shape[2]
    if positions.shape[::2] != (1, width):
        raise _no_deit(name, f"its positions are {checkpoints.shape(positions)}")
    grid = _side(positions, FAMILIES[family].prefix_tokens)
    if not grid:
        raise _no_deit(name, f"{positions.shape[1]} positions make no square of patches")
    heads = next(count for count in range(max(1, width // HEAD_WIDTH), 0, -1) if width % count == 0)
    return Architecture(
        family=family,
        width=width,
        depth=len({key.split(".")[1] for key in state if key.startswith("blocks.")}),
        heads=heads,
        hidden=state["blocks.0.mlp.fc1.weight"].shape[0],
        patch=patch,
        size=grid * patch,
        classes=state["head.weight"].shape[0],
    )


def fitted(state: dict[str, torch.Tensor], shape: Architecture | None) -> dict[str, torch.Tensor]:
    """The tensors of a model file for the input that it says, to which the positions are interpolated as timm does."""
    positions = state.get("pos_embed")
    if shape is None or positions is None or positions.ndim != 3 or positions.shape[1] == shape.tokens:
        return state
    from timm.layers.pos_embed import resample_abs_pos_embed

    grid, prefix = shape.size // shape.patch, FAMILIES[shape.family].prefix_tokens
    if positions.shape[::2] != (1, shape.width) or not _side(positions, prefix):
        return state
    resampled = resample_abs_pos_embed(positions, [grid, grid], num_prefix_tokens=prefix)
    return state | {"pos_embed": resampled.contiguous()}


def read(path: Path) -> ModelSpec:
    """What the model file at ``path`` says of its model. Raises InvalidCheckpoint where it is none."""
    if not is_file(path):
        raise InvalidCheckpoint(f"There is no model file {path.name}.", "Bring it again, or choose another model.")
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns)


def parse(text: str, path: Path) -> ModelSpec:
    """The model of a header's text. Raises InvalidCheckpoint where the text is not one that ``take_in`` wrote."""
    try:
        card = documents.structured(json.loads(text), Card)
    except (ValueError, RecursionError, InvalidArtifact) as error:
        raise _no_model_file(path) from error
    try:
        _require_whole(card.architecture)
    except InvalidRequest as error:
        raise _no_model_file(path) from error
    if len(card.labels) != card.architecture.classes or not _is_sound(card.preprocessing, card.architecture):
        raise _no_model_file(path)
    return _spec(replace(card, name=_slug(card.name), labels=_clean(card.labels)), path)


def header(spec: ModelSpec) -> str:
    """What a model file's header says of ``spec``: the card of one's own model, a name of the catalogue otherwise."""
    if spec.architecture is None:
        return spec.name
    return _text(Card(spec.name, spec.title, spec.parameters, spec.architecture, spec.preprocessing, spec.own_labels))


def told_by(text: str, path: Path) -> ModelSpec:
    """The model that a header's text tells of, the way back from ``header``. Raises as ``parse`` does."""
    return catalogue.MODELS.get(text) or parse(text, path)


def spec(architecture: Architecture, name: str, labels: tuple[str, ...]) -> ModelSpec:
    """An own model that no file is known of. Raises InvalidRequest for an architecture that cannot be."""
    _require_whole(architecture)
    card = Card(_slug(name), _title(name), 0, architecture, _preprocessing(architecture, Corrections()), labels)
    return replace(_spec(card, Path()), file=None)


def parse_labels(data: bytes) -> tuple[str, ...]:
    """The labels of a text file, one a line, or of a JSON file: a list, or names and indices either way round.

    Raises InvalidRequest.
    """
    wrong = InvalidRequest(
        "The labels cannot be read.", "Give a text file with one label a line, or JSON: a list, or index to label."
    )
    if len(data) > LARGEST_LABELS:
        raise wrong
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        if text.lstrip()[:1] in ("[", "{"):
            raise wrong from None
        document = [line for line in text.splitlines() if line.strip()]
    found = _labels_in(document) or (_noted_labels(document) if isinstance(document, dict) else None)
    if not found:
        raise wrong
    return found


@functools.lru_cache(maxsize=256)
def _read(path: Path, size: int, changed_ns: int) -> ModelSpec:  # noqa: ARG001
    """Pages ask at each rerun, and a model file is replaced whole."""
    from safetensors import SafetensorError, safe_open

    checkpoints.require_header(path, path.name)
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(MODEL_KEY)
    except (SafetensorError, OSError, ValueError) as error:
        raise _no_model_file(path) from error
    if text is None:
        raise _no_model_file(path)
    return parse(text, path)


def _text(card: Card) -> str:
    return json.dumps(documents.plain(card))


def _spec(card: Card, path: Path) -> ModelSpec:
    shape = card.architecture
    return ModelSpec(
        name=card.name,
        title=card.title,
        parameters=card.parameters,
        classes=shape.classes,
        knows=f"{shape.classes} classes of its own",
        preprocessing=card.preprocessing,
        timm_name=FAMILIES[shape.family].timm_name,
        timm_options={
            "img_size": shape.size,
            "patch_size": shape.patch,
            "embed_dim": shape.width,
            "depth": shape.depth,
            "num_heads": shape.heads,
            "mlp_ratio": shape.hidden / shape.width,
            "num_classes": shape.classes,
        },
        file=path,
        own_labels=card.labels,
        architecture=shape,
    )


def _preprocessing(shape: Architecture, told: Corrections) -> Preprocessing:
    """As told; otherwise the center seven eighths, as DeiT is tested at 224, and all of other sizes."""
    known = told.preprocessing or Preprocessing(0, shape.size, IMAGENET_MEAN, IMAGENET_STD)
    usual = round(shape.size * 8 / 7) if 128 <= shape.size <= 256 else shape.size
    mean, std = (known.mean, known.std)
    if told.normalization is not None:
        if told.normalization not in NORMALIZATIONS:
            raise InvalidRequest(
                f"There is no normalization '{told.normalization}'.", f"Choose: {', '.join(NORMALIZATIONS)}."
            )
        mean, std = NORMALIZATIONS[told.normalization]
    resize = known.resize if known.resize >= shape.size else usual
    crop_mode = told.crop_mode or known.crop_mode
    for what, value, choices in (
        ("interpolation", known.interpolation, INTERPOLATIONS),
        ("crop mode", crop_mode, CROP_MODES),
    ):
        if value not in choices:
            raise InvalidRequest(
                f"The {what} '{value}' cannot be done here, only {' and '.join(choices)}.",
                "Bring the weights as a file: pictures are then resized by bicubic, and their center is cut out.",
            )
    found = Preprocessing(told.resize or resize, shape.size, mean, std, known.interpolation, crop_mode)
    if not _is_sound(found, shape):
        raise InvalidRequest(
            f"A picture resized to {found.resize} pixels has no center of {shape.size}.",
            f"Resize to {shape.size} or more, and to less than {4 * shape.size}.",
        )
    return found


def _is_sound(how: Preprocessing, shape: Architecture) -> bool:
    return (
        how.crop == shape.size
        and how.crop <= how.resize <= 4 * how.crop
        and how.interpolation in INTERPOLATIONS
        and how.crop_mode in CROP_MODES
        and len(how.mean) == len(how.std) == 3
        and all(math.isfinite(number) for number in how.mean)
        and all(0 < number < math.inf for number in how.std)
    )


def _require_whole(shape: Architecture) -> None:
    """Raises InvalidRequest where the numbers cannot be those of a DeiT."""
    if shape.family not in FAMILIES:
        raise InvalidRequest(f"There is no family '{shape.family}'.", f"Choose: {', '.join(FAMILIES)}.")
    for name in ("width", "depth", "heads", "hidden", "patch", "size", "classes"):
        if not 1 <= getattr(shape, name) <= getattr(LARGEST, name):
            raise InvalidRequest(
                f"Its {name} would be {getattr(shape, name)}.", f"It can be 1 to {getattr(LARGEST, name)}."
            )
    if shape.classes < 2:
        raise InvalidRequest("The model has one class only, so there is nothing to tell apart.", "Give one with more.")
    if shape.width % shape.heads:
        raise InvalidRequest(
            f"A width of {shape.width} cannot be shared by {shape.heads} heads.", "Give a number that divides it."
        )
    if shape.size % shape.patch:
        raise InvalidRequest(
            f"{shape.size} pixels are no whole number of patches.", f"Give a multiple of {shape.patch}."
        )
    side = shape.size // shape.patch
    if side**2 > MOST_PATCHES:
        largest = math.isqrt(MOST_PATCHES) * shape.patch
        raise InvalidRequest(
            f"An input of {shape.size} pixels makes {side**2} patches, and at most {MOST_PATCHES} are taken.",
            f"Give one of at most {largest} pixels.",
        )


def _require_size(state: Mapping[str, torch.Tensor], name: str, settings: Settings) -> None:
    """A tensor may say it is larger than what is stored of it, which only shows when it is copied."""
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
            f"{name} holds infinities, or no numbers at all, in {broken[0]}.",
            "Its training went astray: give an earlier checkpoint.",
        )


def _require_fit(wanted: ModelSpec, family: str, state: Mapping[str, torch.Tensor], name: str) -> None:
    import timm
    import torch

    with torch.device("meta"):
        module = timm.create_model(wanted.timm_name, pretrained=False, **wanted.timm_options)
    checkpoints.fill(module, state, f"the {FAMILIES[family].title}", name)


def _side(positions: torch.Tensor, prefix: int) -> int:
    """Patches along a side, by the number of positions; 0 where they make no square."""
    patches = max(0, positions.shape[1] - prefix)
    return math.isqrt(patches) if math.isqrt(patches) ** 2 == patches else 0


def _said(notes: Mapping[str, Any], path: Path, classes: int) -> Corrections:
    """What lies beside the tensors: all that a model file says of itself, or the labels."""
    text = notes.get(MODEL_KEY)
    try:
        known = told_by(text, path) if isinstance(text, str) else None
    except InvalidCheckpoint:
        known = None
    if known is None or (known.architecture is None and known.classes != classes):
        return Corrections(labels=_noted_labels(notes))
    found = Corrections(preprocessing=known.preprocessing, labels=catalogue.labels(known))
    shape = known.architecture
    return found if shape is None else replace(found, heads=shape.heads, size=shape.size)


def noted(config: Mapping[str, Any]) -> Corrections:
    """What timm's ``config.json`` tells of labels and preprocessing; the rest of it is not followed."""
    trained = config.get("pretrained_cfg")
    trained = trained if isinstance(trained, Mapping) else {}
    labels = _noted_labels(config) or _noted_labels(trained)
    try:
        size = int(trained["input_size"][-1])
        mean, std = (tuple(float(number) for number in trained[key]) for key in ("mean", "std"))
        resize = math.floor(size / float(trained.get("crop_pct") or 1))
        how = Preprocessing(
            resize,
            size,
            mean,  # type: ignore[arg-type]
            std,  # type: ignore[arg-type]
            interpolation=str(trained.get("interpolation") or "bicubic"),
            crop_mode=str(trained.get("crop_mode") or "center"),
        )
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return Corrections(labels=labels)
    return Corrections(labels=labels, preprocessing=how)


def _noted_labels(notes: Mapping[str, Any]) -> tuple[str, ...] | None:
    for key in LABEL_NOTES:
        value = notes.get(key)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                continue
        found = _labels_in(value)
        if found:
            return found
    return None


def _labels_in(value: Any) -> tuple[str, ...] | None:
    """The labels by index of a list of them, or of a mapping from index to label or from label to index."""
    if isinstance(value, Mapping):
        pairs = list(value.items())
        if all(isinstance(index, int) for _, index in pairs):
            pairs = [(index, label) for label, index in pairs]
        try:
            by_index = {int(index): label for index, label in pairs}
        except (TypeError, ValueError):
            return None
        if sorted(by_index) != list(range(len(by_index))):
            return None
        value = [by_index[index] for index in range(len(by_index))]
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        return None
    return _clean(value) if all(isinstance(label, str) and label.strip() for label in value) else None


def _clean(labels: Sequence[str]) -> tuple[str, ...]:
    """One printable line each, so that no label can break a table, a file of labels, or a page."""
    return tuple(
        "".join(letter if letter.isprintable() else " " for letter in label).strip()[:LONGEST_LABEL] for label in labels
    )


def _path(folder: Path, name: str) -> Path:
    return folder / f"{_slug(name)}{SUFFIX}"


def _slug(name: str) -> str:
    """It begins with a letter, as the names of an app's files must."""
    plain = re.sub(r"[^a-z0-9]+", "_", Path(name).stem.lower()).strip("_")[:40]
    return plain if plain[:1].isalpha() else f"model_{plain}"[:40].strip("_")


def _title(name: str) -> str:
    return _clean([Path(name).stem])[0][:60] or "Model"


def _no_deit(name: str, why: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(
        f"{name} is no DeiT: {why}.", "Give the state dict of a DeiT, DeiT distilled or DeiT III with its head."
    )


def _no_model_file(path: Path) -> InvalidCheckpoint:
    return InvalidCheckpoint(
        f"{path.name} does not say which model it holds.",
        "Make a model file of it first: python -m deploy_core import.",
    )

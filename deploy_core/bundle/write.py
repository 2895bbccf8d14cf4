"""One zip for a phone developer: an artifact, and what it takes to use it and to check it.

A bundle is stored, not deflated (weights do not shrink), and equal builds give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from deploy_core import documents
from deploy_core.errors import DeployError, FormatUnavailable, InvalidArtifact
from deploy_core.files import atomic_write, is_file, require_space, storage_failed
from deploy_core.formats import FORMATS, Format
from deploy_core.inference import verify as verification
from deploy_core.inference.classify import Classifier
from deploy_core.models import catalogue, load
from deploy_core.models.own import card
from deploy_core.models.spec import Architecture, ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import Answer, Artifact, BuildResult, Preprocessing, Runtime

README, LABELS, PREPROCESSING = "README.md", "labels.txt", "preprocessing.json"
TENSOR, EXPECTED, VERSIONS, SUMS = "test_input.bin", "expected.json", "versions.json", "SHA256SUMS"
CONTENTS = (README, LABELS, PREPROCESSING, TENSOR, EXPECTED, VERSIONS, SUMS)

APP_CODE = Path(__file__).parent / "app_code"
COMMON = APP_CODE / "common"
TEMPLATE = ".template"
# What a bundle may hold beside its artifact.
PIECES = frozenset(CONTENTS) | {
    f"{path.parent.name}/{path.name.removesuffix(TEMPLATE)}" for path in APP_CODE.glob(f"*/*/*{TEMPLATE}")
}

LARGEST_PIECE = 16 * 1024 * 1024
CHUNK = 1024 * 1024
END, END_BYTES = b"PK\5\6", 22
LINE_BREAK = re.compile(r"[\r\n]+")
ARTIFACT_NAME = re.compile(r"\w[\w.+-]*", re.ASCII)
REMEDY = "Download the bundle again, from where it was built."


@dataclass(frozen=True)
class Sample:
    """What a file answers to one picture: the input, float32 (1, 3, S, S) little-endian bytes, and the logits."""

    picture: str
    tensor: bytes
    logits: tuple[float, ...]


@dataclass(frozen=True)
class Tolerance:
    """How near the answer of another runtime has to come."""

    cosine: float
    same_top1: bool


@dataclass(frozen=True)
class Expected:
    """``expected.json``: what the artifact answered to the test picture."""

    picture: str
    input: str
    shape: tuple[int, ...]
    top: tuple[Answer, ...]
    tolerance: Tolerance
    logits: tuple[float, ...]


@dataclass(frozen=True)
class Versions:
    """``versions.json``: what made the artifact, and what loads it. Options that do not matter to it are None.

    ``architecture`` is that of one's own model; the catalogue's have a name.
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
    runtimes: tuple[Runtime, ...]
    architecture: Architecture | None = None


@dataclass(frozen=True)
class BundleCheck:
    """Whether a bundle's artifact still answers as the bundle states, and by how much it does not."""

    format: str
    file: str
    holds: bool
    cosine: float
    max_abs_difference: float
    same_top1: bool
    text: str


def write(
    path: Path,
    artifact: Artifact,
    build: BuildResult,
    sample: Sample,
    labels: tuple[str, ...],
    preprocessing: Preprocessing,
    out: Path,
) -> None:
    """Zips the artifact at ``path`` with what an app needs into ``out``; whole or not at all. Imports no torch.

    Raises InvalidArtifact where there is no such file or it is not what was built, and StorageFailed.
    """
    if not is_file(path):
        raise InvalidArtifact(f"There is no artifact {path}.", "Build it first.")
    row = FORMATS[artifact.format]
    pieces = _pieces(row, artifact, build, sample, labels, preprocessing)
    with atomic_write(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        sums = {artifact.file: _add_file(archive, artifact, path)}
        if sums[artifact.file] != artifact.sha256:
            raise InvalidArtifact(f"{artifact.file} is not the file that was built.", "Build it again.")
        for name, data in pieces.items():
            archive.writestr(_entry(name), data)
            sums[name] = hashlib.sha256(data).hexdigest()
        archive.writestr(_entry(SUMS), "".join(f"{digest}  {name}\n" for name, digest in sums.items()))


def sample(path: Path, artifact: Artifact, model: str, settings: Settings) -> Sample:
    """Asks the artifact at ``path`` about the test picture. Raises InvalidRequest or InvalidArtifact."""
    spec = load.find(model)
    reference = verification.reference(spec, settings)
    tensor = reference.tensor.numpy().astype("<f4").tobytes()
    return Sample(reference.picture, tensor, _ask(FORMATS[artifact.format], path, spec, tensor))


def verify(bundle: Path, settings: Settings) -> BundleCheck:
    """Unpacks the artifact of a bundle into a temporary folder and asks it what the bundle says it answers.

    The zip itself is not trusted, but an artifact may be a program, as TorchScript is: verify only what comes from
    somebody whose programs you would run. Raises InvalidArtifact, FormatUnavailable or StorageFailed.
    """
    with _temporary_folder() as folder:
        with _opened(bundle) as archive:
            entries = _entries(archive, bundle)
            pieces = {name: archive.read(entry) for name, entry in entries.items() if name in PIECES}
            versions, expected = _stated(pieces)
            row, spec = _row(versions), _spec(versions, pieces, expected)
            path = folder / versions.file
            sums = {name: hashlib.sha256(data).hexdigest() for name, data in pieces.items() if name != SUMS}
            sums[versions.file] = _extract(archive, entries, versions, path, settings)
            _check_sums(pieces[SUMS], sums)
        logits = _ask(row, path, spec, pieces[TENSOR])
    return _compared(versions, expected, logits)


def _pieces(
    row: Format,
    artifact: Artifact,
    build: BuildResult,
    sample: Sample,
    labels: tuple[str, ...],
    preprocessing: Preprocessing,
) -> dict[str, bytes]:
    """Everything but the artifact and the sums, by name."""
    spec = load.find(build.model)
    tolerance = Tolerance(row.least_cosine, build.weights != "random" and not _is_near_tie(sample.logits))
    side = preprocessing.crop
    expected = Expected(
        sample.picture, TENSOR, (1, 3, side, side), _top(sample.logits, labels), tolerance, sample.logits
    )
    versions = _versions(row, artifact, build, spec)
    code = _app_code(row, _code_values(row, artifact, spec, preprocessing))
    return {
        README: _readme(row, artifact, build, spec, versions, expected, tuple(code)).encode(),
        LABELS: _lines(labels).encode(),
        PREPROCESSING: _json(_preprocessing(preprocessing)),
        TENSOR: sample.tensor,
        EXPECTED: _json(documents.plain(expected)),
        VERSIONS: _json(documents.plain(versions)),
        **code,
    }


def _lines(labels: tuple[str, ...]) -> str:
    return "".join(f"{LINE_BREAK.sub(' ', label)}\n" for label in labels)


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _top(logits: tuple[float, ...], labels: tuple[str, ...]) -> tuple[Answer, ...]:
    largest = max(logits)
    weights = [math.exp(logit - largest) for logit in logits]
    order = sorted(range(len(logits)), key=lambda index: -logits[index])[:5]
    return tuple(Answer(index, labels[index], weights[index] / sum(weights)) for index in order)


def _is_near_tie(logits: tuple[float, ...]) -> bool:
    first, second = sorted(logits, reverse=True)[:2]
    return first - second < verification.NEAR_TIE


def _versions(row: Format, artifact: Artifact, build: BuildResult, spec: ModelSpec) -> Versions:
    return Versions(
        model=spec.name,
        weights=_kind(build.weights),
        format=row.key,
        file=artifact.file,
        bytes=artifact.bytes,
        sha256=artifact.sha256,
        engine=build.engine if "engine" in row.options else None,
        optimize=build.optimize if "optimize" in row.options else None,
        packages=row.versions(),
        runtimes=row.runtimes,
        architecture=spec.architecture,
    )


def _kind(weights: str) -> str:
    """What the weights are, without the path of a checkpoint, which is nobody else's business."""
    return weights if weights in ("pretrained", "random") else "checkpoint"


def _preprocessing(how: Preprocessing) -> dict[str, Any]:
    interpolation = _interpolation(how)
    if how.is_squashed:
        sides = {"resize_width": how.resize, "resize_height": how.resize}
        scaled = f"Scale the whole of it to {how.resize} x {how.resize} pixels, whatever its proportion."
    else:
        sides = {"resize_short_side": how.resize}
        scaled = (
            f"Scale it so that the short side is {how.resize} pixels and the long side keeps the proportion, rounded "
            "down."
        )
    return {
        "width": how.crop,
        "height": how.crop,
        "layout": "NCHW",
        "channel_order": "RGB",
        "dtype": "float32",
        **sides,
        "interpolation": interpolation,
        "center_crop": how.crop,
        "scale": 1 / 255,
        "value_range": [0.0, 1.0],
        "mean": list(how.mean),
        "std": list(how.std),
        "in_words": [
            "Turn the picture the right side up (EXIF orientation), into sRGB with 8 bits per channel, on white where "
            "it is transparent.",
            f"{scaled} Interpolate: {interpolation}.",
            f"Cut {how.crop} x {how.crop} pixels out of the center. Where the rest is odd, round its half to the even "
            "number for the left and top margin.",
            "Divide each value (0 to 255) by 255, subtract the channel's mean, and divide by its std.",
            f"Lay the values out as float32 (1, 3, {how.crop}, {how.crop}): all of red row by row, then green, then "
            "blue.",
        ],
    }


def _interpolation(how: Preprocessing) -> str:
    return f"{how.interpolation} with antialias (as Pillow resizes)"


def _templates(row: Format) -> dict[str, Path]:
    """The templates of the row's app code by their names in the bundle; a platform's common ones come with its own."""
    if row.app_code is None:
        return {}
    platforms = sorted(folder.name for folder in (APP_CODE / row.app_code).iterdir())
    found = [
        template
        for platform in platforms
        for folder in (COMMON / platform, APP_CODE / row.app_code / platform)
        for template in sorted(folder.glob(f"*{TEMPLATE}"))
    ]
    return {f"{template.parent.name}/{template.name.removesuffix(TEMPLATE)}": template for template in found}


def _app_code(row: Format, values: Mapping[str, object]) -> dict[str, bytes]:
    return {
        name: _filled(template, {**values, "runtimes": _runtimes(row, template.parent.name)}).encode()
        for name, template in _templates(row).items()
    }


def _runtimes(row: Format, platform: str) -> str:
    installs = [runtime.install for runtime in row.runtimes if platform in runtime.platforms.lower()]
    return "; ".join(installs) or f"see {README}"


def _filled(template: Path, values: Mapping[str, object]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(values)


def _code_values(row: Format, artifact: Artifact, spec: ModelSpec, how: Preprocessing) -> dict[str, object]:
    versions = {f"version_{package}": version for package, version in row.versions().items()}
    return {
        **versions,
        "file": artifact.file,
        "size": how.crop,
        "resize": how.resize,
        "mean": ", ".join(str(value) for value in how.mean),
        "std": ", ".join(str(value) for value in how.std),
        "interpolation": _interpolation(how),
        "resampling": how.interpolation.upper(),
        "filter": how.interpolation,
        "crop_mode": how.crop_mode,
        "timm_name": spec.timm_name,
        "timm_options": dict(spec.timm_options),
    }


def _readme(
    row: Format,
    artifact: Artifact,
    build: BuildResult,
    spec: ModelSpec,
    versions: Versions,
    expected: Expected,
    code: tuple[str, ...],
) -> str:
    options = [value for value in (versions.engine, versions.optimize) if value]
    packages = [f"{name} {version}" for name, version in versions.packages.items()]
    values = {
        "file": artifact.file,
        "title": row.title,
        "summary": row.summary,
        "model": spec.name,
        "model_title": spec.title,
        "knows": spec.knows,
        "classes": len(expected.logits),
        "weights_text": {"pretrained": "pretrained", "random": "untrained: its answers mean nothing"}.get(
            versions.weights, "with the weights of a checkpoint"
        ),
        "size": expected.shape[-1],
        "megabytes": f"{artifact.bytes / 1e6:.2f}",
        "sha256": artifact.sha256,
        "built_with": ", ".join(packages + [f"option {value}" for value in options]),
        "faithfulness": "\n".join(f"- {line}" for line in _faithfulness(row, artifact)),
        "runtimes_list": "\n".join(
            f"- {runtime.name} {runtime.version} or later, {runtime.platforms}: {runtime.install}"
            for runtime in row.runtimes
        )
        or "- Python, with the packages named above",
        "app_code_rows": "".join(f"| `{name}` | code that uses it, to start from |\n" for name in code),
        "cosine": expected.tolerance.cosine,
        "top1_text": " and the same top-1" if expected.tolerance.same_top1 else "",
        "licence": _licence(spec, build.weights),
    }
    return _filled(APP_CODE / f"{README}{TEMPLATE}", values)


def _faithfulness(row: Format, artifact: Artifact) -> list[str]:
    found = artifact.faithfulness
    lines = [
        f"Against the original on {found.pictures} pictures: the same top-1 (or a near tie) on "
        f"{found.top1_agreement:.0%}, "
        f"{found.top5_overlap:.0%} of the top five shared, cosine at least {found.cosine:.6f}, no logit further off "
        f"than {found.max_abs_difference:.4f}.",
    ]
    if artifact.disagrees:
        lines.append("**That is further off than this format should be: check it on pictures of your own first.**")
    if artifact.delegation:
        rest = ", ".join(artifact.delegation.undelegated) or "none"
        lines.append(f"The delegate runs {artifact.delegation.percent:.1f} % of the operators; the others: {rest}.")
    if row.is_int8:
        lines.append("An int8 file rounds in the way of the engine that runs it: expect a phone to differ a little.")
    return lines + [finding.text if finding.holds else f"**{finding.text}**" for finding in artifact.findings]


def _licence(spec: ModelSpec, weights: str) -> str:
    kind = _kind(weights)
    if kind == "random":
        return "The weights are random numbers; nobody holds rights in them."
    if kind == "checkpoint" or spec.file:
        return "The weights come from a checkpoint; whoever gave it knows its licence."
    if spec.is_embedded:
        return "Apache-2.0. This project trained the model on CIFAR-10 (Krizhevsky, 2009)."
    return (
        "The weights are Apache-2.0, by Facebook Research (https://github.com/facebookresearch/deit), trained on "
        f"ImageNet-1k and published by timm as {spec.hub_id}."
    )


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry that is the same whenever and wherever it is written."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry


def _add_file(archive: zipfile.ZipFile, artifact: Artifact, path: Path) -> str:
    """Copies the artifact into the archive and returns the SHA-256 of what was copied."""
    entry = _entry(artifact.file)
    entry.file_size = artifact.bytes
    digest = hashlib.sha256()
    with path.open("rb") as source, archive.open(entry, "w") as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()


@contextmanager
def _opened(bundle: Path) -> Iterator[zipfile.ZipFile]:
    """The zip, for reading; what zipfile raises on hostile ones is told as one thing."""
    if not is_file(bundle):
        raise InvalidArtifact(f"There is no bundle {bundle}.", "Check the path.")
    try:
        # An artifact may be a zip itself, and zipfile would take it for the bundle where the bundle's end is cut off.
        with bundle.open("rb") as file:
            file.seek(-END_BYTES, os.SEEK_END)
            if not file.read().startswith(END):
                raise zipfile.BadZipFile
            with zipfile.ZipFile(file) as archive:
                yield archive
    except DeployError:
        raise
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise _invalid(f"{bundle.name} is damaged or no zip file.") from error


def _entries(archive: zipfile.ZipFile, bundle: Path) -> dict[str, zipfile.ZipInfo]:
    """The entries by name, once all of them are known to be harmless to read."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename
        if name in entries:
            raise _invalid(f"{_shown(name)} is in the bundle twice.")
        if name not in PIECES and not ARTIFACT_NAME.fullmatch(name):
            raise _invalid(f"{_shown(name)} does not belong in a bundle.")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise _invalid(f"{_shown(name)} is a link or another special file.")
        if entry.flag_bits & 1 or entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise _invalid(f"{_shown(name)} is compressed or encrypted, and a bundle only stores.")
        if name in PIECES and entry.file_size > LARGEST_PIECE:
            raise _invalid(f"{_shown(name)} has {entry.file_size / 1e6:.0f} MB, far more than it needs.")
        entries[name] = entry
    missing = [name for name in CONTENTS if name not in entries]
    if missing:
        raise _invalid(f"The bundle lacks {', '.join(missing)}.")
    if sum(entry.file_size for entry in entries.values()) > bundle.stat().st_size:
        raise _invalid("The bundle's entries overlap.")
    return entries


def _stated(pieces: Mapping[str, bytes]) -> tuple[Versions, Expected]:
    return (
        documents.structured(_parsed(pieces, VERSIONS), Versions),
        documents.structured(_parsed(pieces, EXPECTED), Expected),
    )


def _parsed(pieces: Mapping[str, bytes], name: str) -> Any:
    try:
        return json.loads(pieces[name])
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{name} is damaged.") from error


def _row(versions: Versions) -> Format:
    row = FORMATS.get(versions.format)
    if row is None or not versions.file.endswith(row.suffix):
        raise _invalid(f"{VERSIONS} names a format or a file that this version does not know.")
    if reason := row.missing_packages():
        raise FormatUnavailable(f"{row.title} files cannot be run here.", reason)
    return row


def _spec(versions: Versions, pieces: Mapping[str, bytes], expected: Expected) -> ModelSpec:
    """The bundle's model, of the catalogue or one's own, once input and answer have its shape."""
    if versions.architecture:
        labels = pieces[LABELS].decode(errors="replace").splitlines()
        spec: ModelSpec | None = card.without_file(versions.architecture, versions.model, tuple(labels))
    else:
        spec = catalogue.MODELS.get(versions.model)
    if spec is None:
        raise _invalid(f"{VERSIONS} names a model that this version does not know.")
    tensor = np.frombuffer(pieces[TENSOR][: len(pieces[TENSOR]) // 4 * 4], "<f4")
    numbers = 3 * spec.input_size**2
    if len(pieces[TENSOR]) != 4 * numbers or not np.isfinite(tensor).all():
        raise _invalid(f"{TENSOR} is no input of {spec.name}.")
    if len(expected.logits) != spec.classes or not np.isfinite(expected.logits).all():
        raise _invalid(f"{EXPECTED} is no answer of {spec.name}.")
    return spec


def _extract(
    archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], versions: Versions, path: Path, settings: Settings
) -> str:
    """Writes the artifact to ``path``, and nothing else anywhere; returns its SHA-256."""
    others = [name for name in entries if name not in PIECES]
    if others != [versions.file]:
        raise _invalid(f"The bundle should hold one artifact, the one that {VERSIONS} names.")
    size = entries[versions.file].file_size
    if size != versions.bytes:
        raise _invalid(f"{versions.file} has {size} bytes, and {VERSIONS} says {versions.bytes}.")
    if size > settings.store_bytes:
        raise InvalidArtifact(
            f"{versions.file} has {size / 1e6:.0f} MB, more than is unpacked here.", "Raise DEIT_DEPLOY_STORE_BYTES."
        )
    require_space(path.parent, size)
    digest = hashlib.sha256()
    with archive.open(entries[versions.file]) as source:
        try:
            with path.open("xb") as target:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
        except OSError as error:
            raise storage_failed(path.parent, error) from error
    return digest.hexdigest()


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix="deit-deploy-"))
    except OSError as error:
        raise storage_failed(Path(tempfile.gettempdir()), error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_sums(stated: bytes, found: Mapping[str, str]) -> None:
    lines = stated.decode(errors="replace").splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    wrong = sorted(name for name in {*sums, *found} if sums.get(name) != found.get(name))
    if wrong:
        raise _invalid(f"{_shown(wrong[0])} is not what {SUMS} says.")


def _ask(row: Format, path: Path, spec: ModelSpec, tensor: bytes) -> tuple[float, ...]:
    import torch

    shape = (1, 3, spec.input_size, spec.input_size)
    picture = torch.from_numpy(np.frombuffer(tensor, "<f4").astype(np.float32).reshape(shape))
    logits: list[float] = Classifier(spec, "", (), row.load(path)).logits(picture).tolist()
    return tuple(logits)


def _compared(versions: Versions, expected: Expected, logits: tuple[float, ...]) -> BundleCheck:
    stated, found = np.array(expected.logits), np.array(logits)
    with np.errstate(all="ignore"):  # a hostile bundle may state numbers that overflow: no cosine, no match
        cosine = float(stated @ found / (np.linalg.norm(stated) * np.linalg.norm(found)))
    same_top1 = bool(stated.argmax() == found.argmax())
    tolerance = expected.tolerance
    holds = cosine >= tolerance.cosine and (same_top1 or not tolerance.same_top1)
    verdict = "answers as its bundle states" if holds else "does not answer as its bundle states"
    return BundleCheck(
        format=versions.format,
        file=versions.file,
        holds=holds,
        cosine=cosine,
        max_abs_difference=float(np.abs(stated - found).max()),
        same_top1=same_top1,
        text=f"{versions.file} {verdict}: cosine {cosine:.6f} (at least {tolerance.cosine} is asked for), "
        f"{'the same' if same_top1 else 'another'} top-1.",
    )


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")


def _invalid(problem: str) -> InvalidArtifact:
    return InvalidArtifact(problem, REMEDY)

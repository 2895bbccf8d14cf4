"""An ``.mlpackage``: a folder with a program and its weights. It is shipped as a zip.

Format: https://apple.github.io/coremltools/docs-guides/source/convert-to-ml-program.html. Equal programs give equal
bytes: the zip has no dates, and the manifest's identifiers come from the paths that they stand for.
"""

from __future__ import annotations

import json
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deploy_core.files import undated_entry

AUTHOR = "com.apple.CoreML"
MANIFEST, DATA = "Manifest.json", "Data"
MODEL, WEIGHTS = f"{AUTHOR}/model.mlmodel", f"{AUTHOR}/weights/weight.bin"
WEIGHTS_FOLDER = f"{AUTHOR}/weights"
SUFFIX, ZIP = ".mlpackage", ".zip"


@dataclass(frozen=True)
class Package:
    """``model`` is a serialized ``Model`` of coremltools' ``Model.proto``; ``weights`` is the blob file beside it."""

    model: bytes
    weights: bytes


def write(package: Package, path: Path) -> None:
    """Writes the zip. The folder in it has the name of ``path`` without ``.zip``."""
    folder = path.name.removesuffix(ZIP)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in _pieces(package).items():
            archive.writestr(undated_entry(f"{folder}/{name}"), data)


def unpack(package: Package, folder: Path) -> None:
    """Writes the folder that the zip holds."""
    for name, data in _pieces(package).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def read(path: Path) -> Package:
    """Reads the zip. Raises ``zipfile.BadZipFile`` or ``KeyError`` for another file."""
    with zipfile.ZipFile(path) as archive:
        folder = PurePosixPath(archive.namelist()[0]).parts[0]
        return Package(archive.read(f"{folder}/{DATA}/{MODEL}"), archive.read(f"{folder}/{DATA}/{WEIGHTS}"))


def of_folder(folder: Path) -> Package:
    """Reads an unpacked ``.mlpackage``. Raises OSError."""
    return Package((folder / DATA / MODEL).read_bytes(), (folder / DATA / WEIGHTS).read_bytes())


def _pieces(package: Package) -> dict[str, bytes]:
    return {MANIFEST: _manifest(), f"{DATA}/{MODEL}": package.model, f"{DATA}/{WEIGHTS}": package.weights}


def _manifest() -> bytes:
    model, weights = (str(uuid.uuid5(uuid.NAMESPACE_URL, path)) for path in (MODEL, WEIGHTS_FOLDER))
    document = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {
            model: {
                "author": AUTHOR,
                "description": "CoreML Model Specification",
                "name": "model.mlmodel",
                "path": MODEL,
            },
            weights: {
                "author": AUTHOR,
                "description": "CoreML Model Weights",
                "name": "weights",
                "path": WEIGHTS_FOLDER,
            },
        },
        "rootModelIdentifier": model,
    }
    return json.dumps(document, indent=4).encode()

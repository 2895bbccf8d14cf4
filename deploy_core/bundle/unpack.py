"""Reads the zip of an untrusted bundle: only plain files, within bounds."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy_core.bundle.contents import (
    CONTENTS,
    PIECES,
    SUMS,
    VERSIONS,
    Versions,
)
from deploy_core.errors import DeployError, InvalidArtifact
from deploy_core.files import copy_and_hash, is_file, require_space, storage_failed
from deploy_core.settings import Settings

LARGEST_PIECE = 16 * 1024 * 1024
END, END_BYTES = b"PK\5\6", 22
ARTIFACT_NAME = re.compile(r"\w[\w.+-]*", re.ASCII)
REMEDY = "Download the bundle again, from where it was built."


@contextmanager
def opened(bundle: Path) -> Iterator[zipfile.ZipFile]:
    """Opens the zip for reading. Every error that zipfile raises becomes one InvalidArtifact."""
    if not is_file(bundle):
        raise InvalidArtifact(f"There is no bundle {bundle}.", "Check the path.")
    try:
        # An artifact can be a zip itself. If the end of the bundle is cut off, zipfile would open the artifact.
        with bundle.open("rb") as file:
            file.seek(-END_BYTES, os.SEEK_END)
            if not file.read().startswith(END):
                raise zipfile.BadZipFile
            with zipfile.ZipFile(file) as archive:
                yield archive
    except DeployError:
        raise
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise invalid(f"{bundle.name} is damaged or no zip file.") from error


def read_entries(archive: zipfile.ZipFile, bundle: Path) -> dict[str, zipfile.ZipInfo]:
    """The entries by name, after checking that all are safe to read."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename
        if name in entries:
            raise invalid(f"{_shown(name)} is in the bundle twice.")
        if name not in PIECES and not ARTIFACT_NAME.fullmatch(name):
            raise invalid(f"{_shown(name)} does not belong in a bundle.")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise invalid(f"{_shown(name)} is a link or another special file.")
        if entry.flag_bits & 1 or entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise invalid(f"{_shown(name)} is compressed or encrypted, and a bundle only stores.")
        if name in PIECES and entry.file_size > LARGEST_PIECE:
            raise invalid(f"{_shown(name)} has {entry.file_size / 1e6:.0f} MB, far more than it needs.")
        entries[name] = entry
    missing = [name for name in CONTENTS if name not in entries]
    if missing:
        raise invalid(f"The bundle lacks {', '.join(missing)}.")
    if sum(entry.file_size for entry in entries.values()) > bundle.stat().st_size:
        raise invalid("The bundle's entries overlap.")
    return entries


def extract(
    archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], versions: Versions, path: Path, settings: Settings
) -> str:
    """Writes the artifact to ``path``, and no other file. Returns its SHA-256."""
    others = [name for name in entries if name not in PIECES]
    if others != [versions.file]:
        raise invalid(f"The bundle should hold one artifact, the one that {VERSIONS} names.")
    size = entries[versions.file].file_size
    if size != versions.bytes:
        raise invalid(f"{versions.file} has {size} bytes, and {VERSIONS} says {versions.bytes}.")
    if size > settings.store_bytes:
        raise InvalidArtifact(
            f"{versions.file} has {size / 1e6:.0f} MB, more than is unpacked here.", "Raise DEIT_DEPLOY_STORE_BYTES."
        )
    require_space(path.parent, size)
    with archive.open(entries[versions.file]) as source:
        try:
            with path.open("xb") as target:
                return copy_and_hash(source, target)
        except OSError as error:
            raise storage_failed(path.parent, error) from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix="deit-deploy-"))
    except OSError as error:
        raise storage_failed(Path(tempfile.gettempdir()), error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_sums(stated: bytes, found: Mapping[str, str]) -> None:
    lines = stated.decode(errors="replace").splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    wrong = sorted(name for name in {*sums, *found} if sums.get(name) != found.get(name))
    if wrong:
        raise invalid(f"{_shown(wrong[0])} is not what {SUMS} says.")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")


def invalid(problem: str) -> InvalidArtifact:
    return InvalidArtifact(problem, REMEDY)

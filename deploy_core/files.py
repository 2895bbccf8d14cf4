"""Write files whole or not at all, and other helpers for files."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from deploy_core.errors import DeployError, StorageFailed

CHUNK = 1024 * 1024


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write to. On success the file is synced and renamed to ``path``, else removed.

    The temporary path has the final file name in a temporary folder, because torch writes that name into its archives.
    Raises StorageFailed if the disk is full or read-only, also where a library says so in its own words.
    """
    workplace = path.parent / f".{uuid.uuid4().hex}.part"
    try:
        workplace.mkdir()
        temporary = workplace / path.name
        yield temporary
        # Some writers make files that only their owner can read. The folder's mode shows what is usual here.
        temporary.chmod(workplace.stat().st_mode & 0o666)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise storage_failed(path.parent, error) from error
    except DeployError:
        raise
    except Exception:
        _require_more(temporary)
        raise
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _require_more(unfinished: Path) -> None:
    """Raises StorageFailed if nothing more can be written to a file. Libraries in C++ and Rust do not say that."""
    try:
        with unfinished.open("ab") as file:
            file.write(bytes(CHUNK))
    except OSError as error:
        raise storage_failed(unfinished.parents[1], error) from error


def write_json(path: Path, document: Any) -> None:
    """Writes a document of plain values as JSON, whole or not at all. Raises StorageFailed."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2))


def make_folder(folder: Path) -> Path:
    """Creates ``folder`` and its parents. Raises StorageFailed if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_failed(folder, error) from error
    return folder


def listed(folder: Path) -> list[Path]:
    """The paths in a folder; none if there is no such folder. Raises StorageFailed if it cannot be read."""
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_failed(folder, error) from error


def remove(path: Path) -> None:
    """Removes a file if it exists. Raises StorageFailed if that is not allowed."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_failed(path.parent, error) from error


def is_file(path: Path) -> bool:
    """Whether the file exists. False also for an impossible name or a folder without access."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def require_space(folder: Path, needed: int) -> None:
    """Raises StorageFailed if fewer than ``needed`` bytes are free on the disk that holds ``folder``."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageFailed(
            f"{folder} has {free / 1e6:.1f} MB free, and {needed / 1e6:.1f} MB are needed.",
            "Free some space, or name a folder on another disk.",
        )


def try_room(path: Path, size: int) -> None:
    """Raises OSError if there is no room for ``size`` bytes at ``path``, where an empty file is left.

    torch ends the whole process if the disk is full while it writes TorchScript.
    """
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
        file.truncate(0)


def sha256(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_and_hash(source: IO[bytes], target: IO[bytes]) -> str:
    """Copies all bytes of ``source`` to ``target``. Returns their SHA-256, in hexadecimal."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def undated_entry(name: str) -> zipfile.ZipInfo:
    """A zip entry without date or owner, so that equal files give equal bytes."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry


def remove_leftovers(folder: Path) -> None:
    """Removes unfinished files of killed processes. Nobody may write to ``folder`` meanwhile."""
    for workplace in folder.glob(".*.part"):
        shutil.rmtree(workplace, ignore_errors=True)


def keep_newest(folder: Path, most: int) -> list[Path]:
    """Keeps the ``most`` newest JSON files of ``folder`` and removes the others. Returns the removed paths."""
    gone = sorted(folder.glob("*.json"), key=_changed, reverse=True)[most:]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def _changed(path: Path) -> int:
    """When a file was last written, in nanoseconds; 0 if another process has just removed it."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def storage_failed(folder: Path, error: OSError) -> StorageFailed:
    """An error of the operating system as a sentence for people."""
    if error.errno == errno.ENOSPC:
        return StorageFailed(f"The disk that holds {folder} is full.", "Free some space and try again.")
    if error.errno == errno.EDQUOT:
        return StorageFailed(f"Your quota on the disk of {folder} is used up.", "Free some space and try again.")
    if error.errno == errno.EFBIG:
        return StorageFailed(
            f"A file in {folder} may not be as large as this one.", "Name a folder on another disk, or raise the limit."
        )
    return StorageFailed(
        f"{folder} cannot be written ({error.strerror or error}).", "Name a folder that you may write to."
    )

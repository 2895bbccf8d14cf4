"""Labelled pictures that visitors upload. They take a bounded part of the disk.

A file is in a folder named by the hash of its bytes. Nobody can guess that, so no visitor can use another's file. The
file keeps the name that its visitor gave it, because errors mention that name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from pathlib import Path, PurePath

from deploy_core.errors import InvalidRequest, StorageFailed
from deploy_core.files import atomic_write, make_folder, require_space
from deploy_core.settings import Settings

LONGEST_NAME = 60
# The SHA-256 of a file's bytes.
UPLOAD = re.compile(r"[0-9a-f]{64}")


class Uploads:
    """The uploaded files, at most ``settings.upload_bytes``. The oldest uploads are removed first.

    A file can be removed between two readings of it. A process that has it open can still read it.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.home / "uploads"
        self._limit = settings.upload_bytes

    def keep(self, name: str, data: bytes | memoryview) -> Path:
        """Saves the bytes of a file called ``name``, equal bytes once. Returns the path. Raises StorageFailed."""
        path = make_folder(self.folder) / hashlib.sha256(data).hexdigest() / _safe(name)
        if path.exists():
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
            return path
        self._make_room(len(data))
        make_folder(path.parent)
        with atomic_write(path) as temporary:
            temporary.write_bytes(data)
        return path

    def _make_room(self, needed: int) -> None:
        if needed > self._limit:
            raise StorageFailed(
                f"The file has {needed / 1e6:.0f} MB, and all uploads together may take {self._limit / 1e6:.0f} MB.",
                "Give a smaller one; whoever runs the server can allow more.",
            )
        newest_first = sorted(self._files(), key=lambda found: found[1].st_atime_ns, reverse=True)
        room = self._limit - needed
        for path, status in newest_first:
            room -= status.st_size
            if room < 0:
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # the same bytes have another name
                    path.parent.rmdir()
        require_space(self.folder, needed)

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    found.append((path, path.stat()))
        return found


def require_given(path: Path, settings: Settings) -> None:
    """Raises InvalidRequest for a path that is neither an upload nor a set that the host offers."""
    is_upload = UPLOAD.fullmatch(path.parent.name) and path.parent.parent == settings.home / "uploads"
    is_offered = path.parent == settings.home / "datasets"
    if not (is_upload or is_offered) or path.name in ("", ".."):
        raise InvalidRequest("There are no such pictures here.", "Give the labelled pictures again.")


def _safe(name: str) -> str:
    """A file name without folders, short and printable, with its suffix."""
    plain = "".join(character for character in PurePath(name.replace("\\", "/")).name if character.isprintable())
    return plain.lstrip(".")[-LONGEST_NAME:] or "upload"

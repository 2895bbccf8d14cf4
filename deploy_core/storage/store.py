"""The built files that the app keeps: one folder for each artifact, named by what decides its content.

An entry is a folder ``<model>-<format>-<digest>``. It holds the file, the other files for a bundle, and
``record.json``, which is written last: an entry without it does not exist. Readers and writers hold the entry's lock.
An entry is removed only while nobody holds its lock (docs/decisions/0008-store.md).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy_core import documents
from deploy_core.bundle import write
from deploy_core.errors import DamagedArtifact, InvalidArtifact, StorageFailed
from deploy_core.files import atomic_write, listed, make_folder, require_space, sha256
from deploy_core.formats import FORMATS, in_build_order
from deploy_core.models import load
from deploy_core.settings import Settings
from deploy_core.storage.entry import EXPECTED, OWNED, RECORD, TENSOR, EntryRecord, Stored, address
from deploy_core.storage.locks import ALONE_OR_FAIL, LOCK, SHARED, locked, used_at
from deploy_core.types import BuildRequest, BuildResult


class Store:
    """The finished artifacts, at most ``settings.store_bytes`` in all. The least recently used are removed first.

    All methods raise StorageFailed if the store's folder cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self.root = settings.home / "artifacts"
        self._limit = settings.store_bytes
        self._sound: dict[str, tuple[int, int, int]] = {}
        self._guard = threading.Lock()

    def find(self, request: BuildRequest) -> dict[str, Stored]:
        """The finished artifacts of ``request`` by format, in the order of the table."""
        found = ((row.key, self.entry(address(request, row))) for row in in_build_order(request.formats))
        return {key: stored for key, stored in found if stored}

    def entry(self, key: str) -> Stored | None:
        """The artifact at an address; None if there is none, or it is not complete."""
        if key not in self._keys():
            return None
        folder = self.root / key
        try:
            stored = Stored(key, folder, documents.read(folder / RECORD, EntryRecord))
            if stored.artifact.format in FORMATS and stored.is_whole():
                return stored
        except (InvalidArtifact, OSError):
            pass
        return None

    @contextmanager
    def reading(self, key: str) -> Iterator[Stored]:
        """Holds an artifact so that it is not removed, and marks it as used.

        The hash is checked once for each state of the file. Raises InvalidArtifact if there is no such artifact, and
        DamagedArtifact, after removing it, if the file has changed.
        """
        with ExitStack() as held:
            with contextlib.suppress(FileNotFoundError):
                if key in self._keys():
                    held.enter_context(locked(self.root / key, SHARED))
            stored = self.entry(key)
            if stored is None:
                raise InvalidArtifact("There is no such artifact.", "Build it on the Build page.")
            if self._is_sound(stored):
                self._markused_at(stored.folder)
                yield stored
                return
        self._remove(stored.folder)
        raise DamagedArtifact(f"{stored.artifact.file} was damaged on this server's disk.", "Build it again.")

    def adopt(self, shipped: Path) -> None:
        """Copies finished artifacts from a folder, if this version would build the same. Raises StorageFailed."""
        for folder in shipped.iterdir():
            record = documents.read(folder / RECORD, EntryRecord)
            key = address(record.request, FORMATS[record.artifact.format])
            if folder.name != key or self.entry(key):
                continue
            self.make_room(_size(folder))
            ours = make_folder(self.root / key)
            with locked(ours, SHARED):
                for name in (record.artifact.file, TENSOR, EXPECTED, RECORD):
                    with atomic_write(ours / name) as temporary:
                        shutil.copyfile(folder / name, temporary)

    def result(self, request: BuildRequest) -> BuildResult:
        """The finished artifacts of ``request`` as one build."""
        artifacts = tuple(stored.artifact for stored in self.find(request).values())
        return BuildResult(request.model, request.weights, request.engine, request.optimize, artifacts, ())

    def entries(self) -> list[Stored]:
        """All finished artifacts except those of visitors' own models, the most recently used first."""
        return [stored for stored in self._last_used_first() if not OWNED.match(stored.key)]

    def size(self) -> int:
        """The bytes of all entries, finished or not."""
        return sum(_size(self.root / key) for key in self._keys())

    def forget(self, owner: str) -> None:
        """Removes the artifacts of a visitor's own models."""
        for key in self._keys():
            if key.startswith(f"{owner}-"):
                self._remove(self.root / key)

    def clear(self) -> None:
        """Removes every entry that is not in use."""
        for key in self._keys():
            self._remove(self.root / key)

    def sweep(self) -> None:
        """Removes unfinished entries of killed processes."""
        for key in self._keys():
            if not (self.root / key / RECORD).exists():
                self._remove(self.root / key)

    def make_room(self, needed: int) -> None:
        """Removes the least recently used until ``needed`` bytes fit. Raises StorageFailed if they cannot fit."""
        self.require_limit(needed)
        last_used = self._last_used_first()
        while last_used and self.size() + needed > self._limit:
            self._remove(last_used.pop().folder)
        if self.size() + needed > self._limit:
            raise StorageFailed("The store is full of files that are in use now.", "Try again in a few minutes.")
        require_space(make_folder(self.root), needed)

    def bundle(self, stored: Stored) -> Path:
        """The zip for a phone developer, written the first time somebody asks for it. Raises StorageFailed."""
        path = stored.folder / stored.bundle_name
        if not path.exists():
            self.make_room(stored.artifact.bytes)
            request = stored.record.request
            preprocessing = load.find(request.model).preprocessing
            write.write(stored.path, stored.artifact, self.result(request), stored.known(), preprocessing, path)
        return path

    def require_limit(self, needed: int) -> None:
        """Raises StorageFailed if ``needed`` bytes are more than the store may hold."""
        if needed > self._limit:
            raise StorageFailed(
                f"This build needs about {needed / 1e6:.0f} MB, and the store may hold {self._limit / 1e6:.0f} MB.",
                "Choose fewer formats or a smaller model; whoever runs the server can allow more.",
            )

    def _last_used_first(self) -> list[Stored]:
        found = [stored for key in self._keys() if (stored := self.entry(key))]
        return sorted(found, key=lambda stored: used_at(stored.folder), reverse=True)

    def _keys(self) -> list[str]:
        return [folder.name for folder in listed(self.root) if folder.is_dir()]

    def _is_sound(self, stored: Stored) -> bool:
        status = stored.path.stat()
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        with self._guard:
            if self._sound.get(stored.key) == state:
                return True
        try:
            stored.expected()
        except InvalidArtifact:
            return False
        if sha256(stored.path) != stored.artifact.sha256:
            return False
        with self._guard:
            self._sound[stored.key] = state
        return True

    def _markused_at(self, folder: Path) -> None:
        # If the clock was set back, this entry must still be the newest.
        newest = max((used_at(self.root / key) for key in self._keys()), default=0)
        stamp = max(time.time_ns(), newest + 1)
        os.utime(folder / LOCK, ns=(stamp, stamp))

    def _remove(self, folder: Path) -> None:
        with contextlib.suppress(BlockingIOError, FileNotFoundError), locked(folder, ALONE_OR_FAIL):
            # The record is removed first, so that nobody sees half an entry.
            (folder / RECORD).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total

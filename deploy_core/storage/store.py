"""Where the app keeps what it built: one folder an artifact, named by the content of what made it.

An entry is a folder ``<model>-<format>-<digest>`` with the file, what a bundle needs beside it, and ``record.json``,
which is written last: without it, there is no entry. Whoever reads or writes an entry holds its lock (``flock``: it
holds between processes and ends with them), and only an entry that nobody holds is ever removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deploy_core import build, documents
from deploy_core.build import Answers
from deploy_core.bundle import write
from deploy_core.errors import DamagedArtifact, InvalidArtifact, StorageFailed
from deploy_core.evaluation import labelled
from deploy_core.evaluation.results import Evaluation, read_evaluation, save_evaluation
from deploy_core.files import atomic_write, listed, make_folder, remove_leftovers, require_space, sha256, storage_failed
from deploy_core.formats import FORMATS, Format, in_build_order
from deploy_core.inference import verify
from deploy_core.models import catalogue, load
from deploy_core.settings import Settings
from deploy_core.types import Artifact, BuildRequest, BuildResult

RECORD = "record.json"
EXPECTED = "expected.json"
TENSOR = "test_input.bin"
LOCK = ".lock"
# The address of what is made of a visitor's own model begins with the visitor's name, which nobody can guess.
OWNED = re.compile(r"[0-9a-f]{32}-")


@dataclass(frozen=True)
class Record:
    """What is known of a stored artifact. ``request`` names this one format, so that it can be built again."""

    request: BuildRequest
    artifact: Artifact
    versions: dict[str, str | None]


@dataclass(frozen=True)
class GivenAnswer:
    """What the artifact answered to the test picture, whose tensor lies beside it."""

    picture: str
    logits: tuple[float, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Stored:
    """A finished artifact in the store. ``key`` is its address in URLs."""

    key: str
    folder: Path
    record: Record

    @property
    def artifact(self) -> Artifact:
        return self.record.artifact

    @property
    def path(self) -> Path:
        return self.folder / self.artifact.file

    @property
    def bundle_name(self) -> str:
        return f"{self.path.stem}_bundle.zip"

    def is_whole(self) -> bool:
        """Whether the file is as long as it was, and what a bundle needs lies beside it. Raises OSError."""
        beside = (self.folder / name for name in (TENSOR, EXPECTED))
        return self.path.stat().st_size == self.artifact.bytes and all(path.stat().st_size for path in beside)

    def expected(self) -> GivenAnswer:
        """What a bundle states. Raises InvalidArtifact where it is not there any more."""
        return documents.read(self.folder / EXPECTED, GivenAnswer)

    def tensor(self) -> bytes:
        """The test picture as the model's input, float32 (1, 3, S, S), little-endian."""
        return (self.folder / TENSOR).read_bytes()


class Store:
    """The finished artifacts, bounded by the settings' ``store_bytes``; the least recently used go first.

    Where its folder cannot be looked into, all raise StorageFailed.
    """

    def __init__(self, settings: Settings) -> None:
        self.root = settings.home / "artifacts"
        self._limit = settings.store_bytes
        self._evaluations = settings.home / "evaluations"
        self._sound: dict[str, tuple[int, int, int]] = {}
        self._guard = threading.Lock()

    def key(self, request: BuildRequest, row: Format) -> str:
        """The address of what ``row`` makes of ``request``: equal for equal content, as far as can be told before."""
        spec = load.find(request.model)
        made_of = {
            "weights": load.weights_identity(spec, request.weights),
            "architecture": [spec.timm_name, dict(spec.timm_options)],
            "labels": catalogue.labels_identity(spec),
            "preprocessing": documents.plain(spec.preprocessing),
            "options": {name: getattr(request, name) for name in row.options},
            "versions": row.versions(),
        }
        return f"{spec.owner or spec.name}-{row.key}-{_digest(made_of)}"

    def find(self, request: BuildRequest) -> dict[str, Stored]:
        """The finished artifacts of ``request`` by format, in the table's order."""
        found = ((row.key, self.entry(self.key(request, row))) for row in in_build_order(request.formats))
        return {key: stored for key, stored in found if stored}

    def entry(self, key: str) -> Stored | None:
        """The artifact at an address; None where there is none, or it is not whole."""
        if key not in self._keys():
            return None
        folder = self.root / key
        try:
            stored = Stored(key, folder, documents.read(folder / RECORD, Record))
            if stored.artifact.format in FORMATS and stored.is_whole():
                return stored
        except (InvalidArtifact, OSError):
            pass
        return None

    @contextmanager
    def reading(self, key: str) -> Iterator[Stored]:
        """Holds an artifact, so that it is not removed, and marks it as used.

        Its hash is checked once for each state of the file. Raises InvalidArtifact where there is no such artifact,
        and DamagedArtifact, after removing it, where it is not what was built.
        """
        with ExitStack() as held:
            with contextlib.suppress(FileNotFoundError):
                if key in self._keys():
                    held.enter_context(_locked(self.root / key, fcntl.LOCK_SH))
            stored = self.entry(key)
            if stored is None:
                raise InvalidArtifact("There is no such artifact.", "Build it on the Build page.")
            if self._is_sound(stored):
                self._mark_used(stored.folder)
                yield stored
                return
        self._remove(stored.folder)
        raise DamagedArtifact(f"{stored.artifact.file} was damaged on this server's disk.", "Build it again.")

    @contextmanager
    def shelf(self, request: BuildRequest) -> Iterator[Shelf]:
        """The destination of a build of ``request``; what it finds or writes there is held until the block ends.

        Raises StorageFailed where it would be larger than the whole store.
        """
        spec = load.find(request.model)
        self._require_limit(sum(build.expected_bytes(row, spec) for row in in_build_order(request.formats)))
        with ExitStack() as held:
            yield Shelf(self, request, held)

    def adopt(self, shipped: Path) -> None:
        """Takes in the finished artifacts of a folder, as far as this version would make the same.

        Raises StorageFailed.
        """
        for folder in shipped.iterdir():
            record = documents.read(folder / RECORD, Record)
            key = self.key(record.request, FORMATS[record.artifact.format])
            if folder.name != key or self.entry(key):
                continue
            self.make_room(_size(folder))
            ours = make_folder(self.root / key)
            with _locked(ours, fcntl.LOCK_SH):
                for name in (record.artifact.file, TENSOR, EXPECTED, RECORD):
                    with atomic_write(ours / name) as temporary:
                        shutil.copyfile(folder / name, temporary)

    def result(self, request: BuildRequest) -> BuildResult:
        """The finished artifacts of ``request`` as one build."""
        artifacts = tuple(stored.artifact for stored in self.find(request).values())
        return BuildResult(
            request.model, request.weights, request.engine, request.optimize, verify.PICTURES, artifacts, ()
        )

    def entries(self) -> list[Stored]:
        """All finished artifacts but those of visitors' own models, the most recently used first."""
        return [stored for stored in self._last_used_first() if not OWNED.match(stored.key)]

    def size(self) -> int:
        """Bytes that all entries take, finished or not."""
        return sum(_size(self.root / key) for key in self._keys())

    def forget(self, owner: str) -> None:
        """Removes what was made of a visitor's own models."""
        for key in self._keys():
            if key.startswith(f"{owner}-"):
                self._remove(self.root / key)
        for path in self._evaluations.glob(f"{owner}-*.json"):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Removes every entry that is not in use."""
        for key in self._keys():
            self._remove(self.root / key)

    def sweep(self) -> None:
        """Removes what a killed writer left behind."""
        for key in self._keys():
            if not (self.root / key / RECORD).exists():
                self._remove(self.root / key)
        remove_leftovers(self._evaluations)

    def make_room(self, needed: int) -> None:
        """Removes the least recently used until ``needed`` bytes fit. Raises StorageFailed where they cannot."""
        self._require_limit(needed)
        last_used = self._last_used_first()
        while last_used and self.size() + needed > self._limit:
            self._remove(last_used.pop().folder)
        if self.size() + needed > self._limit:
            raise StorageFailed("The store is full of files that are in use now.", "Try again in a few minutes.")
        require_space(make_folder(self.root), needed)

    def bundle(self, stored: Stored) -> Path:
        """The zip for a phone developer; made when it is asked for the first time. Raises StorageFailed."""
        path = stored.folder / stored.bundle_name
        if not path.exists():
            self.make_room(stored.artifact.bytes)
            request, expected = stored.record.request, stored.expected()
            write.write(
                stored.path,
                stored.artifact,
                self.result(request),
                write.Sample(expected.picture, stored.tensor(), expected.logits),
                expected.labels,
                load.find(request.model).preprocessing,
                path,
            )
        return path

    def evaluation(self, request: BuildRequest, pictures: Path) -> Evaluation | None:
        """The newest evaluation of what ``request`` makes on a labelled set; None where there is none."""
        try:
            return read_evaluation(self._evaluation_path(request, pictures))
        except InvalidArtifact:
            return None

    def keep_evaluation(self, request: BuildRequest, pictures: Path, evaluation: Evaluation) -> None:
        """Keeps an evaluation of what ``request`` makes. Raises StorageFailed."""
        make_folder(self._evaluations)
        save_evaluation(evaluation, self._evaluation_path(request, pictures))

    def _evaluation_path(self, request: BuildRequest, pictures: Path) -> Path:
        try:
            state = labelled.fingerprint(pictures)
        except OSError as error:
            raise InvalidArtifact(f"{pictures.name} is gone.", "Give the pictures again.") from error
        keys = [self.key(request, FORMATS[key]) for key in request.formats]
        made_of = [keys, str(pictures), state]
        spec = load.find(request.model)
        return self._evaluations / f"{spec.owner or spec.name}-{_digest(made_of)}.json"

    def _require_limit(self, needed: int) -> None:
        if needed > self._limit:
            raise StorageFailed(
                f"This build needs about {needed / 1e6:.0f} MB, and the store may hold {self._limit / 1e6:.0f} MB.",
                "Choose fewer formats or a smaller model, or raise DEIT_DEPLOY_STORE_BYTES.",
            )

    def _last_used_first(self) -> list[Stored]:
        found = [stored for key in self._keys() if (stored := self.entry(key))]
        return sorted(found, key=lambda stored: _used(stored.folder), reverse=True)

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

    def _mark_used(self, folder: Path) -> None:
        # A clock that is set back must not make what is used now look old.
        newest = max((_used(self.root / key) for key in self._keys()), default=0)
        stamp = max(time.time_ns(), newest + 1)
        os.utime(folder / LOCK, ns=(stamp, stamp))

    def _remove(self, folder: Path) -> None:
        with contextlib.suppress(BlockingIOError, FileNotFoundError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            # The record goes first, so that whoever looks in between sees no entry.
            (folder / RECORD).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Shelf:
    """The store as the destination of one build."""

    store: Store
    request: BuildRequest
    held: ExitStack

    def find(self, row: Format) -> Artifact | None:
        try:
            return self.held.enter_context(self.store.reading(self.store.key(self.request, row))).artifact
        except InvalidArtifact:
            return None

    @contextmanager
    def writing(self, row: Format) -> Iterator[Path]:
        self.store.make_room(build.expected_bytes(row, load.find(self.request.model)))
        folder = make_folder(self.path(row).parent)
        try:
            self.held.enter_context(_locked(folder, fcntl.LOCK_SH))
        except OSError as error:
            raise storage_failed(folder, error) from error
        with atomic_write(self.path(row)) as temporary:
            yield temporary

    def path(self, row: Format) -> Path:
        return self.store.root / self.store.key(self.request, row) / row.filename(load.find(self.request.model).name)

    def keep(self, artifact: Artifact, answers: Answers) -> None:
        row = FORMATS[artifact.format]
        folder = self.path(row).parent
        first = answers.references[0]
        with atomic_write(folder / TENSOR) as path:
            path.write_bytes(first.tensor.numpy().astype("<f4").tobytes())
        expected = GivenAnswer(first.picture, tuple(answers.logits[0].tolist()), answers.labels)
        documents.write(folder / EXPECTED, expected)
        request = replace(self.request, formats=(row.key,))
        documents.write(folder / RECORD, Record(request, artifact, row.versions()))


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    """Raises FileNotFoundError where the folder is gone, BlockingIOError where the lock is not to be had at once."""
    handle = _lock(folder, kind)
    try:
        yield
    finally:
        os.close(handle)


def _lock(folder: Path, kind: int) -> int:
    while True:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, kind)
            # Who removed the folder while we waited has left us a lock on nothing.
            if os.path.samestat(os.fstat(handle), (folder / LOCK).stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _used(folder: Path) -> int:
    try:
        return (folder / LOCK).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

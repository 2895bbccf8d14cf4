"""Visitors' own models. Each visitor has a folder, which is removed soon after they leave.

A visitor is known by a secret name. The addresses of everything built from their models begin with it
(``entry.OWNED``), and so do the folders of their files and runs.
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy_core.errors import DeployError, InvalidCheckpoint, InvalidRequest, StorageFailed
from deploy_core.files import atomic_write, make_folder, require_space
from deploy_core.inference import capacity
from deploy_core.models.catalogue import MODELS
from deploy_core.models.own import bring, card
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import ModelChoice

log = logging.getLogger(__name__)

# A locked phone comes back to its session.
GRACE_SECONDS = 600.0
MOST_MODELS = 3
# Everything that belongs to a visitor begins with their name, in all folders of the app.
NAME = re.compile(r"[0-9a-f]{32}(?=-|$)")
# The files in a visitor's folder: unfinished uploads and model files.
FILE = re.compile(r"\.[0-9a-f]{16}\.upload|[a-z][a-z0-9_]{0,39}\.safetensors")


@dataclass(frozen=True)
class VisitorsFile:
    """A file in a visitor's own folder. Raises InvalidRequest for names that would lead to another file."""

    visitor: str
    file: str

    def __post_init__(self) -> None:
        if not (len(self.visitor) == 32 and NAME.fullmatch(self.visitor) and FILE.fullmatch(self.file)):
            raise InvalidRequest("This is no file that a visitor brought.", "Bring the checkpoint again.")

    @classmethod
    def of(cls, path: Path) -> VisitorsFile:
        return cls(path.parent.name, path.name)

    def path(self, settings: Settings) -> Path:
        return root(settings) / self.visitor / self.file


def root(settings: Settings) -> Path:
    """The folder of all visitors' folders."""
    return settings.home / "visitors"


def require_visible(choice: ModelChoice, settings: Settings) -> None:
    """Raises InvalidRequest for a choice that the pages do not offer, such as weights at a path of the host's."""
    if choice.weights not in ("pretrained", "random"):
        raise InvalidRequest("These weights are not offered here.", "Choose pretrained or random ones.")
    if choice.reference in MODELS:
        return
    path = Path(choice.reference)
    if VisitorsFile.of(path).path(settings) != path:
        raise InvalidRequest("There is no such model here.", "Choose another one, or bring your own.")


def new_name() -> str:
    """A secret name for a visitor: 128 random bits."""
    return secrets.token_hex(16)


def upload_name() -> str:
    """A secret name for an unfinished upload."""
    return f".{secrets.token_hex(8)}.upload"


def require_room(folder: Path, needed: int, settings: Settings) -> None:
    """Raises StorageFailed if this visitor brings too much, or all visitors together do."""
    if len(_model_files(folder)) >= MOST_MODELS:
        raise StorageFailed(f"You have brought {MOST_MODELS} models already.", "Remove one of them first.")
    most = settings.upload_bytes
    if needed > most:
        raise StorageFailed(
            f"The file needs {needed / 1e6:.0f} MB here, and all models that visitors bring may take "
            f"{most / 1e6:.0f} MB.",
            "Give a smaller one.",
        )
    taken = sum(path.stat().st_size for path in folder.parent.rglob("*") if path.is_file())
    if taken + needed > most:
        raise StorageFailed("Other visitors' models take all the room.", "Try again in a while.")
    require_space(make_folder(folder.parent), needed)


def _model_files(folder: Path) -> list[Path]:
    """The model files. Names of unfinished uploads begin with a dot."""
    return sorted(folder.glob(f"[a-z]*{card.SUFFIX}"))


def admission(folder: Path, settings: Settings) -> bring.Admit:
    """A check of a checkpoint's size: whether it fits into the memory and into the visitor's ``folder``."""

    def admit(file_bytes: int) -> None:
        capacity.require_checkpoint(file_bytes, settings)
        require_room(folder, file_bytes, settings)

    return admit


class Visitors:
    """The visitors who brought a model. ``forget`` is called with the name of each visitor who has left.

    All their models take at most ``settings.upload_bytes``. Files that an earlier app left behind are removed.
    """

    def __init__(self, settings: Settings, forget: Callable[[str], None], grace_seconds: float = GRACE_SECONDS) -> None:
        self._root, self._settings = root(settings), settings
        self._forget, self._grace_seconds = forget, grace_seconds
        self._guard = threading.Lock()
        self._leaving: dict[str, threading.Timer] = {}
        self._sessions: Counter[str] = Counter()
        for visitor in {found[0] for path in settings.home.glob("*/*") if (found := NAME.match(path.name))}:
            self._end(visitor)

    def arrive(self, visitor: str) -> None:
        """The visitor is here, or has come back. After a reload, the session before is still open for a while."""
        with self._guard:
            self._sessions[visitor] += 1
            timer = self._leaving.pop(visitor, None)
        if timer:
            timer.cancel()

    def leave(self, visitor: str) -> None:
        """A session of the visitor has ended. Unless they have another or come back soon, their things are removed."""
        timer = threading.Timer(self._grace_seconds, self._end, [visitor])
        timer.daemon = True
        with self._guard:
            self._sessions[visitor] -= 1
            if self._sessions[visitor] > 0:
                return
            del self._sessions[visitor]
            # A visitor can leave twice, from two tabs. The first timer must not go on unseen.
            earlier, self._leaving[visitor] = self._leaving.get(visitor), timer
        if earlier:
            earlier.cancel()
        timer.start()

    def folder(self, visitor: str) -> Path:
        return self._root / visitor

    def models(self, visitor: str) -> tuple[ModelSpec, ...]:
        """The models of a visitor, sorted by name."""
        found = []
        for path in _model_files(self.folder(visitor)):
            try:
                found.append(card.read(path))
            except InvalidCheckpoint:
                continue
        return tuple(found)

    def remove(self, spec: ModelSpec) -> None:
        """Removes one model of a visitor. Files built from it are removed with the visitor, or when room is needed."""
        if spec.file and spec.file.is_relative_to(self._root):
            spec.file.unlink(missing_ok=True)

    @contextmanager
    def uploaded(self, visitor: str, data: bytes | memoryview) -> Iterator[VisitorsFile]:
        """Holds a checkpoint's bytes in a file until the block ends. Raises StorageFailed."""
        self.require_room(visitor, 2 * len(data))
        path = make_folder(self.folder(visitor)) / upload_name()
        try:
            with atomic_write(path) as temporary:
                temporary.write_bytes(data)
            yield VisitorsFile.of(path)
        finally:
            path.unlink(missing_ok=True)

    def require_room(self, visitor: str, needed: int) -> None:
        """Raises StorageFailed if the visitor brings too much, or all visitors together do."""
        require_room(self.folder(visitor), needed, self._settings)

    def _end(self, visitor: str) -> None:
        with self._guard:
            self._leaving.pop(visitor, None)
        try:
            self._forget(visitor)
        except DeployError as error:
            # The next start of the app tries again. The name of a visitor is secret, so the log has no path.
            log.warning("Not all that a visitor left could be removed: %s", type(error.__cause__ or error).__name__)
        finally:
            # Removed last, when nothing writes into it any more.
            shutil.rmtree(self._root / visitor, ignore_errors=True)

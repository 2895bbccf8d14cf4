"""The models that visitors bring: each visitor's in a folder of their own, forgotten soon after they have left.

A visitor is known by a name that nobody can guess. It begins the addresses of all that is made of the visitor's models
(``store.OWNED``), and names the folders of their files and runs.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy_core.errors import InvalidCheckpoint, InvalidRequest, StorageFailed
from deploy_core.files import atomic_write, make_folder, require_space
from deploy_core.inference import capacity
from deploy_core.models.catalogue import MODELS
from deploy_core.models.checkpoints import SUFFIXES
from deploy_core.models.own import bring, card
from deploy_core.models.spec import ModelSpec
from deploy_core.settings import Settings
from deploy_core.types import ModelChoice

# A phone that was locked comes back to the session that it left.
GRACE_SECONDS = 600.0
MOST_MODELS = 3
# Everything that is a visitor's begins with the visitor's name, in whichever folder of the app's it lies.
NAME = re.compile(r"[0-9a-f]{32}(?=-|$)")
# What lies in a visitor's folder: uploads on their way, and model files.
FILE = re.compile(r"\.[0-9a-f]{16}\.(safetensors|pth|pt)|[a-z][a-z0-9_]{0,39}\.safetensors")


@dataclass(frozen=True)
class VisitorsFile:
    """A file in a visitor's own folder. It cannot name any other file; raises InvalidRequest for what would."""

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
    """Where each visitor has a folder."""
    return settings.home / "visitors"


def require_visible(choice: ModelChoice, settings: Settings) -> None:
    """Raises InvalidRequest for a choice that the pages do not offer, such as weights at a path of the host's."""
    if choice.weights not in ("pretrained", "random"):
        raise InvalidRequest("These weights are not offered here.", "Choose pretrained or random ones.")
    if choice.reference in MODELS:
        return
    path = Path(choice.reference)
    if VisitorsFile.of(path).path(settings) != path:
        raise InvalidRequest("There is no such model here.", "Choose one in the sidebar, or bring your own.")


def new_name() -> str:
    """A name for a visitor: 128 random bits."""
    return secrets.token_hex(16)


def upload_name(suffix: str) -> str:
    """A name for a checkpoint on its way, which nobody can guess."""
    return f".{secrets.token_hex(8)}{suffix}"


def require_room(folder: Path, needed: int, settings: Settings) -> None:
    """Raises StorageFailed where the visitor whose ``folder`` it is brings too much, or all of them together."""
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
    """Without uploads on their way, whose names begin with a dot."""
    return sorted(folder.glob(f"[a-z]*{card.SUFFIX}"))


def admission(folder: Path, settings: Settings) -> bring.Admit:
    """What admits a checkpoint of so many bytes into a visitor's ``folder``: it fits the memory and the room."""

    def admit(file_bytes: int) -> None:
        capacity.require_checkpoint(file_bytes, settings)
        require_room(folder, file_bytes, settings)

    return admit


class Visitors:
    """Those who brought a model; ``forget`` is called with the name of each whose time is over.

    All that they bring takes at most the settings' ``upload_bytes``. What an app before this one has left is removed.
    """

    def __init__(self, settings: Settings, forget: Callable[[str], None], grace_seconds: float = GRACE_SECONDS) -> None:
        self._root, self._settings = root(settings), settings
        self._forget, self._grace_seconds = forget, grace_seconds
        self._guard = threading.Lock()
        self._leaving: dict[str, threading.Timer] = {}
        for visitor in {found[0] for path in settings.home.glob("*/*") if (found := NAME.match(path.name))}:
            self._end(visitor)

    def arrive(self, visitor: str) -> None:
        """The visitor is here, or is here again."""
        with self._guard:
            timer = self._leaving.pop(visitor, None)
        if timer:
            timer.cancel()

    def leave(self, visitor: str) -> None:
        """The visitor is gone; unless they come back soon, all that they brought goes too."""
        timer = threading.Timer(self._grace_seconds, self._end, [visitor])
        timer.daemon = True
        with self._guard:
            # Who leaves twice, from two tabs for one, is waited for once: else the first clock would run on unseen.
            earlier, self._leaving[visitor] = self._leaving.get(visitor), timer
        if earlier:
            earlier.cancel()
        timer.start()

    def folder(self, visitor: str) -> Path:
        return self._root / visitor

    def models(self, visitor: str) -> tuple[ModelSpec, ...]:
        """The models that a visitor has brought, by name."""
        found = []
        for path in _model_files(self.folder(visitor)):
            try:
                found.append(card.read(path))
            except InvalidCheckpoint:
                continue
        return tuple(found)

    def remove(self, spec: ModelSpec) -> None:
        """Forgets one model of a visitor's. What was made of it goes with the visitor, or when room is needed."""
        if spec.file and spec.file.is_relative_to(self._root):
            spec.file.unlink(missing_ok=True)

    @contextmanager
    def uploaded(self, visitor: str, name: str, data: bytes | memoryview) -> Iterator[VisitorsFile]:
        """A checkpoint's bytes as a file for the length of a block. Raises InvalidCheckpoint, StorageFailed."""
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise InvalidCheckpoint(f"{name} is no checkpoint.", f"Give a file ending in {', '.join(SUFFIXES)}.")
        self.require_room(visitor, 2 * len(data))
        path = make_folder(self.folder(visitor)) / upload_name(suffix)
        try:
            with atomic_write(path) as temporary:
                temporary.write_bytes(data)
            yield VisitorsFile.of(path)
        finally:
            path.unlink(missing_ok=True)

    def require_room(self, visitor: str, needed: int) -> None:
        """Raises StorageFailed where a visitor brings too much, or all of them together."""
        require_room(self.folder(visitor), needed, self._settings)

    def _end(self, visitor: str) -> None:
        with self._guard:
            self._leaving.pop(visitor, None)
        try:
            self._forget(visitor)
        finally:
            # Last, when nothing writes into it any more.
            shutil.rmtree(self._root / visitor, ignore_errors=True)

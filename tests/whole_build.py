"""The embedded model in every format, built once for all tests."""

from __future__ import annotations

import contextlib
import fcntl
import io
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy_core import build, documents
from deploy_core.formats import FORMATS
from deploy_core.inference import proof
from deploy_core.settings import Settings
from deploy_core.storage.shelf import Shelf, open_shelf
from deploy_core.storage.store import Store
from deploy_core.types import Artifact, BuildRequest, BuildResult, Event, KnownAnswer

# The formats whose files a runtime on this machine runs.
RUN_HERE = [key for key, row in FORMATS.items() if row.runs_here]


@dataclass(frozen=True)
class WholeBuild:
    """The embedded model in every format. Tests read it; what they change they copy first."""

    folder: Path
    store: Path
    result: BuildResult
    events: tuple[Event, ...]
    printed: str

    def path(self, key: str) -> Path:
        return self.folder / FORMATS[key].filename("demo")

    def put_into(self, home: Path, keys: Iterable[str]) -> None:
        """Copies these formats into an app's home, as if the app had built them."""
        for key in keys:
            (entry,) = (self.store / "artifacts").glob(f"demo-{key}-*")
            shutil.copytree(entry, home / "artifacts" / entry.name)


def build_once(folder: Path) -> WholeBuild:
    """What is in ``folder``; whoever comes while another process builds it waits."""
    told = folder / "told.json"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            documents.write(told, _build(folder / "on demand", folder / "home"))
    return documents.read(told, WholeBuild)


def _build(folder: Path, home: Path) -> WholeBuild:
    events: list[Event] = []
    printed = io.StringIO()
    request = BuildRequest("demo", "pretrained", tuple(FORMATS))
    store = Store(Settings(home=home))
    with (
        pytest.MonkeyPatch.context() as patch,
        open_shelf(store, request) as shelf,
        contextlib.redirect_stdout(printed),
    ):
        # As python is found when it is called by its path: without the environment's own programs.
        patch.setenv("PATH", "/usr/bin:/bin")
        patch.setattr(build, "Folder", _also_on(shelf))
        # The verdict gets its pictures, however busy the machine is.
        patch.setattr(proof, "ENOUGH_TIME", 600.0)
        patch.setattr(proof, "MOST_TIME", 600.0)
        result = build.build_into(folder, request, Settings(), events.append)
    return WholeBuild(folder, home, result, tuple(events), printed.getvalue())


def _also_on(shelf: Shelf) -> type[build.Folder]:
    """A folder as destination, whose files are put into the store, too."""

    class FolderAndShelf(build.Folder):
        def keep(self, artifact: Artifact, known: KnownAnswer) -> None:
            super().keep(artifact, known)
            row = FORMATS[artifact.format]
            with shelf.writing(row) as path:
                shutil.copyfile(self.path(row), path)
            shelf.keep(artifact, known)

    return FolderAndShelf

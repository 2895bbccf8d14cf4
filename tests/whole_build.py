"""The embedded model in every format, built once for all tests."""

from __future__ import annotations

import contextlib
import fcntl
import io
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy_core import build, documents
from deploy_core.formats import FORMATS
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, BuildResult, Event


@dataclass(frozen=True)
class WholeBuild:
    """The embedded model in every format. Tests read it; what they change they copy first."""

    folder: Path
    result: BuildResult
    events: tuple[Event, ...]
    printed: str

    def path(self, key: str) -> Path:
        return self.folder / FORMATS[key].filename("demo")


def build_once(folder: Path) -> WholeBuild:
    """What is in ``folder``; whoever comes while another process builds it waits."""
    told = folder / "told.json"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            documents.write(told, _build(folder / "on demand"))
    return documents.read(told, WholeBuild)


def _build(folder: Path) -> WholeBuild:
    events: list[Event] = []
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        # As python is found when it is called by its path: without the environment's own programs.
        patch.setenv("PATH", "/usr/bin:/bin")
        request = BuildRequest("demo", "pretrained", tuple(FORMATS))
        result = build.build_into(folder, request, Settings(), events.append)
    return WholeBuild(folder, result, tuple(events), printed.getvalue())

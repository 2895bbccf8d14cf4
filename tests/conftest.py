from __future__ import annotations

import contextlib
import fcntl
import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy_core import build, classify, documents, embedded, settings
from deploy_core.formats import FORMATS
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, BuildResult, Event

# No Hub cache of the person who runs the tests, and no Hub: both are read when huggingface_hub is imported.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="deit-deploy-tests-")
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
# Two test files run at a time: threads that wait by spinning would take each other's cores.
os.environ["OMP_NUM_THREADS"] = os.environ["DEIT_DEPLOY_CPU_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "passive"

PROJECT = Path(__file__).parents[1]
PHOTOS = PROJECT.parent / "shared" / "photos"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for the app."""
    monkeypatch.setenv("DEIT_DEPLOY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def limits(home: Path) -> Settings:
    return settings.load()


@pytest.fixture(scope="session")
def answer() -> Callable[[str], str]:
    """What the embedded model calls a sample photograph, asked of the library itself."""
    classifier = classify.open_model("demo", "pretrained", Settings())
    return lambda name: classifier.classify(str(embedded.SAMPLES / name), Settings(), 1).top[0].label


@dataclass(frozen=True)
class WholeBuild:
    """The embedded model in every format. Tests read it; what they change they copy first."""

    folder: Path
    result: BuildResult
    events: tuple[Event, ...]
    printed: str

    def path(self, key: str) -> Path:
        return self.folder / FORMATS[key].filename("demo")


@pytest.fixture(scope="session")
def whole_build(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> WholeBuild:
    """Built by whichever of pytest's processes needs it first."""
    ours = tmp_path_factory.getbasetemp()
    made = (ours if worker_id == "master" else ours.parent) / "made"
    folder, told = made / "on demand", made / "told.json"
    made.mkdir(exist_ok=True)
    with (made / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            events: list[Event] = []
            request = BuildRequest("demo", "pretrained", tuple(FORMATS))
            printed = io.StringIO()
            with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
                # As python is found when it is called by its path: without the environment's own programs.
                patch.setenv("PATH", "/usr/bin:/bin")
                result = build.build_into(folder, request, Settings(), events.append)
            documents.write(told, WholeBuild(folder, result, tuple(events), printed.getvalue()))
    return documents.read(told, WholeBuild)


@pytest.fixture
def photos() -> Path:
    if not PHOTOS.is_dir():
        pytest.skip("the real photographs of shared/photos are not beside this checkout")
    return PHOTOS


@pytest.fixture
def environment(home: Path, tmp_path: Path) -> dict[str, str]:
    """For child processes: this project, an app home and a Hub cache of their own."""
    return os.environ | {"PYTHONPATH": str(PROJECT), "DEIT_DEPLOY_HOME": str(home), "HF_HOME": str(tmp_path / "hf")}

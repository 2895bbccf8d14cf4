from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy_core import embedded, settings
from deploy_core.inference import classify
from deploy_core.settings import Settings
from tests.whole_build import WholeBuild, build_once

# No Hub cache of the person who runs the tests, and no Hub: both are read when huggingface_hub is imported.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="deit-deploy-tests-")
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
# Two test files run at a time: threads that wait by spinning would take each other's cores.
os.environ["OMP_NUM_THREADS"] = os.environ["DEIT_DEPLOY_CPU_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "passive"

PROJECT = Path(__file__).parents[1]
PHOTOS = PROJECT.parent / "shared" / "photos"

# What takes longest begins first, so that no process ends long before the other. The main job builds the embedded model
# in every format; what else needs that comes later, so that it need not wait.
LONGEST = (
    "browser/test_main_job",
    "browser/test_classify_studio",
    "browser/test_what_goes_wrong",
    "browser/test_hosting",
    "browser",
    "pages",
    "web",
    "core/evaluation",
    "core/profile",
    "core/cli",
    "core/storage",
    "core/processes",
    "core/training",
    "core/models",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(PROJECT / "tests").as_posix()
        return next((place for place, start in enumerate(LONGEST) if path.startswith(start)), len(LONGEST))

    items.sort(key=place)


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


@pytest.fixture(scope="session")
def whole_build(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> WholeBuild:
    """Built by whichever of pytest's processes needs it first."""
    ours = tmp_path_factory.getbasetemp()
    return build_once((ours if worker_id == "master" else ours.parent) / "whole build")


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of a small model, for tests that any model will do for."""
    from safetensors.torch import save_file

    from deploy_core.models.own.corrections import Corrections
    from tests import own_model

    folder = tmp_path_factory.mktemp("pets")
    save_file(own_model.state(), folder / "checkpoint.safetensors")
    labels = Corrections(labels=own_model.LABELS)
    return own_model.model_file(folder / "checkpoint.safetensors", "pets", folder, Settings(), labels)


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds in this process compare their files on few pictures."""
    from deploy_core.inference import verdicts

    monkeypatch.setattr(verdicts, "MOST_PICTURES", 2)


@pytest.fixture
def photos() -> Path:
    if not PHOTOS.is_dir():
        pytest.skip("the real photographs of shared/photos are not beside this checkout")
    return PHOTOS


@pytest.fixture
def at_hub(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has this process ask the Hub at an address, as HF_ENDPOINT would in a new process; its cache is empty."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))

    def ask(address: str) -> None:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", address)

    return ask


@pytest.fixture
def environment(home: Path, tmp_path: Path) -> dict[str, str]:
    """For child processes: this project, an app home and a Hub cache of their own."""
    return os.environ | {"PYTHONPATH": str(PROJECT), "DEIT_DEPLOY_HOME": str(home), "HF_HOME": str(tmp_path / "hf")}

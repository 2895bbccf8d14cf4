from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy_core import settings
from deploy_core.settings import Settings

PROJECT = Path(__file__).parents[1]
PHOTOS = PROJECT.parent / "shared" / "photos"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for the app, and no Hub cache of the person who runs the tests."""
    monkeypatch.setenv("DEIT_DEPLOY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def limits(home: Path) -> Settings:
    return settings.load()


@pytest.fixture
def photos() -> Path:
    if not PHOTOS.is_dir():
        pytest.skip("the real photographs of shared/photos are not beside this checkout")
    return PHOTOS


@pytest.fixture
def environment(home: Path, tmp_path: Path) -> dict[str, str]:
    """For child processes: this project, an app home and a Hub cache of their own."""
    return os.environ | {"PYTHONPATH": str(PROJECT), "DEIT_DEPLOY_HOME": str(home), "HF_HOME": str(tmp_path / "hf")}

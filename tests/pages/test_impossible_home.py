"""A home that cannot be used: every page says so in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.pages.harness import PAGES, open_page

REMEDY = "Name a folder that you may write to."


@pytest.fixture(params=["a file", "below a file", "below /proc"])
def impossible(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = tmp_path / "file"
    file.touch()
    home = {"a file": file, "below a file": file / "home", "below /proc": Path("/proc/nowhere/home")}[request.param]
    monkeypatch.setenv("DEIT_DEPLOY_HOME", str(home))
    return str(home)


def told(name: str) -> list[str]:
    app = open_page(name)
    assert not app.exception
    return [error.value.replace("\\", "") for error in app.error]


@pytest.mark.parametrize("name", PAGES)
def test_a_home_that_is_no_folder_is_told_on_every_page(name: str, impossible: str) -> None:
    (error,) = told(name)
    assert error.startswith(f"**{impossible} cannot be written (")
    assert error.endswith(f").** {REMEDY}")


@pytest.mark.usefixtures("home")
def test_a_home_that_is_closed_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert told("build") == [f"**{home} cannot be written (Permission denied).** {REMEDY}"]


@pytest.mark.parametrize("name", ["artifacts", "runs", "datasets"])
def test_a_folder_of_the_home_that_is_a_file_is_told(name: str, home: Path) -> None:
    home.mkdir()
    (home / name).touch()
    page = {"artifacts": "build", "runs": "profile", "datasets": "evaluate"}[name]
    assert told(page) == [f"**{home / name} cannot be written (Not a directory).** {REMEDY}"]

"""Fixtures of the tests of the pages."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from deploy_core import build
from deploy_core.errors import DeployError
from deploy_core.settings import Settings
from deploy_core.storage.shelf import open_shelf
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest
from pages.state import services
from tests.pages.harness import errors

TITLE = "What the page said"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The report of a failed test says what the errors on its pages were."""
    report = yield
    if report.failed and call.excinfo:
        pages = [value for frame in call.excinfo.traceback for value in frame.locals.values()]
        found = [line for page in pages if isinstance(page, AppTest) for line in errors(page)]
        report.sections.append((TITLE, "\n".join(dict.fromkeys(found)) or "no error"))
    return report


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A new queue and store for each test. The processes that answer keep no visitor's data, so they stay."""
    yield
    with suppress(DeployError):
        # Else what a visitor brought is forgotten in the middle of a later test, in its home.
        for visitor in [*services.visitors()._leaving]:
            services.visitors().arrive(visitor)
    services.jobs().close()
    services.jobs.clear()
    services.store.clear()
    services.evaluations.clear()
    services.uploads.clear()
    services.runs.clear()
    services.reports.clear()
    services.visitors.clear()


@pytest.fixture(scope="module", autouse=True)
def processes() -> Iterator[None]:
    yield
    services.close()
    st.cache_resource.clear()


@pytest.fixture(scope="module")
def one_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One home for a module, so that the process that reads checkpoints, which knows its home, starts only once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEIT_DEPLOY_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def two_formats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model, scripted and quantized, as the app's store keeps them."""
    settings = Settings(home=tmp_path_factory.mktemp("two formats"))
    request = BuildRequest("demo", "pretrained", ("scripted", "quantized"))
    with open_shelf(Store(settings), request) as shelf:
        build.build(request, shelf, settings)
    return settings.home / "artifacts"


@pytest.fixture
def two_built(home: Path, two_formats: Path) -> None:
    """Another visitor has built the two already."""
    shutil.copytree(two_formats, home / "artifacts")

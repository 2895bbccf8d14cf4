"""Fixtures of the tests of the pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import streamlit as st

from pages.state import services


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A new queue and store for each test. The processes that answer keep no visitor's data, so they stay."""
    yield
    services.jobs().close()
    services.jobs.clear()
    services.store.clear()
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

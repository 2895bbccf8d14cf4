"""What every test of the pages starts with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import streamlit as st

from pages import _parts


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A queue and a store for each test; the processes that answer keep nothing of a visitor, and stay."""
    yield
    _parts.jobs().close()
    _parts.jobs.clear()
    _parts.store.clear()
    _parts.uploads.clear()
    _parts.runs.clear()
    _parts.reports.clear()
    _parts.visitors.clear()


@pytest.fixture(scope="module", autouse=True)
def processes() -> Iterator[None]:
    yield
    _parts.close()
    st.cache_resource.clear()


@pytest.fixture(scope="module")
def one_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One home for all of them, so that the process that reads checkpoints, which knows its home, is started once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEIT_DEPLOY_HOME", str(tmp_path_factory.mktemp("home")))
        yield

"""Readiness says what keeps the app from answering."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import streamlit as st
from starlette.requests import Request

from deploy_core.processes import child
from pages.state import services
from web.ready import ready

pytestmark = pytest.mark.usefixtures("home")
ASKED = Request({"type": "http", "method": "GET", "path": "/ready", "headers": []})


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    services.close()
    st.cache_resource.clear()


def test_a_home_that_cannot_be_is_told(home: Path) -> None:
    home.touch()
    told = ready(ASKED)
    assert told.status_code == 503
    assert "cannot be written" in json.loads(bytes(told.body))["problems"][0]


def test_a_process_that_does_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ready(ASKED).status_code == 200
    monkeypatch.setattr(child, "STUCK_SECONDS", 1.0)
    monkeypatch.setattr(child, "DOUBT_SECONDS", 0.3)
    reading = services.decoders()
    reading._all[0].start()
    (started,) = reading.process_ids
    psutil.Process(started).suspend()
    deadline = time.monotonic() + 10
    while ready(ASKED).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "read pictures do nothing" in bytes(ready(ASKED).body).decode()
    services.end_what_hangs()
    while ready(ASKED).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)

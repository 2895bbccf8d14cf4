"""A failed browser test leaves a screenshot, the text of the alerts and the app's log."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import reports
from tests.browser.app import DESKTOP

PAGE = """
<h1>Build</h1><script src="http://127.0.0.1:9/chart.js"></script>
<div data-testid="stAlert"><div role="alert">The worker was killed.
Try it again.</div></div><div id="device"></div>
<script>
document.querySelector("#device").attachShadow({ mode: "open" }).innerHTML = "<p role=alert>No camera.</p>";
</script>
"""


def fail() -> None:
    raise AssertionError("no such button")


@pytest.mark.only_at(DESKTOP)
def test_the_report_of_a_failed_test_holds_them(
    page: Page, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(reports, "FOLDER", tmp_path / "results")
    page.set_content(PAGE)
    call = pytest.CallInfo.from_call(fail, "call")
    report = request.node.ihook.pytest_runtest_makereport(item=request.node, call=call)
    text = dict(report.sections)[reports.TITLE]
    assert "alert: The worker was killed. Try it again.\nalert: No camera.\n" in text
    assert "no answer: GET http://127.0.0.1:9/chart.js (net::ERR_" in text
    assert f"The last lines of the log of {server}:\n" in text
    assert "URL: http://127.0.0.1" in text
    (picture,) = (tmp_path / "results").iterdir()
    assert str(picture) in text
    assert picture.read_bytes().startswith(b"\x89PNG")

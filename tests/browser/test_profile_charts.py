"""What the charts of Profile look like in a browser: their labels never overlap, whatever was measured."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, expect

from deploy_core import embedded
from deploy_core.formats import FORMATS
from deploy_core.profile.record.record import Record
from deploy_core.profile.record.runs import Runs
from deploy_core.profile.record.saved import read_record
from deploy_core.settings import Settings
from tests.browser.app import SECONDS, Server

LABELS = """chart => [...chart.querySelectorAll('.mark-text.role-mark text')].filter(one => one.textContent)
  .map(one => { const {left, right, top, bottom} = one.getBoundingClientRect();
    return [one.textContent, left, right, top, bottom] })"""


def crowded() -> Record:
    """A run of every format, most of them as small and as fast as the next."""
    saved = read_record(embedded.SAVED_PROFILE)
    rows = [
        replace(saved.rows[number % len(saved.rows)], format=key, file=FORMATS[key].filename("demo"))
        for number, key in enumerate(FORMATS)
    ]
    return replace(saved, rows=tuple(rows), unmeasured=(), measured_at="2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_two_labels_of_size_and_latency_overlap(app: Server, browser: Browser, width: int) -> None:
    run = Runs(Settings(home=app.folder / "home")).keep(crowded())
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(60 * SECONDS)
    page.goto(f"{app.address}/profile?run={run}")
    page.get_by_role("tab", name="Size and latency", exact=True).click()
    chart = page.locator('[data-testid="stVegaLiteChart"][aria-label="Size of each file against its latency"]')
    expect(chart.get_by_text(FORMATS["original"].title, exact=True)).to_be_visible()
    page.wait_for_timeout(SECONDS)
    labels = chart.evaluate(LABELS)
    outer = chart.evaluate("chart => { const {left, right} = chart.getBoundingClientRect(); return [left, right] }")
    page.close()
    # A long name is cut off.
    assert len(labels) == len(FORMATS)
    assert all(any(row.title.startswith(name.rstrip("…")) for row in FORMATS.values()) for name, *_ in labels)
    for (one, *box), (other, *second) in itertools.combinations(labels, 2):
        across = min(box[1], second[1]) - max(box[0], second[0])
        down = min(box[3], second[3]) - max(box[2], second[2])
        assert across <= 0 or down <= 0, (one, other)
    assert all(outer[0] <= left and right <= outer[1] for _, left, right, *_ in labels)

"""The way through the app: the promise and the answer at first sight, the stepper, charts that follow the picture."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.app import DESKTOP, PHONE
from tests.browser.steps import visit


def test_the_promise_the_doors_and_the_answer_are_in_sight(server: str, page: Page) -> None:
    page.goto(server)
    for seen in (
        page.get_by_role("heading", name="Turn a Vision Transformer checkpoint into a file"),
        page.get_by_role("button", name="Try your own picture"),
        page.get_by_role("button", name="Bring your checkpoint"),
        page.get_by_role("button", name="See which file to ship"),
        page.get_by_alt_text("The picture that is classified"),
        page.get_by_test_id("stMetricValue"),
    ):
        expect(seen).to_be_in_viewport(ratio=1)
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth <= main.clientWidth")


def test_the_stepper_leads_through_all_pages_and_back(server: str, page: Page) -> None:
    page.goto(server)
    for following in ("Build", "Check", "Profile", "Device", "Build"):
        page.locator(".st-key-next_step").get_by_role("link", name=f"{following}:").click()
        if page.viewport_size == PHONE:
            expect(page.get_by_role("button", name=f": {following}")).to_be_visible()
        else:
            expect(page.get_by_role("link", name=following, exact=True).locator("strong")).to_be_visible()
    visit(page, "Classify")
    expect(page.get_by_test_id("stMetricValue")).to_be_visible()


@pytest.mark.only_at(DESKTOP)
def test_bars_follow_the_picture_in_order(server: str, page: Page) -> None:
    page.goto(server)
    bars = page.locator('[data-testid="stVegaLiteChart"][aria-label="The most probable classes"]')
    for sample, first in (("Zebra", "zebra"), ("Cat", "Egyptian cat"), ("Zebra", "zebra")):
        page.get_by_text(sample, exact=True).click()
        expect(bars.get_by_text(f"{first} · ")).to_be_visible()
        values = bars.evaluate(
            "chart => [...chart.querySelectorAll('text')].filter(text => text.textContent.endsWith('%'))"
            ".sort((a, b) => a.getBoundingClientRect().y - b.getBoundingClientRect().y)"
            ".map(text => parseFloat(text.textContent))"
        )
        assert len(values) == 5
        assert values == sorted(values, reverse=True)


@pytest.mark.only_at(DESKTOP)
def test_going_back_undoes_what_was_chosen(server: str, page: Page) -> None:
    page.goto(server)
    expect(page.get_by_test_id("stMetricValue")).to_have_text("zebra")
    page.get_by_text("Guitar", exact=True).click()
    expect(page.get_by_test_id("stMetricValue")).to_have_text("acoustic guitar")
    page.get_by_role("button", name="Model:").click()
    page.get_by_role("button", name="Use DeiT-Base").click()
    expect(page.get_by_role("button", name="Model: DeiT-Base")).to_be_visible()
    # For a second after a change, an old address is taken for one that comes late.
    page.wait_for_timeout(1500)
    page.go_back()
    expect(page.get_by_role("button", name="Model: DeiT Deploy Tiny")).to_be_visible()
    expect(page.get_by_test_id("stMetricValue")).to_have_text("acoustic guitar")
    page.wait_for_timeout(1500)
    page.go_back()
    expect(page.get_by_test_id("stMetricValue")).to_have_text("zebra")

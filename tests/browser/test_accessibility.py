"""axe-core finds nothing serious on any page, and on a phone every control is large enough for a finger."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from pages.way.steps import BUILD, STEPS, Step
from tests.browser.app import PROJECT, SECONDS

AXE = PROJECT / "device" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = {"phone": (360, 780), "desktop": (1440, 900)}
SERIOUS = {"serious", "critical"}
LEAST_TARGET = 32
# Controls whose box is smaller than a finger. A link inside a sentence, and what Streamlit itself draws into a table, a
# chart's toolbar or its own menu, keep their size.
SMALL = """least => [...document.querySelectorAll(
  '[data-testid="stMain"] :is(a, button, input:not([type=range]), [role=tab], summary)')]
  .filter(one => !one.closest('p, [data-testid="stElementToolbar"], [data-testid="stDataFrame"], .vega-embed'))
  .map(one => [one, (one.closest('label, [data-baseweb=input], section') ?? one).getBoundingClientRect()])
  .filter(([one, box]) => box.width > 0 && box.height > 0 && one.checkVisibility() && box.height < least)
  .map(([one, box]) => `${one.outerHTML.slice(0, 120)} ${box.width}x${box.height}`)"""


@pytest.fixture(scope="module", params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def page(browser: Browser, theme: str, width: str) -> Page:
    across, down = WIDTHS[width]
    page = browser.new_page(
        viewport={"width": across, "height": down},
        color_scheme="dark" if theme == "dark" else "light",
        bypass_csp=True,
    )
    page.set_default_timeout(60 * SECONDS)
    expect.set_options(60 * SECONDS)
    return page


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.title)
def test_a_page_has_no_serious_violation(server: str, page: Page, step: Step, width: str) -> None:
    page.goto(f"{server}/{step.address}")
    expect(page.locator(".st-key-next_step a")).to_be_visible()
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()
    page.wait_for_timeout(SECONDS)
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    told = [
        f"{one['impact']} {one['id']}: {node['html'][:160]} | {node['failureSummary'][:200]}"
        for one in found
        if one["impact"] in SERIOUS or one["id"] == "heading-order"
        for node in one["nodes"][:4]
    ]
    if width == "phone":
        told += page.evaluate(SMALL, LEAST_TARGET)
    page.close()
    assert not told, "\n".join(told)


@pytest.mark.parametrize("width", ["desktop"])
def test_every_control_of_the_landing_page_is_reached_by_keyboard(server: str, page: Page) -> None:
    page.goto(server)
    expect(page.locator(".st-key-next_step a")).to_be_visible()
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()
    reached = set[str]()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
    page.close()
    names = ("Try your own picture", "Bring your checkpoint", "See which file to ship", "Sample", "Options")
    for name in (*names, *(step.title for step in STEPS), BUILD.invitation):
        assert any(name in one for one in reached), (name, reached)

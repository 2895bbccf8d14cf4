"""What people come for, from the landing page: in at most three clicks each, with the answer in sight."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from deploy_core import embedded
from deploy_core.settings import Settings
from deploy_core.storage.store import Store
from tests.browser.app import PHONE, SECONDS, Server, serving

DESKTOP: ViewportSize = {"width": 1440, "height": 900}
MOST_CLICKS = 3
# The files that ship with the project, so that nothing must be built.
OFFERED = {"DEIT_DEPLOY_FORMATS": "original,onnx,onnx_int8"}


class Visit:
    """A new visitor on the landing page, who counts clicks."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self._clicks = page, 0
        page.goto(server.address)
        expect(page.get_by_test_id("stMetricValue")).to_be_visible()

    def click(self, control: Locator) -> None:
        self._clicks += 1
        assert self._clicks <= MOST_CLICKS
        control.click()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    def step(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True).filter(visible=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tasks")
    Store(Settings(home=folder / "home")).adopt(embedded.ARTIFACTS)
    with serving(folder, settings=OFFERED) as served:
        yield served
    assert "Traceback" not in served.log


@pytest.fixture
def viewport() -> ViewportSize:
    return DESKTOP


@pytest.fixture
def visit(page: Page, server: Server) -> Visit:
    return Visit(page, server)


def test_an_upload_is_classified(visit: Visit) -> None:
    visit.click(visit.button("Try your own picture"))
    visit.page.locator("input[type=file]").first.set_input_files(embedded.SAMPLES / "guitar.jpg")
    answer = visit.page.get_by_test_id("stMetricValue")
    expect(answer).to_have_text("acoustic guitar")
    expect(answer).to_be_in_viewport(ratio=1)


def test_the_file_for_android_and_its_bundle(visit: Visit) -> None:
    visit.click(visit.button("See which file to ship"))
    card = visit.page.locator(".st-key-card_android")
    for name in ("Download", "Bundle"):
        link = card.get_by_role("link", name=name)
        expect(link).to_be_in_viewport(ratio=1)
        with visit.page.expect_download() as download:
            visit.click(link)
        assert "int8" in download.value.suggested_filename


def test_which_file_is_the_fastest_and_by_how_much(visit: Visit) -> None:
    visit.click(visit.step("Profile"))
    expect(visit.page.get_by_role("heading", name="times as fast as the original")).to_be_in_viewport(ratio=1)


def test_the_same_on_a_phone(browser: Browser, server: Server) -> None:
    page = browser.new_page(viewport=PHONE)
    page.set_default_timeout(60 * SECONDS)
    visit = Visit(page, server)
    visit.click(visit.button("Step "))
    visit.click(visit.step("Device"))
    visit.click(visit.button("Start on this device"))
    expect(page.get_by_test_id("answer")).to_have_text("zebra", timeout=120 * SECONDS)
    page.close()

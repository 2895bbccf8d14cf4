"""What tests of several pages do in a browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from deploy_core.formats import FORMATS
from tests.browser.app import PHONE, SECONDS


def artifact_link(page: Page, key: str) -> Locator:
    """The link of a file in its row; the cards have links, too."""
    return page.locator(f'.st-key-files a[href*="artifacts/demo-{key}-"]:visible')


def no_error(page: Page) -> None:
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def open_picker(page: Page) -> None:
    page.get_by_role("button", name="Model:").click()


def close_picker(page: Page) -> None:
    page.keyboard.press("Escape")


def address_of(server: str, page: Page, key: str) -> str:
    if not page.url.startswith(server):
        page.goto(f"{server}/build")
    link = artifact_link(page, key)
    expect(link).to_be_visible(timeout=60 * SECONDS)
    return f"{server}/{link.get_attribute('href')}"


# A page that opens runs twice: the second time once the tab has said what it keeps (pages/state/returning.py).
RESTS = """() => {
  if (document.querySelector("[data-testid=stApp]")?.dataset.testScriptState !== "notRunning") window.since = null;
  else window.since ??= performance.now();
  return window.since !== null && performance.now() - window.since > 2000;
}"""


def upload(page: Page, path: Path) -> None:
    """Gives a file to the last uploader, once the page has come to rest.

    Streamlit loses an upload that begins in the moment in which a run begins: the run drops what was not sent yet, also
    the address that the browser waits for.
    """
    page.wait_for_function(RESTS)
    page.locator("input[type=file]").last.set_input_files(path)
    expect(page.get_by_test_id("stFileChipName").get_by_text(path.name)).to_be_visible()


def visit(page: Page, name: str) -> None:
    """Within the session: a new address would be a new visitor."""
    if page.viewport_size == PHONE:
        page.get_by_role("button", name="Step ").click()
    page.get_by_role("link", name=name, exact=True).filter(visible=True).click()


def choose_only(page: Page, *keys: str) -> None:
    """On Build: takes all other formats out of the choice; the original is always built."""
    for row in FORMATS.values():
        if row.key not in ("original", *keys):
            page.get_by_test_id("stButtonGroup").get_by_text(row.title, exact=True).click()

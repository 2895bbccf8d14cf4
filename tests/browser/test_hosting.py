"""As a host runs it: under a base path, behind a proxy, for strangers whose traces must not stay."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from deploy_core import embedded
from deploy_core.formats import FORMATS
from tests.browser import chromium
from tests.browser.app import Server, serving
from tests.browser.proxy import proxying

SECONDS = 1000
BASE = "/deit"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("hosted"), base=BASE) as served:
        yield served


@pytest.fixture(scope="module")
def address(server: Server) -> Iterator[str]:
    """The app as its visitors see it."""
    with proxying(int(server.address.split(":")[2].split("/")[0])) as port:
        yield f"http://localhost:{port}{BASE}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium.find()
    assert path, "no Chromium: run `make test`, or python -m tests.browser.chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    page = browser.new_page()
    page.set_default_timeout(60 * SECONDS)
    expect.set_options(60 * SECONDS)
    return page


def test_pictures_and_models_are_taken_in_through_the_proxy(address: str, page: Page, tmp_path: Path) -> None:
    page.goto(f"{address}/?sample=Rocket")
    expect(page.get_by_test_id("stMetricValue")).to_be_visible()
    page.get_by_test_id("stButtonGroup").get_by_text("Upload", exact=True).click()
    (tmp_path / "my-secret-cat.png").write_bytes((embedded.SAMPLES / "chelsea.png").read_bytes())
    page.get_by_test_id("stMain").locator("input[type=file]").set_input_files(tmp_path / "my-secret-cat.png")
    expect(page.get_by_test_id("stMetricValue")).to_have_text("cat")
    page.get_by_test_id("stButtonGroup").get_by_text("URL", exact=True).click()
    page.get_by_label("Address of a picture").fill("http://127.0.0.1/private-address.png?token=secret")
    page.get_by_role("button", name="Fetch").click()
    expect(page.get_by_text("private network")).to_be_visible()
    page.get_by_role("button", name="Bring your own DeiT").click()
    (tmp_path / "secret-model.pth").write_bytes(b"\x80\x02garbage")
    page.get_by_role("dialog").locator("input[type=file]").first.set_input_files(tmp_path / "secret-model.pth")
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_text("damaged or no checkpoint")).to_be_visible()
    page.keyboard.press("Escape")


def test_files_are_built_linked_and_streamed_under_the_base_path_while_health_answers(address: str, page: Page) -> None:
    page.goto(f"{address}/build")
    for key in ("executorch", "executorch_int8", "onnx", "onnx_int8"):
        page.get_by_test_id("stButtonGroup").get_by_text(FORMATS[key].title, exact=True).click()
    page.get_by_role("button", name="Build 5 files").click()
    link = page.locator('a[href*="artifacts/demo-scripted-"]:visible')
    slowest, deadline = 0.0, time.monotonic() + 120
    while not link.count():
        assert time.monotonic() < deadline
        asked = time.monotonic()
        assert requests.get(f"{address}/_stcore/health", timeout=10).text == "ok"
        slowest = max(slowest, time.monotonic() - asked)
        page.wait_for_timeout(100)
    assert slowest < 5
    href = link.evaluate("link => link.href")
    assert href.startswith(f"{address}/artifacts/")
    whole = requests.get(href, timeout=30)
    assert whole.headers["etag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    part = requests.get(href, headers={"Range": "bytes=1000-"}, timeout=30)
    assert (part.status_code, part.content) == (206, whole.content[1000:])
    bundle = page.locator('a[href*="bundles/demo-scripted-"]:visible').evaluate("link => link.href")
    assert requests.get(bundle, timeout=60).content.startswith(b"PK")
    assert requests.get(f"{address}/artifacts/nothing/at-all", timeout=30).status_code == 404


def test_the_log_keeps_nothing_of_a_visitor(server: Server, address: str) -> None:
    told = server.log
    for private in (
        "secret",
        "private-address",
        "203.0.113.7",
        "chelsea",
        "sample=",
        "token",
        "artifacts/",
        "Traceback",
    ):
        assert private not in told, told
    assert address

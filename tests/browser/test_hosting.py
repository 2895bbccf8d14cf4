"""The app as hosts run it: under a base path, behind a proxy that ends TLS, watched, and with a log that is read."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, Page, Playwright, expect

from deploy_core import embedded
from deploy_core.formats import FORMATS
from tests.browser import chromium, reports
from tests.browser.app import Server, serving
from tests.browser.proxy import HOST, VISITOR, certificate, proxied

SECONDS = 1000
BASE_PATH = "/deit"
HEALTH_SECONDS = 3.0
SECRETS = ("holiday-with-anna", "private-model", "token=hunter2", "pictures.invalid", VISITOR, "127.0.0.1:")
STRANGER = {
    "Origin": "https://pictures.invalid",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass(frozen=True)
class Hosted:
    """The app and the address that visitors know it by."""

    server: Server
    address: str
    certificate: Path

    def get(self, address: str, **headers: str) -> requests.Response:
        """What a visitor gets at an absolute address."""
        local = address.replace(HOST, "127.0.0.1")
        return requests.get(local, headers=headers, verify=str(self.certificate), timeout=30)


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    signed = certificate(tmp_path_factory.mktemp("tls"))
    with serving(tmp_path_factory.mktemp("server"), base_path=BASE_PATH) as server:
        port = urlsplit(server.address).port
        assert port
        with proxied(port, signed) as front:
            yield Hosted(server, f"https://{HOST}:{front}{BASE_PATH}", signed)


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with chromium.opened(playwright, [*chromium.ARGUMENTS, f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]) as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True)
    reports.listen(context)
    page = context.new_page()
    page.set_default_timeout(60 * SECONDS)
    expect.set_options(60 * SECONDS)
    yield page
    context.close()


def test_files_have_right_addresses_and_the_app_stays_healthy_while_it_builds(
    hosted: Hosted, page: Page, tmp_path: Path
) -> None:
    page.goto(f"{hosted.address}/build")
    for key, row in FORMATS.items():
        if key not in ("original", "scripted"):
            page.get_by_test_id("stButtonGroup").get_by_text(row.title, exact=True).click()
    with watched(f"{hosted.address}/_stcore/health", hosted) as answers:
        page.get_by_role("button", name="Build 2 files").click()
        link = page.locator('.st-key-files a[href*="artifacts/demo-scripted-"]:visible')
        expect(link).to_be_visible()
    assert len(answers) > 10
    assert max(answers) < HEALTH_SECONDS

    with page.expect_download() as download:
        link.click()
    download.value.save_as(tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()
    url = page.evaluate("link => link.href", link.element_handle())
    assert url.startswith(f"{hosted.address}/artifacts/")
    part = hosted.get(url, Range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, whole[1000:2000])
    assert part.headers["etag"] == f'"{hashlib.sha256(whole).hexdigest()}"'
    bundle = page.locator('.st-key-files a[href*="bundles/demo-scripted-"]:visible')
    assert hosted.get(page.evaluate("link => link.href", bundle.element_handle())).content[:2] == b"PK"
    assert "Profile page" in hosted.get(f"{hosted.address}/traces/nothing").text

    page.get_by_role("button", name="Details").last.click()
    expect(page.get_by_text(url, exact=True)).to_be_visible()


@pytest.mark.parametrize("name", ["evaluate", "profile"])
def test_a_permalink_below_the_base_path_opens_its_page(name: str, hosted: Hosted, page: Page) -> None:
    page.goto(f"{hosted.address}/{name}")
    expect(page.locator('.st-key-way_wide [data-testid="stPageLink"]')).to_have_count(5)
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def test_a_device_over_https_is_isolated_and_answers(hosted: Hosted, page: Page) -> None:
    page.goto(f"{hosted.address}/device")
    start = page.get_by_role("button", name="Start on this device")
    expect(start).to_be_enabled()
    assert page.evaluate("[isSecureContext, crossOriginIsolated]") == [True, True]
    start.click()
    expect(page.get_by_test_id("answer")).to_have_text("zebra")


def test_uploads_work_and_the_log_keeps_nothing_about_a_visitor(hosted: Hosted, page: Page) -> None:
    error = page.get_by_test_id("stAlertContentError").first
    page.goto(hosted.address)
    expect(page.get_by_test_id("stMetricValue")).to_have_text("zebra")
    page.get_by_text("Upload", exact=True).click()
    picture = (embedded.SAMPLES / "guitar.jpg").read_bytes()
    upload(page, "holiday-with-anna.jpg", picture)
    expect(page.get_by_test_id("stMetricValue")).not_to_have_text("zebra")
    upload(page, "holiday-with-anna.png", b"not a picture")
    expect(page.get_by_role("button", name="CSV", exact=True)).to_be_visible()
    page.get_by_text("URL", exact=True).click()
    page.get_by_label("Address of a picture").fill("https://pictures.invalid/anna.jpg?token=hunter2")
    page.get_by_role("button", name="Fetch").click()
    expect(error).to_be_visible()
    page.get_by_text("Sample", exact=True).click()
    page.get_by_role("button", name="Bring your checkpoint").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    upload(page, "private-model.safetensors", b"not a checkpoint")
    expect(page.get_by_role("button", name="Remove private-model.safetensors")).to_be_visible()
    page.get_by_role("button", name="Load model").click()
    expect(page.get_by_text("damaged or not a checkpoint")).to_be_visible()
    hosted.get(f"{hosted.address}/artifacts/nothing/holiday-with-anna.pt?token=hunter2")
    assert hosted.get(f"{hosted.address}/_stcore/stream?token=hunter2", **STRANGER).status_code == 403
    page.close()
    log = hosted.server.log.replace(f"URL: {hosted.server.address}", "")
    assert [secret for secret in SECRETS if secret in log] == []
    assert "Rejecting WebSocket connection with disallowed Origin" in log
    assert "Traceback" not in log


def upload(page: Page, name: str, data: bytes) -> None:
    dialog = page.get_by_role("dialog")
    field = (dialog if dialog.count() else page).locator("input[type=file]").first
    field.set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": data})


@contextmanager
def watched(url: str, hosted: Hosted) -> Iterator[list[float]]:
    """Asks for ``url`` all the time, and notes how long each answer took."""
    seconds: list[float] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(0.1):
            started = time.monotonic()
            is_healthy = False
            with suppress(requests.RequestException):
                is_healthy = hosted.get(url).text == "ok"
            seconds.append(time.monotonic() - started if is_healthy else math.inf)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield seconds
    finally:
        is_over.set()
        asking.join()

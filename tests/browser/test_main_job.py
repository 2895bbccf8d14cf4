"""The main job in a real Chromium, against the real server: classify, build, download, profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright
from safetensors.torch import save_file

from deploy_core import classify, embedded, models
from deploy_core.settings import Settings
from tests.browser import chromium
from tests.browser.app import serving

SECONDS = 1000
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1360, "height": 900}


@pytest.fixture(scope="module", params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def viewport(request: pytest.FixtureRequest) -> ViewportSize:
    size: ViewportSize = request.param
    return size


@pytest.fixture(scope="module")
def server(viewport: ViewportSize, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh app for each width, so that both start with nothing built."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder) as address:
        yield address
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium.find()
    assert path, "no Chromium: run `make test`, or python -m tests.browser.chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(viewport: ViewportSize, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=viewport)
    page = context.new_page()
    page.set_default_timeout(60 * SECONDS)
    expect.set_options(60 * SECONDS)
    yield page
    context.close()


def test_a_permalink_is_the_first_request_after_the_start(server: str, page: Page) -> None:
    """A deep link runs inside the shell, with navigation and picker, also before any other page was opened."""
    page.goto(f"{server}/profile")
    expect(page.get_by_role("heading", name="Which file to ship?")).to_be_visible()
    expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(3)
    expect(page.get_by_text("A saved run")).to_be_visible()


def test_the_main_job(server: str, page: Page, tmp_path: Path, answer: Callable[[str], str]) -> None:
    page.goto(server)
    expect(page.get_by_test_id("stMetricValue")).to_have_text(answer("rocket.jpg"))
    expect(page.get_by_test_id("stImage")).to_be_visible()

    page.get_by_text("Upload", exact=True).click()
    page.locator("input[type=file]").set_input_files(embedded.SAMPLES / "chelsea.png")
    expect(page.get_by_test_id("stMetricValue")).to_have_text(answer("chelsea.png"))
    no_error(page)

    page.goto(f"{server}/build")
    page.get_by_role("button", name="Build").first.click()
    lite = page.get_by_role("link", name="Lite interpreter")
    expect(lite).to_be_visible()
    with page.expect_download() as download:
        lite.click()
    path = tmp_path / download.value.suggested_filename
    assert path.name == "demo_optimized_scripted_quantized_lite.ptl"
    download.value.save_as(path)
    phone = classify.open_artifact(path, "demo", "pretrained").classify(
        str(embedded.SAMPLES / "chelsea.png"), Settings()
    )
    assert phone.top[0].label == answer("chelsea.png")
    no_error(page)

    page.goto(f"{server}/profile")
    page.get_by_role("button", name="rofile on this server").click()
    expect(page.get_by_text("Measured on this server")).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Table as CSV").click()
    table = Path(download.value.path()).read_text().splitlines()
    assert table[0].startswith("Model,Inference time,Reduction")
    assert table[1].startswith("Original,")
    assert len(table) == 6
    no_error(page)


def test_a_download_of_what_was_built_streams_with_ranges_and_nothing_else_is_reachable(
    server: str, page: Page
) -> None:
    page.goto(f"{server}/build")
    link = page.get_by_role("link", name="Scripted ·")
    expect(link).to_be_visible()
    url = f"{server}/{link.get_attribute('href')}"
    browsers = {"Accept-Encoding": "gzip, deflate, br"}
    whole = requests.get(url, headers=browsers, timeout=30)
    assert whole.headers["content-encoding"] == "identity"
    assert int(whole.headers["content-length"]) == len(whole.content)
    part = requests.get(url, headers=browsers | {"Range": "bytes=1000-"}, timeout=30)
    assert part.status_code == 206
    assert part.content == whole.content[1000:]
    folder = url.rsplit("/", 1)[0]
    for name in ("build.json", "..%2Fx", "%2e%2e/%2e%2e/etc/passwd", "nothing.pt"):
        assert requests.get(f"{folder}/{name}", timeout=30).status_code in (400, 404)


def test_a_model_that_is_out_of_reach_says_so_and_the_page_goes_on(server: str, page: Page) -> None:
    page.goto(server)
    expect(page.get_by_test_id("stMetricValue")).to_be_visible()
    open_sidebar(page)
    page.get_by_role("button", name="Use DeiT-Base").click()
    expect(page.get_by_text("DeiT-Base (the tutorial's) needs its weights once")).to_be_attached()
    close_sidebar(page)
    page.get_by_role("button", name="Download 346 MB").click()
    expect(page.get_by_test_id("stAlert").filter(has_text="is out of reach from here")).to_be_visible()
    open_sidebar(page)
    page.get_by_text("Random", exact=True).click()
    close_sidebar(page)
    expect(page.get_by_text("this answer means nothing")).to_be_visible()


def no_error(page: Page) -> None:
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def open_sidebar(page: Page) -> None:
    if page.viewport_size == PHONE:
        page.get_by_test_id("stExpandSidebarButton").click()


def close_sidebar(page: Page) -> None:
    if page.viewport_size == PHONE:
        page.get_by_test_id("stSidebarCollapseButton").locator("button").click()


def test_a_checkpoint_larger_than_any_picture_is_taken(server: str, page: Page, tmp_path: Path) -> None:
    name = "deit_tiny_patch16_224"
    path = tmp_path / "mine.safetensors"
    save_file(models.load(name, "random", Settings()).module.state_dict(), path)
    assert path.stat().st_size > Settings().picture_bytes
    page.goto(server)
    open_sidebar(page)
    page.get_by_test_id("stSidebar").get_by_role("combobox").click()
    page.get_by_role("option", name="DeiT-Tiny", exact=True).click()
    page.get_by_text("File", exact=True).click()
    page.get_by_test_id("stSidebar").locator("input[type=file]").set_input_files(path)
    expect(page.get_by_text("Using mine.safetensors")).to_be_visible()
    close_sidebar(page)
    expect(page.get_by_test_id("stMetricValue")).not_to_have_text("airplane")
    no_error(page)

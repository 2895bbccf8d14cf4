"""The memory of the web process, and the time of a page's answer, while heavy work runs in other processes."""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.figure import Figure, memory
from tests.browser import chromium
from tests.browser.app import Server, serving
from tests.browser.steps import close_picker, open_picker
from tests.browser.visitor import SAMPLES

MOST_MEMORY_MB = 150
MOST_SLOWER = 2.0
MOST_STREAMING_MB = 20
INTERACTIONS = 15
PATIENCE = 600_000
IDLE_APP = "import streamlit as st\nst.title('Idle')\n"


def figures() -> list[Figure]:
    expect.set_options(PATIENCE)
    with (
        tempfile.TemporaryDirectory() as place,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS) as browser,
    ):
        folder = Path(place)
        idle = _idle_app(browser, folder)
        with serving(folder) as server:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            # The answers that ship with the pretrained weights would need no inference.
            page.goto(f"{server.address}/?weights=random")
            expect(page.get_by_test_id("stMetricValue")).to_be_visible()
            quiet = _answer_seconds(page)
            _start_build(browser, server)
            busy = _answer_seconds(page)
            _profile(browser, server)
            peak = memory(server.process.pid, "VmHWM")
            grown = _streaming(server)
    print(f"idle app {idle:.0f} MB, ours at most {peak:.0f} MB; answers {quiet:.2f} s, {busy:.2f} s", file=sys.stderr)
    return [
        Figure("web process above an idle app, through classify, build, profile", peak - idle, MOST_MEMORY_MB, "MB"),
        Figure("a page's answer while DeiT-Base builds, against a quiet app", busy / quiet, MOST_SLOWER, "x"),
        Figure("growth of the web process while 346 MB stream", grown, MOST_STREAMING_MB, "MB"),
    ]


def _idle_app(browser: Browser, folder: Path) -> float:
    script = folder / "idle.py"
    script.write_text(IDLE_APP)
    with serving(folder, script) as server:
        page = browser.new_page()
        page.goto(server.address)
        expect(page.get_by_role("heading", name="Idle")).to_be_visible()
        page.close()
        return memory(server.process.pid)


def _answer_seconds(page: Page) -> float:
    """Seconds from a click on another sample to its picture and answer."""
    times = []
    for number in range(INTERACTIONS):
        before = page.get_by_test_id("stImage").first.locator("img").get_attribute("src")
        started = time.perf_counter()
        page.get_by_test_id("stButtonGroup").get_by_text(SAMPLES[-1 - number % 4], exact=True).click()
        expect(page.get_by_test_id("stImage").first.locator("img")).not_to_have_attribute("src", before or "")
        expect(page.get_by_text("Running...")).to_have_count(0)
        expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _start_build(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.address)
    _choose_base(page)
    page.get_by_role("link", name="Build", exact=True).click()
    page.get_by_role("button", name="files of DeiT-Base").click()
    expect(page.get_by_text("Building Scripted")).to_be_visible()
    page.close()


def _choose_base(page: Page) -> None:
    open_picker(page)
    page.get_by_role("button", name="Use DeiT-Base").click()
    expect(page.get_by_text("MB to download")).to_be_visible()
    page.get_by_text("Random", exact=True).click()
    expect(page.get_by_text("Untrained: right for sizes")).to_be_visible()
    close_picker(page)


def _profile(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.address)
    _choose_base(page)
    page.get_by_role("link", name="Build", exact=True).click()
    expect(page.locator('a[href*="-onnx_int8-"]:visible').first).to_be_visible()
    page.get_by_role("link", name="Profile", exact=True).click()
    page.get_by_role("button", name="on this server").click()
    expect(page.get_by_role("button", name="on this server again")).to_be_visible()
    page.close()


def _streaming(server: Server) -> float:
    path = next((server.folder / "home" / "artifacts").glob("deit_base*-scripted-*/*.pt"))
    url = f"{server.address}/artifacts/{path.parent.name}/{path.name}"
    # The first request checks the file's hash and is not part of the stream.
    requests.head(url, timeout=60)
    before = memory(server.process.pid)
    with _watched(lambda: memory(server.process.pid)) as seen, requests.get(url, stream=True, timeout=60) as answer:
        for _ in answer.iter_content(1 << 20):
            pass
    return max(seen) - before


@contextmanager
def _watched(look: Callable[[], float]) -> Iterator[list[float]]:
    seen, is_over = [look()], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.005):
            seen.append(look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        is_over.set()
        watcher.join()

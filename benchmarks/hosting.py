"""The memory that a host needs: all the server's processes together, while a visitor uses every page.

python -m benchmarks.hosting
"""

from __future__ import annotations

import io
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.figure import Figure, together
from deploy_core import embedded
from tests.browser import chromium
from tests.browser.app import serving
from tests.browser.steps import close_picker, open_picker

MOST_MEMORY_MB = 2000
PATIENCE = 600_000
SAMPLES_PER_SECOND = 5
TITLES = {"DeiT Deploy Tiny (included)": "Pretrained", "DeiT-Tiny": "Random"}
PICTURES = {"tabby/1.png": "chelsea.png", "n02391049/1.jpg": "zebra.jpg"}


@dataclass
class Peak:
    """The peak memory of all processes together, by stage, in megabytes."""

    stage: str = "start"
    seen: dict[str, float] = field(default_factory=dict)

    @property
    def most(self) -> float:
        return max(self.seen.values())


def figures() -> list[Figure]:
    expect.set_options(PATIENCE)
    with (
        tempfile.TemporaryDirectory() as place,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS) as browser,
        serving(Path(place)) as server,
        _watched(server.process.pid) as peak,
    ):
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(server.address)
        for title, weights in TITLES.items():
            _through_all_pages(page, title, weights, peak)
    for stage, most in peak.seen.items():
        print(f"{stage}: {most:.0f} MB", file=sys.stderr)
    name = "memory of all processes together, demo and DeiT-Tiny through all pages"
    return [Figure(name, peak.most, MOST_MEMORY_MB, "MB")]


def _through_all_pages(page: Page, title: str, weights: str, peak: Peak) -> None:
    peak.stage = f"{title}, classify"
    open_picker(page)
    page.get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name=title, exact=True).click()
    page.get_by_text(weights, exact=True).click()
    close_picker(page)
    for sample in ("Zebra", "Guitar"):
        page.get_by_text(sample, exact=True).click()
        _wait_until_idle(page)
    expect(page.get_by_test_id("stMetricValue")).to_be_visible()
    peak.stage = f"{title}, build"
    _open(page, "Build")
    page.get_by_role("button", name="files of ").click()
    expect(page.locator('a[href*="-onnx_int8-"]:visible').first).to_be_visible()
    peak.stage = f"{title}, evaluate"
    _open(page, "Check")
    labelled = _zip(PICTURES)
    page.locator("input[type=file]").last.set_input_files(
        {"name": f"{weights}.zip", "mimeType": "application/zip", "buffer": labelled}
    )
    page.get_by_role("button", name=f"files on {weights}.zip").click()
    expect(page.get_by_role("button", name=f"on {weights}.zip again")).to_be_visible()
    peak.stage = f"{title}, profile"
    _open(page, "Profile")
    page.get_by_text("10 seconds", exact=True).click()
    page.get_by_role("button", name="on this server").click()
    expect(page.get_by_role("button", name="on this server again")).to_be_enabled()
    _open(page, "Classify")


def _open(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()
    _wait_until_idle(page)


def _wait_until_idle(page: Page) -> None:
    page.wait_for_timeout(500)
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()


def _zip(pictures: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, sample in pictures.items():
            archive.write(embedded.SAMPLES / sample, name)
    return packed.getvalue()


@contextmanager
def _watched(process_id: int) -> Iterator[Peak]:
    peak, is_over = Peak(), threading.Event()

    def watch() -> None:
        while not is_over.wait(1 / SAMPLES_PER_SECOND):
            peak.seen[peak.stage] = max(together(process_id), peak.seen.get(peak.stage, 0.0))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        is_over.set()
        watcher.join()


if __name__ == "__main__":
    for figure in figures():
        print(figure.line())

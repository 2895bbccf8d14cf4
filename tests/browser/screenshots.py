"""``python -m tests.browser.screenshots FOLDER`` (``make screenshots``): the README's pictures, of the real app."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import chromium
from tests.browser.app import serving

WIDTHS = {"desktop": (1280, 860), "phone": (390, 844)}
STEPS = ("classify", "build", "evaluate", "profile", "device")
CHARTS = {
    "tradeoff": ("Size and latency", "Size of each file against its latency"),
    "inside": ("Inside", "Self time of each kind of operator, by file"),
}
# A build of all formats takes minutes.
MILLISECONDS = 900_000
SETTLED = 2500
TALLEST = {"classify": 2400, "device": 1350}


def prepare(page: Page, address: str) -> None:
    """Builds the embedded model once; the profile page shows the run that ships, which no browser disturbed."""
    page.goto(f"{address}/build")
    page.get_by_role("button", name="files of DeiT Deploy Tiny").click()
    expect(page.get_by_text("Download all")).to_be_visible()
    expect(page.get_by_role("button", name="files of DeiT Deploy Tiny")).to_have_count(0)


def take(page: Page, address: str, step: str, path: Path) -> None:
    page.goto(address if step == "classify" else f"{address}/{step}")
    expect(page.locator(".st-key-next_step")).to_be_visible()
    if step == "classify":
        page.get_by_role("button", name="Ask all").click()
        expect(page.get_by_text("moves a probability furthest")).to_be_visible()
    if step == "device":
        page.get_by_text("23.7 MB").click()
        page.get_by_role("button", name="Start on this device").click()
        expect(page.get_by_role("button", name="Measure again on this device")).to_be_visible()
        page.get_by_role("button", name="Save beside the server's").click()
        expect(page.get_by_text("Reported by a visitor, and not checked here")).to_be_visible()
    page.wait_for_timeout(SETTLED)
    # Streamlit scrolls inside the page, so the window is made as tall as what it holds.
    height = page.get_by_test_id("stMainBlockContainer").bounding_box()
    if height and page.viewport_size:
        page.set_viewport_size(
            {"width": page.viewport_size["width"], "height": min(TALLEST.get(step, 1500), int(height["height"]) + 40)}
        )
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(SETTLED)
    page.screenshot(path=path)


def take_charts(page: Page, address: str, folder: Path) -> None:
    page.goto(f"{address}/profile")
    for name, (tab, alt_text) in CHARTS.items():
        page.get_by_role("tab", name=tab, exact=True).click()
        chart = page.locator(f'[data-testid="stVegaLiteChart"][aria-label="{alt_text}"]')
        expect(chart).to_be_visible()
        page.wait_for_timeout(SETTLED)
        chart.screenshot(path=folder / f"profile_{name}.png")


def shrink(path: Path) -> None:
    """Leaves 256 colours, which takes a third of the bytes in the repository and shows no difference."""
    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(256)
    reduced.save(path, optimize=True)


def main(folder: Path) -> None:
    expect.set_options(MILLISECONDS)
    with (
        tempfile.TemporaryDirectory() as home,
        serving(Path(home)) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS) as browser,
    ):
        prepare(browser.new_page(), server.address)
        take_charts(browser.new_page(viewport={"width": 1280, "height": 1500}), server.address, folder)
        for width, (pixels, height) in WIDTHS.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": pixels, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                for step in STEPS:
                    page = context.new_page()
                    page.set_viewport_size({"width": pixels, "height": height})
                    take(page, server.address, step, folder / f"{step}_{width}_{scheme}.png")
                    page.close()
    for path in folder.glob("*.png"):
        shrink(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""How long a visitor waits for a page: until its title is drawn, and until the answer about a sample.

python -m benchmarks.paint    in Chromium, against the real server, after one visit that does not count
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from benchmarks.figure import Figure
from pages.way.steps import CLASSIFY, STEPS, Step
from tests.browser import chromium
from tests.browser.app import serving

VISITS = 5
MOST_TO_TITLE_MS = 1500
MOST_TO_ANSWER_MS = 1000
PATIENCE = 60_000


def figures() -> list[Figure]:
    expect.set_options(PATIENCE)
    found: list[Figure] = []
    with (
        tempfile.TemporaryDirectory() as place,
        serving(Path(place)) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS) as browser,
    ):
        for step in STEPS:
            waits = [_visit(browser, server.address, step) for _ in range(VISITS + 1)][1:]
            to_title = statistics.median(title for title, _ in waits)
            found.append(Figure(f"title of the page {step.title}", to_title, MOST_TO_TITLE_MS, "ms"))
            if step is CLASSIFY:
                later = statistics.median(answer for _, answer in waits)
                found.append(Figure("answer about a sample, after the title", later, MOST_TO_ANSWER_MS, "ms"))
    return found


def _visit(browser: Browser, address: str, step: Step) -> tuple[float, float]:
    """Milliseconds from the request to the title of the page, and from there to its answer, if it gives one."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    started = time.perf_counter()
    page.goto(f"{address}/{step.address}", wait_until="commit")
    page.get_by_role("heading", level=1).wait_for()
    titled = time.perf_counter()
    if step is CLASSIFY:
        page.get_by_test_id("stMetricValue").wait_for()
    answered = time.perf_counter()
    page.close()
    return (titled - started) * 1000, (answered - titled) * 1000


if __name__ == "__main__":
    for figure in figures():
        print(figure.line())

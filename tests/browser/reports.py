"""What a failed browser test leaves: a picture of each page, the text of its alerts, and the end of the app's log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page, Request

from tests.browser import app, chromium

FOLDER = app.PROJECT / "test-results"
TITLE = "What visitors saw"
# What Streamlit draws for errors, warnings and tracebacks, and what the browser side of "On your device" says.
ALERTS = '[data-testid="stAlert"], [data-testid="stException"], [role="alert"]'
LOG_LINES = 40
# What went wrong inside each context that is listened to, oldest first.
_heard: dict[BrowserContext, list[str]] = {}


def listen(context: BrowserContext) -> None:
    """Notes the requests of all its pages that get no answer, and the errors in their consoles."""
    lines = _heard[context] = []

    def note_request(request: Request) -> None:
        lines.append(f"no answer: {request.method} {request.url} ({request.failure})")

    def note_message(message: ConsoleMessage) -> None:
        if message.type == "error":
            lines.append(f"console: {message.text}")

    def forget(closed: BrowserContext) -> None:
        _heard.pop(closed, None)

    context.on("requestfailed", note_request)
    context.on("console", note_message)
    context.on("close", forget)


def add_to(report: pytest.TestReport, name: str, began: float) -> None:
    """Adds the section ``TITLE``, about all open pages and about the apps that ran after ``began``, seconds since 1970.

    The pictures lie in ``FOLDER``, named after the test and numbered.
    """
    FOLDER.mkdir(exist_ok=True)
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-")
    pages = [page for browser in chromium.OPEN for context in browser.contexts for page in context.pages]
    parts = [_of_page(page, FOLDER / f"{stem}-{number}.png") for number, page in enumerate(pages, 1)]
    parts += [_of_app(server) for server in app.STARTED if server.is_running or server.wrote_after(began)]
    report.sections.append((TITLE, "\n\n".join(parts)))


def _of_page(page: Page, picture: Path) -> str:
    lines = [f"Page {page.url}"]
    # A page that crashed or hangs must not hide what the test itself reports.
    try:
        page.screenshot(path=picture, timeout=10 * app.SECONDS)
        alerts = page.locator(ALERTS).filter(has_not=page.locator(ALERTS)).all_inner_texts()
    except Error as error:
        return "\n".join([*lines, f"cannot be read: {error.message.splitlines()[0]}"])
    lines += [f"alert: {' '.join(text.split())}" for text in alerts] or ["no alert"]
    return "\n".join([*lines, *_heard.get(page.context, []), f"screenshot: {picture}"])


def _of_app(server: app.Server) -> str:
    return "\n".join([f"The last lines of the log of {server.address}:", *server.log.splitlines()[-LOG_LINES:]])

"""A visitor in Streamlit's own test harness: opens a page, reads it, waits for its jobs."""

from __future__ import annotations

import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

SHELL = Path(__file__).parents[2] / "pages" / "_shell.py"
PAGES = {
    "classify": "classify_picture.py",
    "build": "build_files.py",
    "evaluate": "evaluate_files.py",
    "profile": "profile_files.py",
    "device": "on_your_device.py",
}


def open_page(name: str = "classify") -> AppTest:
    app = AppTest.from_file(str(SHELL), default_timeout=60).run()
    return app if name == "classify" else app.switch_page(PAGES[name]).run()


def texts(app: AppTest) -> str:
    elements = [*app.error, *app.warning, *app.info, *app.markdown, *app.caption, *app.title]
    return "\n".join(str(element.value) for element in elements)


def errors(app: AppTest) -> list[str]:
    """What went wrong on the page, in its words."""
    tracebacks = [f"{element.message}\n{element.stack_trace}" for element in app.exception]
    return tracebacks + [str(element.value) for element in (*app.error, *app.warning)]


def finished(app: AppTest, seconds: float = 240) -> AppTest:
    """Runs the page again until no job is under way, as a visitor's browser does."""
    deadline = time.monotonic() + seconds
    while any(button.label == "Cancel" for button in app.button):
        assert time.monotonic() < deadline
        time.sleep(0.3)
        app.run()
    return app

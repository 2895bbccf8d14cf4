"""Finds a Chromium for the browser tests: on the PATH, Playwright's own, or Debian's package when root.

``python -m tests.browser.chromium`` installs one where there is none; `make test` calls it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Every browser that is open now, for the report of a failed test.
OPEN: list[Browser] = []


@functools.cache
def path() -> str:
    """The Chromium that the tests start. The first call must come before Playwright is started."""
    found = find()
    assert found, "There is no Chromium. Run `make test`, or `python -m tests.browser.chromium`."
    return found


@contextlib.contextmanager
def opened(playwright: Playwright, arguments: Sequence[str] = ARGUMENTS) -> Iterator[Browser]:
    with playwright.chromium.launch(executable_path=path(), args=list(arguments)) as browser:
        OPEN.append(browser)
        try:
            yield browser
        finally:
            OPEN.remove(browser)


def find() -> str | None:
    """The path of a Chromium that is here."""
    for name in NAMES:
        path = shutil.which(name)
        if path and _runs(path):
            return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if _runs(own) else None


def _runs(path: str) -> bool:
    """A browser without the libraries that it needs is none."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install() -> None:
    """Tries Playwright's download, then Debian's package."""
    ways = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        ways += [["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]]
    for command in ways:
        print("$", *command, flush=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, check=False, timeout=300, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        if find():
            return


if __name__ == "__main__":
    if find() is None:
        install()
    found = find()
    if found is None:
        sys.exit("No Chromium could be installed. Install one by hand, so that 'chromium' is on the PATH.")
    print("Chromium for the browser tests:", found)

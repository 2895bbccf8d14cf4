"""A browser with a window of each width, and an app for each module."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, ViewportSize, expect, sync_playwright

from tests.browser import chromium, reports
from tests.browser.app import DESKTOP, PHONE, SECONDS, Server, serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``only_at(size)`` leaves a test out at the other width."""

    def is_wanted(item: pytest.Item) -> bool:
        mark = item.get_closest_marker("only_at")
        return not (mark and isinstance(item, pytest.Function)) or item.callspec.params["viewport"] == mark.args[0]

    items[:] = filter(is_wanted, items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The report of a failed test says what its pages and its apps said."""
    report = yield
    if report.failed and call.when != "teardown":
        reports.add_to(report, item.name, call.start)
    return report


@pytest.fixture(scope="module", params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def viewport(request: pytest.FixtureRequest) -> ViewportSize:
    size: ViewportSize = request.param
    return size


@pytest.fixture(scope="session")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


@pytest.fixture(scope="module")
def app(shared_app: Server) -> Iterator[Server]:
    """One app for all modules that do not start their own; each must leave no traceback in its log."""
    before = shared_app.log.count("Traceback")
    yield shared_app
    assert shared_app.log.count("Traceback") == before


@pytest.fixture(scope="module")
def server(app: Server) -> str:
    """The app's address."""
    return app.address


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    chromium.path()
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with chromium.opened(playwright) as started:
        yield started


@pytest.fixture
def page(viewport: ViewportSize, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=viewport)
    reports.listen(context)
    page = context.new_page()
    page.set_default_timeout(60 * SECONDS)
    expect.set_options(60 * SECONDS)
    yield page
    context.close()

"""What goes wrong around the main job, in a real Chromium: damage, kills, a Hub out of reach, large files."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect
from safetensors.torch import save_file

from deploy_core.formats import FORMATS
from deploy_core.models import load
from deploy_core.settings import Settings
from tests.browser.app import PHONE, SECONDS, Server, serving
from tests.browser.steps import address_of, choose_only, close_picker, no_error, open_picker, visit


def test_a_file_that_was_damaged_on_disk_is_built_again_and_never_served(app: Server, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{app.address}/build")
    choose_only(page, "scripted")
    page.get_by_role("button", name="Build 2 files").click()
    url = address_of(app.address, page, "scripted")
    path = next((app.folder / "home" / "artifacts").glob("demo-scripted-*/demo_scripted.pt"))
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    damaged = requests.get(url, timeout=30)
    assert damaged.status_code == 503
    assert "built again" in damaged.text
    deadline = time.monotonic() + 60
    while (mended := requests.get(url, timeout=30)).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert mended.headers["etag"] == f'"{hashlib.sha256(mended.content).hexdigest()}"'
    page.close()


def test_the_app_killed_in_mid_build_leaves_nothing_and_says_so_after_the_restart(
    tmp_path: Path, browser: Browser
) -> None:
    page = browser.new_page()
    with serving(tmp_path) as server:
        page.goto(f"{server.address}/build")
        choose_only(page, "executorch")
        page.get_by_role("button", name="Build 2 files").click()
        expect(page.get_by_text("Building ExecuTorch")).to_be_visible(timeout=240 * SECONDS)
        server.process.kill()
    with serving(tmp_path) as server:
        page.goto(f"{server.address}/build")
        # The page shows the job of the formats that are chosen.
        choose_only(page, "executorch")
        expect(page.get_by_text("restarted before this was done")).to_be_visible(timeout=60 * SECONDS)
        expect(page.get_by_role("button", name=re.compile("files? of DeiT Deploy Tiny"))).to_be_enabled()
        parts = [path for path in (tmp_path / "home" / "artifacts").rglob("*") if ".part" in path.name]
        assert parts == []
    page.close()


@pytest.mark.only_at(PHONE)
def test_a_model_that_is_out_of_reach_says_so_and_the_page_goes_on(server: str, page: Page) -> None:
    page.goto(server)
    expect(page.get_by_test_id("stMetricValue")).to_be_visible()
    open_picker(page)
    page.get_by_role("button", name="Use DeiT-Base").click()
    expect(page.get_by_text("DeiT-Base (the tutorial's) needs its weights once")).to_be_attached()
    close_picker(page)
    page.get_by_role("button", name="Download 346 MB").click()
    expect(page.get_by_test_id("stAlert").filter(has_text="cannot be reached from here")).to_be_visible()
    open_picker(page)
    page.get_by_text("Random", exact=True).click()
    close_picker(page)
    expect(page.get_by_text("this answer means nothing")).to_be_visible()


@pytest.mark.only_at(PHONE)
def test_a_checkpoint_larger_than_any_picture_is_taken(server: str, page: Page, tmp_path: Path) -> None:
    name = "deit_tiny_patch16_224"
    path = tmp_path / "mine.safetensors"
    save_file(load.load(name, "random", Settings()).module.state_dict(), path)
    assert path.stat().st_size > Settings().picture_bytes
    page.goto(server)
    page.get_by_role("button", name="Bring your checkpoint").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[type=file]").first.set_input_files(path)
    expect(dialog.get_by_role("button", name="Remove mine.safetensors")).to_be_visible()
    dialog.get_by_role("button", name="Load model").click()
    open_picker(page)
    expect(page.get_by_text("192 wide, 12 deep, 3 heads")).to_be_visible()
    close_picker(page)
    expect(page.get_by_text("class ", exact=False).first).to_be_attached()
    no_error(page)
    visit(page, "Build")
    built = len([row for row in FORMATS.values() if row.probe() is None])
    expect(page.get_by_role("button", name=f"Build {built} files of mine")).to_be_visible()
    no_error(page)

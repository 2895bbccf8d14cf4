"""A visitor's own model survives a reload in its tab, and nowhere else."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from safetensors.torch import save_file

from tests.browser.app import DESKTOP, Server
from tests.browser.steps import choose_only, no_error, open_picker, visit
from tests.own_model import LABELS, state

KEPT = "sessionStorage.getItem('deit-deploy-own')"


def bring(app: Server, page: Page, tmp_path: Path) -> None:
    save_file(state(), tmp_path / "My Pets.safetensors")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    page.goto(app.address)
    expect(page.get_by_test_id("stMetricValue")).to_be_visible()
    page.get_by_role("button", name="Bring your checkpoint").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[type=file]").first.set_input_files(tmp_path / "My Pets.safetensors")
    dialog.locator("input[type=file]").nth(1).set_input_files(tmp_path / "labels.txt")
    for name in ("My Pets.safetensors", "labels.txt"):
        expect(dialog.get_by_role("button", name=f"Remove {name}")).to_be_visible()
    dialog.get_by_role("button", name="Load model").click()
    expect(page.get_by_test_id("stMetricValue")).to_have_text(LABELS[1])


@pytest.fixture
def own(app: Server, page: Page, tmp_path: Path) -> Page:
    """A page on which somebody has just brought a model."""
    bring(app, page, tmp_path)
    page.wait_for_function(f"{KEPT} !== null")
    return page


def test_it_survives_a_reload_with_its_files(own: Page) -> None:
    visit(own, "Build")
    choose_only(own, "scripted", "quantized")
    own.get_by_role("button", name="Build 3 files of My Pets").click()
    expect(own.locator('.st-key-files a[href*="bundles/"]:visible')).to_have_count(3, timeout=240_000)
    own.reload()
    expect(own.locator('a[href*="my_pets"]:visible').first).to_be_visible()
    expect(own.locator('.st-key-files a[href*="bundles/"]:visible')).to_have_count(3)
    expect(own.locator('a[href*="/demo"]')).to_have_count(0)
    visit(own, "Classify")
    expect(own.get_by_test_id("stMetricValue")).to_have_text(LABELS[1])
    expect(own.get_by_text("import 'My Pets.safetensors' --labels labels.txt")).to_be_attached()
    own.reload()
    expect(own.get_by_test_id("stMetricValue")).to_have_text(LABELS[1])
    no_error(own)


def test_a_link_tells_that_the_model_was_private(own: Page) -> None:
    secret = own.evaluate(KEPT)
    assert len(secret) == 43
    assert secret not in own.url
    assert "model=own" in own.url
    other = own.context.new_page()
    other.goto(own.url)
    expect(other.get_by_text("copied from a page with somebody")).to_be_visible()
    expect(other.get_by_test_id("stMetricValue")).to_be_visible()
    assert "My Pets" not in (other.text_content("body") or "")
    assert other.evaluate(KEPT) is None


def test_what_is_gone_is_told_above_everything(own: Page, app: Server) -> None:
    for folder in (app.folder / "home" / "visitors").iterdir():
        shutil.rmtree(folder)
    own.reload()
    told = own.get_by_text("Your own model was deleted")
    expect(told).to_be_visible()
    expect(own.get_by_test_id("stMetricValue")).to_be_visible()
    title = own.get_by_role("heading").first.bounding_box()
    banner = told.bounding_box()
    assert title
    assert banner
    assert banner["y"] < title["y"]


def test_a_made_up_secret_opens_nothing(own: Page, app: Server) -> None:
    other = own.context.new_page()
    other.add_init_script("sessionStorage.setItem('deit-deploy-own', 'guess')")
    other.goto(f"{app.address}?model=own")
    expect(other.get_by_text("Your own model was deleted")).to_be_visible()
    assert "My Pets" not in (other.text_content("body") or "")


@pytest.mark.only_at(DESKTOP)
def test_labels_that_still_travel_are_waited_for(app: Server, page: Page, tmp_path: Path) -> None:
    def slowly(route: Route) -> None:
        time.sleep(2)
        route.continue_()

    page.route("**/upload_file/**", slowly)
    bring(app, page, tmp_path)


@pytest.mark.only_at(DESKTOP)
def test_another_model_that_was_picked_stays_picked(own: Page) -> None:
    open_picker(own)
    own.get_by_role("combobox", name="Model").click()
    own.get_by_role("option", name="DeiT-Tiny", exact=True).click()
    own.wait_for_url("**?model=d*")
    own.reload()
    open_picker(own)
    own.get_by_role("combobox", name="Model").click()
    expect(own.get_by_role("option", name="My Pets (yours)")).to_be_visible()

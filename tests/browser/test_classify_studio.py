"""Classify in a real Chromium: pictures in, where the model looks, every file's answer, a model of one's own."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import torch
from playwright.sync_api import Browser, Page, expect

from deploy_core import embedded
from deploy_core.bundle import check
from deploy_core.settings import Settings
from tests.browser.app import DESKTOP, PHONE, SECONDS
from tests.browser.steps import choose_only, close_picker, open_picker, visit
from tests.own_model import LABELS, state

# A model of two blocks is lowered to ExecuTorch in seconds.
BUILT = ("scripted", "executorch_int8")
PASTED = """
([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const basket = new DataTransfer();
  basket.items.add(new File([bytes], name, { type }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: basket, bubbles: true }));
}
"""


def choose(page: Page, text: str) -> None:
    page.get_by_test_id("stButtonGroup").get_by_text(text, exact=True).click()


@pytest.mark.only_at(PHONE)
def test_it_shows_where_the_model_looks_and_the_slider_changes_it(server: str, page: Page) -> None:
    page.goto(f"{server}/?sample=Guitar")
    looks = page.get_by_alt_text("Heat map of where the model looks")
    expect(looks).to_be_visible()
    expect(page.get_by_alt_text("The model's input")).to_be_visible()
    before = looks.get_attribute("src")
    slider = page.get_by_role("slider", name="Opacity of the heat map")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    expect(looks).not_to_have_attribute("src", before or "")
    expect(page.get_by_test_id("stMetricValue")).to_be_visible()


@pytest.mark.only_at(DESKTOP)
def test_pictures_are_pasted_and_uploaded_and_answered_in_a_table(
    server: str, page: Page, answer: Callable[[str], str], tmp_path: Path
) -> None:
    page.goto(server)
    choose(page, "Upload")
    box = page.get_by_test_id("stMain").locator("input[type=file]")
    expect(box).to_be_attached()
    expect(page.get_by_text("They are not written to disk")).to_be_visible()
    page.wait_for_function("() => Boolean(window.pastePicture)")
    cat = (embedded.SAMPLES / "chelsea.png").read_bytes()
    page.evaluate(PASTED, ["pasted.png", "image/png", base64.b64encode(cat).decode()])
    expect(page.get_by_test_id("stMetricValue")).to_have_text(answer("chelsea.png"))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    box.set_input_files([embedded.SAMPLES / "guitar.jpg", tmp_path / "broken.jpg"])
    expect(page.get_by_role("button", name="JSON", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 1 + 3
    assert any("pasted.png" in line and answer("chelsea.png") in line for line in lines)
    assert any("broken.jpg" in line and "not a picture" in line for line in lines)


@pytest.mark.only_at(DESKTOP)
def test_a_model_of_ones_own_goes_through_all_pages_and_answers_with_its_labels(
    server: str, page: Page, browser: Browser, tmp_path: Path
) -> None:
    torch.save({"model": state(), "label_names": list(LABELS)}, tmp_path / "My Pets.pth")
    page.goto(server)
    expect(page.get_by_test_id("stMetricValue")).to_be_visible()
    page.get_by_role("button", name="Bring your checkpoint").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[type=file]").first.set_input_files(tmp_path / "My Pets.pth")
    expect(dialog.get_by_role("button", name="Remove My Pets.pth")).to_be_visible()
    dialog.get_by_role("button", name="Load model").click()
    expect(page.get_by_test_id("stMetricValue")).to_have_text(LABELS[1])
    open_picker(page)
    expect(page.get_by_text("64 wide, 2 deep")).to_be_visible()
    close_picker(page)
    assert "model=own" in page.url

    visit(page, "Build")
    choose_only(page, *BUILT)
    page.get_by_role("button", name="Build 3 files of My Pets").click()
    links = page.locator('.st-key-files a[href*="bundles/"]:visible')
    expect(links).to_have_count(3, timeout=240 * SECONDS)
    href = page.locator('.st-key-files a[href*="-scripted-"][href*="bundles/"]:visible').evaluate("link => link.href")
    assert re.search(r"/bundles/[0-9a-f]{32}-scripted-[0-9a-f]{16}/my_pets_scripted_bundle.zip", href)
    downloaded = requests.get(href, timeout=60).content
    with zipfile.ZipFile(io.BytesIO(downloaded)) as archive:
        assert archive.read("labels.txt").decode().split() == list(LABELS)
    (tmp_path / "bundle.zip").write_bytes(downloaded)
    assert check.verify(tmp_path / "bundle.zip", Settings()).holds

    visit(page, "Classify")
    page.get_by_role("button", name="Ask all 3 files").click()
    expect(page.get_by_text("All 3 match the original's answer.")).to_be_visible()
    expect(
        page.locator('[data-testid="stVegaLiteChart"][aria-label="How far each file moved the probabilities"]')
    ).to_be_visible()

    visit(page, "Profile")
    choose(page, "10 seconds")
    page.get_by_role("button", name="Profile 3 files on this server").click()
    expect(page.get_by_role("button", name="Profile 3 files on this server again")).to_be_visible(timeout=240 * SECONDS)
    expect(page.get_by_text("Which file to ship?")).to_be_visible()

    stranger = browser.new_page()
    stranger.goto(server)
    stranger.get_by_test_id("stMetricValue").wait_for()
    open_picker(stranger)
    stranger.get_by_role("combobox", name="Model").click()
    expect(stranger.get_by_role("option", name="DeiT-Tiny", exact=True)).to_be_visible()
    expect(stranger.get_by_text("My Pets")).to_have_count(0)
    stranger.close()

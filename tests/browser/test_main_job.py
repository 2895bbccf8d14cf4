"""The main job in a real Chromium, against the real server: classify, build, download, profile."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import requests
from playwright.sync_api import Locator, Page, ViewportSize, expect

from deploy_core import embedded
from deploy_core.bundle import check
from deploy_core.formats import FORMATS
from deploy_core.inference import classify
from deploy_core.profile.record.record import Record
from deploy_core.profile.record.saved import read_record
from deploy_core.profile.verdict import reasons
from deploy_core.settings import Settings
from tests.browser.app import DESKTOP, PHONE, SECONDS, Server, serving_soundly
from tests.browser.steps import address_of, artifact_link, choose_only, no_error, upload
from tests.whole_build import WholeBuild

# On a phone's width only what is built, and profiled, in seconds.
BUILT_AT: dict[int, list[str]] = {
    DESKTOP["width"]: [key for key in FORMATS if key != "executorch"],
    PHONE["width"]: ["original", "scripted"],
}
BUILT_ON_PHONE = BUILT_AT[PHONE["width"]]
# The others take minutes, and lie in the store already. A model of one's own (test_classify_studio) has its ExecuTorch
# file built by the app; test_device has its ONNX files built by the app.
BUILT_HERE = ("original", "scripted", "quantized", "optimized", "lite", "onnx_int8")
BUILT_BEFORE = [key for key in BUILT_AT[DESKTOP["width"]] if key not in BUILT_HERE]


@pytest.fixture(scope="module")
def app(
    viewport: ViewportSize, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """A fresh app for each width, so that both start with nothing built but ``BUILT_BEFORE``."""
    folder = tmp_path_factory.mktemp(f"server {viewport['width']}")
    if viewport == DESKTOP:
        build: WholeBuild = request.getfixturevalue("whole_build")
        build.put_into(folder / "home", BUILT_BEFORE)
    with serving_soundly(folder) as served:
        yield served


def test_a_permalink_is_the_first_request_after_the_start(server: str, page: Page) -> None:
    """A deep link runs inside the shell, with navigation and picker, also before any other page was opened."""
    page.goto(f"{server}/profile")
    expect(page.get_by_role("heading", name="Which file to ship?")).to_be_visible()
    expect(page.locator('.st-key-way_wide [data-testid="stPageLink"]')).to_have_count(5)
    expect(page.get_by_text("rounds, torch")).to_be_visible()


def test_the_main_job(server: str, page: Page, tmp_path: Path, answer: Callable[[str], str]) -> None:
    page.goto(server)
    expect(page.get_by_test_id("stMetricValue")).to_have_text(answer("zebra.jpg"))
    expect(page.get_by_test_id("stImage").first).to_be_visible()

    page.get_by_text("Upload", exact=True).click()
    page.locator("input[type=file]").set_input_files(embedded.SAMPLES / "guitar.jpg")
    expect(page.get_by_test_id("stMetricValue")).to_have_text(answer("guitar.jpg"))
    no_error(page)

    page.goto(f"{server}/build")
    keys = choose_formats(page)
    count = len(keys) - (len(BUILT_BEFORE) if page.viewport_size == DESKTOP else 0)
    page.get_by_role("button", name=f"Build {count} files of DeiT Deploy Tiny").click()
    last = artifact_link(page, next(key for key in reversed(keys) if key not in BUILT_BEFORE))
    expect(last).to_be_visible(timeout=240 * SECONDS)
    expect(page.locator(".st-key-files").get_by_text("first answers match the original's.").first).to_be_visible()
    for key in keys:
        expect(artifact_link(page, key)).to_be_visible()
    key = "lite" if "lite" in keys else "scripted"
    with page.expect_download() as download:
        artifact_link(page, key).click()
    path = tmp_path / download.value.suggested_filename
    assert path.name == FORMATS[key].filename("demo")
    download.value.save_as(path)
    file = classify.open_artifact(path, "demo", "pretrained")
    assert file.classify(str(embedded.SAMPLES / "zebra.jpg"), Settings()).top[0].label == answer("zebra.jpg")
    no_error(page)


def test_the_web_process_never_imports_torch(app: Server) -> None:
    """After a classification and a build, none of torch's libraries is mapped into the server's process."""
    mapped = (Path("/proc") / str(app.process.pid) / "maps").read_text()
    assert "python" in mapped
    assert not any(name in mapped for name in ("libtorch", "torch/_C", "onnxruntime", "executorch"))


@pytest.mark.only_at(DESKTOP)
def test_the_charts_of_the_saved_run_say_what_its_record_says(server: str, page: Page) -> None:
    page.goto(f"{server}/profile")
    charts_say(page, read_record(embedded.SAVED_PROFILE))
    no_error(page)


@pytest.mark.only_at(PHONE)
def test_a_profile_is_run_shown_and_handed_out(server: str, page: Page) -> None:
    page.goto(f"{server}/profile")
    page.get_by_text("10 seconds", exact=True).click()
    page.get_by_role("button", name="profile", exact=False).filter(has_text="on this server").click()
    # The first medians are there while the rest goes on.
    expect(page.get_by_text("So far; ")).to_be_visible()
    again = page.get_by_role("button", name=f"Profile {len(BUILT_ON_PHONE)} files on this server again")
    expect(again).to_be_visible(timeout=240 * SECONDS)
    expect(page.locator('[data-test-script-state="notRunning"]')).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON", exact=True).click()
    run = read_record(Path(download.value.path()))
    assert [row.format for row in run.rows] == BUILT_ON_PHONE
    charts_say(page, run)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 1 + len(BUILT_ON_PHONE)
    link = page.locator('a[href*="traces/"]:visible').get_attribute("href")
    answer = requests.get(f"{server}/{link}", timeout=60)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as traces:
        assert set(traces.namelist()) == {f"{row.file}.trace.json" for row in run.rows if row.operators}
    assert requests.get(f"{server}/traces/{'0' * 16}", timeout=60).status_code == 404
    page.goto(f"{server}/profile?run={run.run_id}")
    charts_say(page, run)
    no_error(page)


def charts_say(page: Page, run: Record) -> None:
    titles = [FORMATS[row.format].title for row in run.rows]
    latency = chart(page, "Every timed inference of each file, with the medians")
    for title in titles:
        expect(latency.get_by_text(title, exact=True)).to_have_count(1)
    for row, title in zip(run.rows, titles, strict=True):
        expect(latency.locator(f'[aria-label*="{title}: median {row.median_ms:.2f} ms"]').first).to_be_attached()
    latency.hover()
    with page.expect_download() as download:
        # The toolbar floats above the chart, and on a short page below the header.
        page.get_by_role("button", name="Download as PNG").filter(visible=True).first.dispatch_event("click")
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as SVG: Every timed inference").click()
    drawing = ElementTree.fromstring(Path(download.value.path()).read_bytes())  # noqa: S314
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert set(titles) <= {text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")}
    page.get_by_role("tab", name="Size and latency").click()
    points = chart(page, "Size of each file against its latency")
    for row, title in zip(run.rows, titles, strict=True):
        expect(
            points.locator(f'[aria-label*="{title}: {row.bytes / 1e6:.1f} MB, {row.median_ms:.2f} ms"]')
        ).to_have_count(1)
    page.get_by_role("tab", name="Inside").click()
    stacks = chart(page, "Self time of each kind of operator, by file")
    for row, title in zip(run.rows, titles, strict=True):
        expect(stacks.get_by_text(title, exact=True)).to_have_count(1 if row.operators else 0)
        for group, spent in reasons.by_group(row).items():
            expect(stacks.locator(f'[aria-label*="{title}: {group} {spent:.2f} ms"]')).to_have_count(1)


def chart(page: Page, alt_text: str) -> Locator:
    return page.locator(f'[data-testid="stVegaLiteChart"][aria-label="{alt_text}"]')


@pytest.mark.only_at(DESKTOP)
def test_files_are_asked_about_labelled_pictures(server: str, page: Page, tmp_path: Path) -> None:
    page.goto(f"{server}/evaluate")
    expect(page.get_by_text("A saved run")).to_be_visible()
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.write(embedded.SAMPLES / "chelsea.png", "pictures/tabby/chelsea.png")
        archive.write(embedded.SAMPLES / "guitar.jpg", "pictures/acoustic guitar/guitar.jpg")
    upload(page, tmp_path / "mine.zip")
    asked = [key for key in choose_formats(page) if FORMATS[key].runs_here]
    page.get_by_role("button", name=f"Evaluate {len(asked)} files on mine.zip").click()
    expect(page.get_by_role("button", name="mine.zip again")).to_be_visible()
    expect(page.get_by_text("of 2 correct").first).to_be_visible()
    expect(page.get_by_role("heading", name="Confusion matrix")).to_be_visible()
    expect(page.get_by_text("No mistake happened twice")).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(2)
    no_error(page)


@pytest.mark.only_at(PHONE)
def test_a_download_streams_with_ranges_and_nothing_else_is_reachable(server: str, page: Page) -> None:
    url = address_of(server, page, "scripted")
    browsers = {"Accept-Encoding": "gzip, deflate, br"}
    whole = requests.get(url, headers=browsers, timeout=30)
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-encoding"] == "identity"
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert whole.headers["etag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert 'filename="demo_scripted.pt"' in whole.headers["content-disposition"]
    part = requests.get(url, headers=browsers | {"Range": "bytes=1000-"}, timeout=30)
    assert part.status_code == 206
    assert part.content == whole.content[1000:]
    beyond = requests.get(url, headers=browsers | {"Range": f"bytes={len(whole.content)}-"}, timeout=30)
    assert beyond.status_code == 416
    folder, root = url.rsplit("/", 1)[0], url.rsplit("/", 2)[0]
    names = ("record.json", "expected.json", ".lock", "..%2Fx", "%2e%2e/%2e%2e/etc/passwd", "nothing.pt", "%00")
    for address in (*(f"{folder}/{name}" for name in names), f"{root}/nothing/demo_scripted.pt"):
        assert requests.get(address, timeout=30).status_code in (400, 404)


@pytest.mark.only_at(PHONE)
def test_curl_keeps_the_name_and_resumes_a_broken_download(server: str, page: Page, tmp_path: Path) -> None:
    url = address_of(server, page, "scripted")
    curl = ["curl", "--silent", "--show-error", "--fail", "--compressed"]
    subprocess.run([*curl, "-O", url], cwd=tmp_path, check=True)
    whole = (tmp_path / "demo_scripted.pt").read_bytes()
    (tmp_path / "demo_scripted.pt").write_bytes(whole[: len(whole) // 3])
    subprocess.run([*curl, "-C", "-", "-O", url], cwd=tmp_path, check=True)
    assert (tmp_path / "demo_scripted.pt").read_bytes() == whole


@pytest.mark.only_at(DESKTOP)
def test_the_bundle_opens_and_its_expected_answers_hold(server: str, page: Page, tmp_path: Path) -> None:
    page.goto(f"{server}/build")
    link = page.locator('.st-key-files a[href*="bundles/demo-lite-"]:visible')
    expect(link).to_be_visible()
    with page.expect_download() as download:
        link.click()
    path = tmp_path / download.value.suggested_filename
    assert path.name == "demo_optimized_scripted_quantized_lite_bundle.zip"
    download.value.save_as(path)
    assert check.verify(path, Settings()).holds
    again = requests.get(f"{server}/{link.get_attribute('href')}", headers={"Range": "bytes=5-"}, timeout=30)
    assert again.content == path.read_bytes()[5:]


def choose_formats(page: Page) -> list[str]:
    assert page.viewport_size
    chosen = BUILT_AT[page.viewport_size["width"]]
    choose_only(page, *chosen)
    return chosen

"""On your device in a real Chromium: from start to a saved report, over https and http, and all that may fail."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import psutil
import pytest
import requests
import torch
from playwright.sync_api import Browser, Locator, Page, Playwright, Route, expect

from deploy_core import documents, embedded
from deploy_core.formats import FORMATS
from deploy_core.inference import verdicts
from deploy_core.models import catalogue, load
from deploy_core.pictures import decode, preprocess
from deploy_core.profile.device import report
from deploy_core.settings import Settings
from pages.device import client
from tests.browser import chromium
from tests.browser.app import DESKTOP, PHONE, SECONDS, serving_soundly
from tests.conftest import PHOTOS
from tests.whole_build import WholeBuild

HOW = load.find("demo").preprocessing
DIST = client.FOLDER / "node_modules" / "onnxruntime-web" / "dist"
# Of a value between -2 and 2: decoders of JPEG may round a colour differently, and one more step apart is 0.016.
INPUT_BOUND = 0.05
LEAST_COSINE = {"onnx": 0.9999, "onnx_int8": 0.999, "litert": 0.9999, "litert_int8": 0.999}
# A graphics chip in software, and a camera that films a test picture.
GRAPHICS = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
CAMERA = ("--use-fake-device-for-media-stream",)
ASK = """
async ({ client, file, name, pictures, how }) => {
  const source = (name) => import(new URL(`${client}/src/${name}.js`, document.baseURI).href);
  const [{ Runner }, { decode }] = [await source("runner"), await source("pixels")];
  const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
  const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const runner = new Runner();
  await runner.open({ key: "wasm", threads: 1, title: "" }, name, await bytes(file));
  const found = [];
  for (const { url, input } of pictures) {
    const own = await runner.prepare(await decode(new Blob([await bytes(url)])), how);
    const same = await runner.run(floats(input), how.crop);
    const answer = await runner.run(own, how.crop);
    found.push({ own: [...own], same: [...same.logits], logits: [...answer.logits] });
  }
  runner.close();
  return found;
}
"""
HIDE_ONCE = """
() => {
  let isHidden = false;
  Object.defineProperty(document, "hidden", { get: () => isHidden });
  const turn = (hidden) => {
    isHidden = hidden;
    document.dispatchEvent(new Event("visibilitychange"));
  };
  const watch = setInterval(() => {
    const shadow = [...document.querySelectorAll("*")].find((element) => element.shadowRoot)?.shadowRoot;
    if (!shadow?.textContent.includes("Timing")) return;
    clearInterval(watch);
    turn(true);
    setTimeout(() => turn(false), 300);
  }, 5);
}
"""
A_CHIP = """
Object.defineProperty(navigator, "hardwareConcurrency", { value: 2 });
Object.defineProperty(navigator, "gpu", { value: { requestAdapter: async () => ({ info: {} }) } });
"""
# Two threads do not start, with an error in two lines; a graphics chip is fast, and stops at the camera's second frame.
FRAGILE_WORKER = """
let backend;
let pictures = 0;
const TASKS = {
  open([given]) {
    backend = given;
    if (backend.threads > 1) throw new Error("no threads\\n\\ttoday");
    return { runtimeMilliseconds: 1, loadMilliseconds: 1 };
  },
  prepare([, how]) {
    pictures += 1;
    if (backend.key === "webgpu" && pictures > 1) throw new Error("/mnt/agent/_work/1/webgpu_context.cc: lost");
    return new Float32Array(3 * how.crop ** 2);
  },
  run() {
    const logits = Float32Array.from({ length: 1000 }, (_, place) => place);
    return { logits, milliseconds: backend.key === "wasm" ? 9 : 1 };
  },
};
addEventListener("message", ({ data: { number, task, given } }) => {
  try {
    postMessage({ number, result: TASKS[task](given) });
  } catch ({ name, message }) {
    postMessage({ number, error: { name, message } });
  }
});
"""
FULL = """
Cache.prototype.put = async () => { throw new DOMException("full", "QuotaExceededError"); };
"""
NO_SIMD = "WebAssembly.validate = () => false;"
# One backend to measure, where the test is of something else.
ONE_CORE = 'Object.defineProperty(navigator, "hardwareConcurrency", { value: 1 });'


@pytest.fixture
def launch(playwright: Playwright) -> Iterator[Callable[..., Browser]]:
    """Starts a Chromium with further arguments."""
    usual = [argument for argument in chromium.ARGUMENTS if argument != "--disable-gpu"]
    with ExitStack() as opened:

        def start_one(*arguments: str) -> Browser:
            return opened.enter_context(chromium.opened(playwright, [*usual, *arguments]))

        yield start_one


def start(page: Page, address: str) -> None:
    page.goto(f"{address}/device")
    button = page.get_by_role("button", name="Start on this device")
    expect(button).to_be_enabled()
    button.click()


def finished(page: Page) -> None:
    expect(page.get_by_role("button", name="Measure again on this device")).to_be_visible(timeout=120 * SECONDS)


def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    assert page.viewport_size
    assert page.evaluate("document.scrollingElement.scrollWidth") <= page.viewport_size["width"]


def row(page: Page, backend: str = "wasm", threads: int = 1, key: str = "onnx_int8") -> Locator:
    return page.get_by_test_id(f"row-{key}-{backend}-{threads}")


@pytest.mark.only_at(PHONE)
def test_from_start_to_a_saved_report(server: str, page: Page, answer: Callable[[str], str]) -> None:
    start(page, server)
    expect(page.get_by_test_id("answer")).to_have_text(answer("zebra.jpg"))
    finished(page)
    assert page.evaluate("crossOriginIsolated")
    expect(row(page)).to_contain_text("WebAssembly, 1 thread")
    expect(row(page, threads=2)).to_contain_text("WebAssembly, 2 threads")
    expect(page.get_by_text("The same class as on the server.")).to_be_visible()
    fits(page)

    page.get_by_role("button", name="Save beside the server's").click()
    expect(page.get_by_role("heading", name="This server and your device")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button", name="JSON").click()
    saved = report.parse(Path(download.value.path()).read_bytes())
    assert page.url.endswith(f"report={saved.report_id}")
    assert [(row.format, row.backend, row.threads) for row in saved.rows] == [
        ("onnx_int8", "wasm", 1),
        ("onnx_int8", "wasm", 2),
    ]
    for measured in saved.rows:
        assert measured.compared
        assert measured.compared.same_top1
        assert measured.compared.cosine >= LEAST_COSINE["onnx_int8"]
        assert measured.compared.input_difference == 0
    assert "Chrome" in saved.device.browser
    both_in_one_picture(page, saved)

    page.goto(f"{server}/profile?report={saved.report_id}")
    page.get_by_role("tab", name="Size and latency").click()
    both_in_one_picture(page, saved)
    expect(page.get_by_text("Reported by a visitor, and not checked here")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    other = page.context.new_page()
    other.goto(f"{server}/device?report={saved.report_id}")
    expect(other.get_by_role("heading", name="This server and your device")).to_be_visible()


def both_in_one_picture(page: Page, saved: report.Report) -> None:
    points = page.locator('[data-testid="stVegaLiteChart"][aria-label="Size of each file against its latency"]')
    expect(points.locator('[aria-label*="Original: "]')).to_have_count(1)
    for measured in saved.rows:
        hint = f"ONNX, int8, {measured.runs_on}: {measured.bytes / 1e6:.1f} MB, {measured.median_ms:.2f} ms"
        expect(points.locator(f'[aria-label*="{hint}"]')).to_have_count(1)


@pytest.mark.only_at(PHONE)
def test_a_second_start_uses_the_kept_file_and_a_refused_camera_is_a_sentence(server: str, page: Page) -> None:
    page.add_init_script(ONE_CORE)
    start(page, server)
    expect(page.get_by_test_id("answer")).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("kept by this browser")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Start on this device").click()
    finished(page)
    assert not [url for url in asked if url.endswith(".onnx")]
    page.get_by_role("button", name="Live camera").click()
    expect(page.get_by_role("alert").filter(has_text="camera")).to_be_visible()
    finished(page)


@pytest.mark.only_at(DESKTOP)
@pytest.mark.parametrize("key", LEAST_COSINE)
def test_the_device_answers_as_the_server_on_every_picture(
    server: str, page: Page, whole_build: WholeBuild, key: str
) -> None:
    ask = FORMATS[key].load(whole_build.path(key))
    paths = [*embedded.SAMPLES.iterdir(), *PHOTOS.glob("*")]
    pictures = {path.name: path for path in paths if path.suffix in (".png", ".jpg", ".jpeg", ".webp")}
    assert len(pictures) >= 4
    inputs = {
        name: preprocess.preprocess(decode.decode(path.read_bytes(), Settings()), HOW)
        for name, path in pictures.items()
    }
    given = {f"/given/{name}": path for name, path in pictures.items()} | {"/given/model": whole_build.path(key)}
    page.route("**/given/*", lambda route: fulfill(route, given))
    page.goto(f"{server}/device")
    found = page.evaluate(
        ASK,
        {
            "client": "client",
            "file": "/given/model",
            "name": whole_build.path(key).name,
            "pictures": [
                {"url": f"/given/{name}", "input": base64.b64encode(tensor.tobytes()).decode()}
                for name, tensor in inputs.items()
            ],
            "how": documents.plain(HOW),
        },
    )
    for (name, tensor), theirs in zip(inputs.items(), found, strict=True):
        ours = ask(torch.from_numpy(tensor))[0].numpy()
        same = np.array(theirs["same"])
        cosine = float(ours @ same / np.linalg.norm(ours) / np.linalg.norm(same))
        assert cosine >= LEAST_COSINE[key], name
        assert np.abs(np.array(theirs["own"]) - tensor.ravel()).max() <= INPUT_BOUND, name
        assert ours.max() - ours[np.argmax(theirs["logits"])] < verdicts.NEAR_TIE, name


def fulfill(route: Route, given: dict[str, Path]) -> None:
    route.fulfill(path=given[unquote(urlsplit(route.request.url).path)])


def test_both_runtimes_are_measured_and_the_faster_one_goes_on(
    page: Page, whole_build: WholeBuild, tmp_path: Path, answer: Callable[[str], str]
) -> None:
    whole_build.put_into(tmp_path / "home", ["litert_int8"])
    with serving_soundly(tmp_path) as app:
        start(page, app.address)
        finished(page)
        for key in ("onnx_int8", "litert_int8"):
            for threads in (1, 2):
                expect(row(page, threads=threads, key=key)).to_be_visible()
        expect(page.get_by_text("The same class as on the server.")).to_be_visible()
        fits(page)
        page.locator('input[type="file"][accept="image/*"]').set_input_files(embedded.SAMPLES / "guitar.jpg")
        expect(page.get_by_test_id("answer")).to_have_text(answer("guitar.jpg"))
        page.get_by_role("button", name="Save beside the server's").click()
        expect(page.get_by_role("heading", name="This server and your device")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_test_id("stDownloadButton").get_by_role("button", name="JSON").click()
        saved = report.parse(Path(download.value.path()).read_bytes())
        assert "@litertjs/core" in saved.runtime
        medians = {(one.format, one.threads): one.median_ms for one in saved.rows}
        assert len(medians) == 4
        fastest = FORMATS[min(medians, key=lambda way: medians[way])[0]].title
        expect(page.get_by_text(f"A picture that never left this device, classified by {fastest} on")).to_be_visible()


def test_over_http_on_a_local_network_it_runs_on_one_thread_and_says_what_https_adds(
    server: str, answer: Callable[[str], str], launch: Callable[..., Browser]
) -> None:
    """A name that is not localhost is no secure context, as with a phone that opens the computer's address."""
    browser = launch("--host-resolver-rules=MAP phone.test 127.0.0.1")
    page = browser.new_page(viewport=PHONE)
    page.set_default_timeout(60 * SECONDS)
    start(page, server.replace("127.0.0.1", "phone.test"))
    expect(page.get_by_test_id("answer")).to_have_text(answer("zebra.jpg"))
    finished(page)
    assert page.evaluate("[isSecureContext, crossOriginIsolated]") == [False, False]
    expect(page.get_by_text("This page was opened over http.")).to_be_visible()
    expect(row(page)).to_be_visible()
    expect(row(page, threads=2)).to_have_count(0)
    page.locator('input[type="file"][accept="image/*"]').set_input_files(embedded.SAMPLES / "guitar.jpg")
    expect(page.get_by_test_id("answer")).to_have_text(answer("guitar.jpg"))
    expect(page.get_by_text("A picture that never left this device")).to_be_visible()
    page.get_by_role("button", name="Live camera").click()
    expect(page.get_by_text("Browsers give the camera to https pages only.")).to_be_visible()
    page.get_by_role("button", name="Save beside the server's").click()
    expect(page.get_by_role("heading", name="This server and your device")).to_be_visible()


def test_a_graphics_chip_that_fails_in_mid_run_costs_its_own_row_only(
    server: str, launch: Callable[..., Browser]
) -> None:
    browser = launch(*GRAPHICS)
    page = browser.new_page()
    page.add_init_script(ONE_CORE)
    page.set_default_timeout(60 * SECONDS)
    start(page, server)
    # A graphics chip in software needs long for a model of 224 pixels.
    expect(page.get_by_text("Timing ONNX, int8 on WebGPU")).to_be_visible(timeout=240 * SECONDS)
    for process in psutil.Process().children(recursive=True):
        if "--type=gpu-process" in " ".join(process.cmdline()):
            process.kill()
    finished(page)
    expect(page.get_by_text("on WebGPU failed.")).to_contain_text("The times of WebAssembly stand")
    expect(row(page)).to_be_visible()
    expect(row(page, "webgpu")).to_have_count(0)
    page.get_by_role("button", name="Save beside the server's").click()
    expect(page.get_by_role("heading", name="This server and your device")).to_be_visible()


def test_the_camera_is_classified_live(server: str, launch: Callable[..., Browser]) -> None:
    browser = launch(*CAMERA)
    context = browser.new_context(viewport=PHONE, permissions=["camera"])
    page = context.new_page()
    page.add_init_script(ONE_CORE)
    page.set_default_timeout(60 * SECONDS)
    start(page, server)
    finished(page)
    page.get_by_role("button", name="Live camera").click()
    expect(page.get_by_test_id("seen")).to_have_text(
        re.compile("|".join(re.escape(label) for label in catalogue.labels(load.find("demo"))))
    )
    expect(page.get_by_text("frames/s")).to_be_visible()
    page.get_by_role("button", name="Stop the camera").click()
    finished(page)
    assert page.get_by_label("What the camera sees").evaluate("video => video.srcObject") is None


def test_where_the_graphics_chip_stops_the_processor_goes_on_and_odd_errors_can_be_saved(
    server: str, launch: Callable[..., Browser]
) -> None:
    browser = launch(*CAMERA)
    page = browser.new_context(permissions=["camera"]).new_page()
    page.set_default_timeout(60 * SECONDS)
    page.add_init_script(A_CHIP)
    headers = {"Cross-Origin-Embedder-Policy": "require-corp"}
    page.route(
        "**/src/worker.js",
        lambda route: route.fulfill(body=FRAGILE_WORKER, content_type="text/javascript", headers=headers),
    )
    start(page, server)
    finished(page)
    expect(row(page, "webgpu")).to_contain_text("fastest")
    expect(page.get_by_text("2 threads failed. The browser said: “no threads today”.")).to_be_visible()
    page.get_by_role("button", name="Live camera").click()
    expect(page.get_by_text("The graphics chip stopped; the processor goes on.")).to_be_visible()
    expect(page.get_by_text("frames/s")).to_contain_text("on WebAssembly, 1 thread")
    page.get_by_role("button", name="Stop the camera").click()
    page.get_by_role("button", name="Save beside the server's").click()
    expect(page.get_by_role("heading", name="This server and your device")).to_be_visible()


@pytest.mark.only_at(DESKTOP)
def test_timings_of_a_tab_in_the_background_are_thrown_away(server: str, page: Page) -> None:
    page.add_init_script(ONE_CORE)
    page.goto(f"{server}/device")
    button = page.get_by_role("button", name="Start on this device")
    expect(button).to_be_enabled()
    page.evaluate(HIDE_ONCE)
    button.click()
    finished(page)
    expect(
        page.get_by_text(re.compile("more (was|were) thrown away, because this tab was in the background"))
    ).to_be_visible()
    fits(page)


@pytest.mark.only_at(DESKTOP)
def test_a_full_cache_and_a_download_that_breaks_are_sentences_and_it_goes_on(server: str, page: Page) -> None:
    page.add_init_script(ONE_CORE + FULL)
    asked: list[str | None] = []

    def break_off(route: Route) -> None:
        asked.append(route.request.headers.get("range"))
        if len(asked) <= 4:
            route.abort("connectionreset")
        elif len(asked) == 5:
            # As a connection that ends before the file does.
            whole = route.fetch()
            route.fulfill(status=200, body=whole.body()[:1_000_000])
        else:
            route.continue_()

    page.route("**/*.onnx", break_off)
    start(page, server)
    expect(page.get_by_role("alert").filter(has_text="Press start again: it goes on from there")).to_be_visible()
    page.get_by_role("button", name="Start on this device").click()
    finished(page)
    assert asked[-2:] == [None, "bytes=1000000-"]
    expect(page.get_by_role("alert").filter(has_text="The browser has no room to keep this file")).to_be_visible()


@pytest.mark.only_at(DESKTOP)
def test_a_browser_without_simd_is_told_so(server: str, page: Page) -> None:
    page.add_init_script(NO_SIMD)
    page.goto(f"{server}/device")
    expect(page.get_by_text("This browser has no WebAssembly SIMD")).to_be_visible()
    expect(page.get_by_role("button", name="Start on this device")).to_be_disabled()


@pytest.mark.only_at(DESKTOP)
def test_a_measurement_that_killed_its_tab_is_told_to_the_next(server: str, page: Page) -> None:
    page.goto(f"{server}/device")
    expect(page.get_by_role("button", name="Start on this device")).to_be_enabled()
    page.evaluate("sessionStorage.setItem('deit-deploy-measuring', 'ONNX')")
    page.reload()
    expect(page.get_by_role("alert").filter(has_text="of ONNX, did not come to its end")).to_be_visible()
    page.get_by_role("button", name="Start on this device").click()
    expect(page.get_by_text("Timing")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Start on this device")).to_be_enabled()
    expect(page.get_by_role("alert").filter(has_text="did not come to its end")).to_have_count(0)


def test_the_pages_are_isolated_and_only_the_browser_side_is_served(server: str) -> None:
    answer = requests.get(server, timeout=30)
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
    wasm = requests.get(f"{server}/client/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm", timeout=60)
    assert wasm.headers["content-type"] == "application/wasm"
    # The copy that ``make`` compressed; compressing it for each visitor took most of a second.
    packed = DIST / "ort-wasm-simd-threaded.wasm.gz"
    assert wasm.headers["content-encoding"] == "gzip"
    assert int(wasm.headers["content-length"]) == packed.stat().st_size
    plain = requests.get(wasm.url, headers={"Accept-Encoding": "identity"}, timeout=60)
    assert "content-encoding" not in plain.headers
    assert plain.content == wasm.content
    script = requests.get(f"{server}/client/src/main.js", timeout=30)
    assert script.headers["cache-control"] == "no-cache"
    again = requests.get(f"{server}/client/src/main.js", headers={"If-None-Match": script.headers["etag"]}, timeout=30)
    assert again.status_code == 304
    for path in ("package.json", "src/../package.json", "tests/measure.test.js", "..%2Frequirements.txt", "src", ""):
        assert requests.get(f"{server}/client/{path}", timeout=30).status_code in (400, 404, 405)

"""The embedded model in headless Chromium on this machine, in both runtimes, compared with the server's own.

python -m benchmarks.device
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, Route, expect, sync_playwright

from benchmarks.figure import Figure
from deploy_core import build, embedded
from deploy_core.formats import FORMATS
from deploy_core.models import load
from deploy_core.pictures import decode, preprocess
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest
from tests.browser import chromium
from tests.browser.app import serving

MOST_TIMES_SLOWER = 8.0
MOST_SECONDS = 5.0
# 1 minus the smallest cosine that is allowed.
MOST_COSINE_DISTANCE = {"onnx": 1e-4, "onnx_int8": 1e-3, "litert": 1e-4, "litert_int8": 1e-3}
BLOCKS, ROUNDS = 6, 25
STARTS = 3
SPEC = load.find("demo")

# OPEN keeps a worker of the page On your device, which has the file open. TIME runs it ``rounds`` times.
OPEN = """
async ({ file, threads }) => {
  const { Runner } = await import("/client/src/runner.js");
  window.runner = new Runner();
  const model = new Uint8Array(await (await fetch(file)).arrayBuffer());
  await window.runner.open({ key: "wasm", threads, title: "" }, file, model);
  window.ask = (values, side) => window.runner.run(Float32Array.from(values), side);
}
"""
TIME = """
async ({ values, side, rounds }) => {
  const spent = [];
  for (let round = 0; round < rounds; round++) spent.push((await window.ask(values, side)).milliseconds);
  return spent;
}
"""


@dataclass(frozen=True)
class Way:
    """One way to run a file on a device."""

    title: str
    key: str
    threads: int


# The two int8 files that a visitor's browser can choose from.
PROMISED = (Way("ONNX int8, 1 thread", "onnx_int8", 1), Way("LiteRT int8, 1 thread", "litert_int8", 1))
# The file of the server's own ONNX Runtime, on one thread, that the browser is compared with.
BASELINE = "onnx_int8"
# Other ways, tried to lower the promised figure.
TRIED = (
    Way("ONNX int8, 2 threads", "onnx_int8", 2),
    Way("LiteRT int8, 2 threads", "litert_int8", 2),
    Way("ONNX float32, 1 thread", "onnx", 1),
    Way("LiteRT float32, 1 thread", "litert", 1),
    Way("ONNX float32, 2 threads", "onnx", 2),
    Way("LiteRT float32, 2 threads", "litert", 2),
)


class Bench:
    """A page of the app in a browser, and the files of the embedded model."""

    def __init__(self, page: Page, address: str, files: Path) -> None:
        self._page, self._address, self._files = page, address, files
        page.route("**/benchmark/*", self._serve_file)
        picture = decode.decode((embedded.SAMPLES / "chelsea.png").read_bytes(), Settings())
        self.tensor = preprocess.preprocess(picture, SPEC.preprocessing)

    def _serve_file(self, route: Route) -> None:
        route.fulfill(path=self._files / route.request.url.rsplit("/", 1)[1])

    def open(self, way: Way) -> None:
        """Opens a fresh page, because ONNX Runtime cannot change its number of threads while a page lives."""
        self._page.goto(f"{self._address}/device")
        file = f"/benchmark/{FORMATS[way.key].filename(SPEC.name)}"
        self._page.evaluate(OPEN, {"file": file, "threads": way.threads})
        self.milliseconds(5)

    def milliseconds(self, rounds: int) -> list[float]:
        """The time of each of ``rounds`` inferences in the browser."""
        arguments = {"values": self.tensor.ravel().tolist(), "side": SPEC.input_size, "rounds": rounds}
        spent: list[float] = self._page.evaluate(TIME, arguments)
        return spent

    def logits(self, tensor: Any) -> Any:
        arguments = [tensor.ravel().tolist(), SPEC.input_size]
        return np.array(self._page.evaluate("async (values) => [...(await window.ask(...values)).logits]", arguments))

    def server(self, key: str) -> Callable[[Any], Any]:
        """Runs a file with the server's own runtime on one thread."""
        import torch

        torch.set_num_threads(1)
        run = FORMATS[key].load(self._files / FORMATS[key].filename(SPEC.name))
        return lambda tensor: run(torch.from_numpy(tensor))[0].numpy()

    def times_slower(self, way: Way) -> tuple[float, float, float]:
        """The browser's median divided by that of the server's int8 file on one thread, and both medians.

        Medians are in milliseconds. Blocks of rounds alternate between the two.
        """
        self.open(way)
        ask = self.server(BASELINE)
        ask(self.tensor)
        theirs: list[float] = []
        ours: list[float] = []
        for _ in range(BLOCKS):
            theirs += self.milliseconds(ROUNDS)
            for _ in range(ROUNDS):
                started = time.perf_counter()
                ask(self.tensor)
                ours.append((time.perf_counter() - started) * 1000)
        there, here = statistics.median(theirs), statistics.median(ours)
        return there / here, there, here


def figures(tried: tuple[Way, ...] = ()) -> list[Figure]:
    """The promised figures. Prints the times of ``tried``."""
    measured = [Figure("page to the first answer on the device", _first_answer() * 1000, MOST_SECONDS * 1000, "ms")]
    with (
        tempfile.TemporaryDirectory() as place,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS) as browser,
        serving(Path(place)) as server,
    ):
        files = Path(place) / "files"
        build.build_into(files, BuildRequest(SPEC.name, "pretrained", tuple(MOST_COSINE_DISTANCE)), Settings())
        bench = Bench(browser.new_page(), server.address, files)
        ratio = min(bench.times_slower(way)[0] for way in PROMISED)
        measured.append(Figure("int8 on the device, 1 thread, against the server's", ratio, MOST_TIMES_SLOWER, "x"))
        for key, bound in MOST_COSINE_DISTANCE.items():
            measured.append(Figure(f"1 - cosine to the server, {key}", _distance(bench, key), bound, ""))
        for way in (*PROMISED, *tried) if tried else ():
            ratio, there, here = bench.times_slower(way)
            print(f"| {way.title} | {there:.2f} ms | {here:.2f} ms | {ratio:.2f} |")
    return measured


def _distance(bench: Bench, key: str) -> float:
    bench.open(Way("", key, 1))
    ask = bench.server(key)
    distances = []
    for path in (*embedded.SAMPLES.glob("*.png"), *embedded.SAMPLES.glob("*.jpg")):
        tensor = preprocess.preprocess(decode.decode(path.read_bytes(), Settings()), SPEC.preprocessing)
        ours, theirs = ask(tensor), bench.logits(tensor)
        distances.append(1 - float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)))
    return max(distances)


def _first_answer() -> float:
    """Seconds from opening the page to the answer, on a running app, in a browser that visits it for the first time."""
    seconds = []
    with tempfile.TemporaryDirectory() as place, serving(Path(place)) as server, sync_playwright() as playwright:
        for _ in range(STARTS + 1):
            with playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS) as browser:
                page = browser.new_page()
                page.goto("about:blank")
                started = time.perf_counter()
                page.goto(f"{server.address}/device")
                button = page.get_by_role("button", name="Start on this device")
                expect(button).to_be_enabled(timeout=60_000)
                button.click()
                expect(page.get_by_test_id("answer")).to_be_visible(timeout=60_000)
                seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    for figure in figures(TRIED):
        print(figure.line())

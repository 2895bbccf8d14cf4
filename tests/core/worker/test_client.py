"""The browser side's own tests, and its preprocessing beside Pillow's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deploy_core import documents, embedded
from deploy_core.formats import FORMATS
from deploy_core.models import load
from deploy_core.pictures import preprocess
from deploy_core.settings import Settings
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest, Preprocessing
from tests.conftest import PROJECT

DEVICE = PROJECT / "device"
DEIT = load.find("deit_base_distilled_patch16_224").preprocessing
BILINEAR = Preprocessing(resize=50, crop=48, mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.125), interpolation="bilinear")
SQUASHED = Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.5, 0.25, 0.125), crop_mode="squash")
HAMMING = Preprocessing(
    32, 32, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), interpolation="hamming", crop_mode="squash"
)

SIZES = ((640, 480), (481, 641), (224, 224), (32, 32), (19, 27), (1200, 40), (33, 905), (300, 700))


def npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["npm", "--silent", *arguments], cwd=DEVICE, capture_output=True, text=True, check=False)


def test_the_browser_side_passes_its_own_tests() -> None:
    found = npm("test")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "# fail 0" in found.stdout or "fail 0" in found.stdout


WAYS = {"deit": DEIT, "bilinear": BILINEAR, "squashed": SQUASHED, "hamming": HAMMING}


def noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def prepared_by_the_device() -> dict[tuple[str, tuple[int, int]], NDArray[np.float32]]:
    """The inputs of all pictures, made one after the other: starting node takes longer than each."""
    cases = [(name, size) for name in WAYS for size in SIZES]
    heads = [{"width": width, "height": height, "how": documents.plain(WAYS[name])} for name, (width, height) in cases]
    pixels = b"".join(np.dstack([noise(*size), np.full(size[::-1], 255, np.uint8)]).tobytes() for _, size in cases)
    script = DEVICE / "tests" / "preprocess_stdin.js"
    given = json.dumps(heads).encode() + b"\n" + pixels
    told = subprocess.run(["node", script], input=given, capture_output=True, check=True).stdout
    found, start = {}, 0
    for name, size in cases:
        crop = WAYS[name].crop
        end = start + 4 * 3 * crop * crop
        found[name, size] = np.frombuffer(told[start:end], "<f4").reshape(1, 3, crop, crop)
        start = end
    assert start == len(told)
    return found


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("size", SIZES)
def test_the_device_prepares_a_picture_bit_for_bit_as_the_server(
    size: tuple[int, int], name: str, prepared_by_the_device: dict[tuple[str, tuple[int, int]], NDArray[np.float32]]
) -> None:
    ours = preprocess.preprocess(Image.fromarray(noise(*size)), WAYS[name])
    assert np.array_equal(prepared_by_the_device[name, size], ours)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of the project as fetches what browsers run, with an older fetch in it."""
    (tmp_path / "device" / "node_modules").mkdir(parents=True)
    (tmp_path / "device" / "node_modules" / "older").touch()
    (tmp_path / "web").mkdir()
    needed = ("Makefile", "web/__init__.py", "web/runtimes.py")
    for name in (*needed, "device/package.json", "device/package-lock.json", "device/.npmrc"):
        shutil.copyfile(PROJECT / name, tmp_path / name)
    return tmp_path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With a registry that is out of reach, and nothing in npm's cache."""
    environment = os.environ | {
        "npm_config_registry": "http://127.0.0.1:9",
        "npm_config_cache": str(checkout / "npm"),
        "MAKEFLAGS": "",
    }
    return subprocess.run(
        ["make", *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def test_a_fetch_that_fails_leaves_what_browsers_have(checkout: Path) -> None:
    found = make(checkout, "client")
    assert found.returncode == 0, found.stderr
    assert "npm could not fetch what browsers need now" in found.stdout
    assert [path.name for path in (checkout / "device" / "node_modules").iterdir()] == ["older"]
    assert not (checkout / ".cache" / "client").exists()


def test_only_another_lock_file_is_fetched_anew(checkout: Path) -> None:
    lock = checkout / "device" / "package-lock.json"
    stamp = make(checkout, "--silent", "--eval=stamp: ; @echo $(CLIENT)", "stamp").stdout.strip()
    (checkout / stamp).touch()
    lock.touch()
    assert make(checkout, "--question", "client").returncode == 0
    lock.write_text(lock.read_text() + "\n")
    assert make(checkout, "--question", "client").returncode == 1


def test_one_version_of_the_runtime_is_named_everywhere() -> None:
    pinned = json.loads((DEVICE / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    named = {runtime.version for runtime in FORMATS["onnx"].runtimes if runtime.name == "ONNX Runtime Web"}
    assert named == {pinned}


def test_the_lock_names_no_registry_and_checks_everything() -> None:
    lock = json.loads((DEVICE / "package-lock.json").read_text())
    packages = {name: found for name, found in lock["packages"].items() if name}
    assert packages
    assert all(found["integrity"].startswith("sha512-") for found in packages.values())
    assert not any("resolved" in found for found in packages.values())


def test_what_ships_is_what_this_version_builds(tmp_path: Path) -> None:
    """Else no visitor would get it: run python -m deploy_core.training.ship."""
    store = Store(Settings(home=tmp_path))
    store.adopt(embedded.ARTIFACTS)
    store.adopt(embedded.ARTIFACTS)
    request = BuildRequest("demo", "pretrained", ("onnx_int8",))
    stored = store.find(request)["onnx_int8"]
    with store.reading(stored.key) as sound:
        assert not sound.artifact.disagrees


def test_what_was_shipped_by_another_version_is_left_out(tmp_path: Path) -> None:
    (shipped,) = embedded.ARTIFACTS.iterdir()
    shutil.copytree(shipped, tmp_path / "old" / f"{shipped.name[:-4]}0000")
    store = Store(Settings(home=tmp_path / "home"))
    store.adopt(tmp_path / "old")
    assert store.entries() == []

"""Loading weights from the Hub, with a small server that speaks its protocol."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants
from safetensors.torch import save_file

from deploy_core import embedded
from deploy_core.cli.main import main
from deploy_core.models import load
from deploy_core.settings import Settings

MODEL = "deit_tiny_patch16_224"
PATH = f"/timm/{MODEL}.fb_in1k/resolve/main/model.safetensors"
PICTURE = embedded.SAMPLES / "zebra.jpg"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    module = load.load(MODEL, "random", Settings()).module
    save_file({key: value * 3 for key, value in module.state_dict().items()}, path)
    return path


@pytest.fixture
def mirror(weights: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    data = weights.read_bytes()
    digest = hashlib.sha256(data).hexdigest()

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, with_body: bool) -> None:
            found = self.path == PATH
            self.send_response(200 if found else 404)
            body = data if found else b"Entry not found"
            if found:
                self.send_header("ETag", f'"{digest}"')
                self.send_header("X-Repo-Commit", "0123456789abcdef0123456789abcdef01234567")
            else:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body if not self.server.breaks_off else body[:100_000])  # type: ignore[attr-defined]

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.breaks_off = getattr(request, "param", False)  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def classify(environment: dict[str, str], model: str = MODEL) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy_core", "classify", str(PICTURE), "--model", model, "--json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_weights_come_from_a_mirror_with_progress_and_then_from_the_cache(
    mirror: str, weights: Path, environment: dict[str, str]
) -> None:
    first = classify(environment | {"HF_ENDPOINT": mirror})
    assert first.returncode == 0, first.stderr
    assert "Downloading timm/deit_tiny_patch16_224.fb_in1k: 23 of 23 MB" in first.stderr
    expected = classify_with(weights)
    assert json.loads(first.stdout)["top"] == expected

    offline = classify(environment | {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": mirror})
    assert offline.returncode == 0, offline.stderr
    assert "Downloading" not in offline.stderr
    assert json.loads(offline.stdout)["top"] == expected


def classify_with(checkpoint: Path) -> object:
    import dataclasses

    from deploy_core.inference import classify

    prediction = classify.open_model(MODEL, str(checkpoint), Settings()).classify(str(PICTURE), Settings())
    return json.loads(json.dumps(dataclasses.asdict(prediction)))["top"]


def refused(capfd: pytest.CaptureFixture[str], model: str = MODEL) -> str:
    """What goes to standard error, and nothing to standard output."""
    assert main(["classify", str(PICTURE), "--model", model, "--json"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ENDPOINT", "http://127.0.0.1:9", "The Hub at 127.0.0.1:9 cannot be reached from here."),
        ("HF_HUB_OFFLINE", True, "HF_HUB_OFFLINE forbids a download."),
    ],
)
def test_without_a_hub_the_error_comes_soon_and_names_the_ways_out(
    name: str,
    value: object,
    words: str,
    at_hub: Callable[[str], None],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, name, value)
    started = time.monotonic()
    line = refused(capfd)
    assert time.monotonic() - started < 20
    assert words in line
    assert "'demo'" in line
    assert "HF_ENDPOINT" in line
    assert "checkpoint file" in line
    assert line.strip().count("\n") == 0


def test_a_mirror_without_the_model_is_reported(
    mirror: str, at_hub: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    at_hub(mirror)
    line = refused(capfd, "deit_small_patch16_224")
    assert "does not provide timm/deit_small_patch16_224.fb_in1k (status 404)" in line


@pytest.mark.parametrize("mirror", [True], indirect=True)
def test_a_download_that_fails_is_reported(
    mirror: str, at_hub: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    at_hub(mirror)
    assert "The download of timm/deit_tiny_patch16_224.fb_in1k failed" in refused(capfd)

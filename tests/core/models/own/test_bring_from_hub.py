"""Own models from the Hub, with a small server that speaks its protocol."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save

from deploy_core.cli.main import main
from deploy_core.models import load
from tests.own_model import LABELS, SHAPE, TRAINED, state

CONFIG = {
    "architecture": "deit_tiny_patch16_224",
    "num_classes": 3,
    "label_names": list(LABELS),
    # None of this may be used.
    "model_args": {"img_size": 999, "no_such_option": "__import__('os').system('true')"}
    | {"embed_dim": 64, "depth": 2, "num_heads": 1, "patch_size": 8},
    "pretrained_cfg": TRAINED,
}


class Hub(ThreadingHTTPServer):
    def __init__(self, files: dict[str, bytes], announced: int | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.announced = files, announced
        self.asked: list[tuple[str, str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        name = self.path.rsplit("/", 1)[-1]
        self.server.asked.append((self.command, name, self.headers.get("Authorization")))
        found = self.server.files.get(name) if self.path.startswith("/somebody/pets/resolve/main/") else None
        self.send_response(404 if found is None else 200)
        if found is None:
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
        else:
            self.send_header("ETag", f'"{hashlib.sha256(found).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0123456789abcdef0123456789abcdef01234567")
            size = self.server.announced if self.server.announced and name != "config.json" else len(found)
            self.send_header("Content-Length", str(size))
        self.end_headers()
        if with_body and found:
            self.wfile.write(found)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    changes: dict[str, Any] = getattr(request, "param", {})
    files = {"config.json": json.dumps(CONFIG | changes.get("config", {})).encode(), "model.safetensors": save(state())}
    for name in changes.get("without", ()):
        del files[name]
    with Hub(files, changes.get("announced")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def bring(hub: Hub, environment: dict[str, str], folder: Path, name: str = "hf-hub:somebody/pets") -> Any:
    # A token of the host. It must not be sent for a visitor's repository.
    more = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_of_the_host"}
    command = [sys.executable, "-m", "deploy_core", "import", name, "--out", str(folder), "--json"]
    return subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=120, check=False)


def test_a_model_from_the_hub_brings_its_labels_and_preprocessing(
    hub: Hub, environment: dict[str, str], tmp_path: Path
) -> None:
    finished = bring(hub, environment, tmp_path / "models")
    assert finished.returncode == 0, finished.stderr
    spec = load.find(json.loads(finished.stdout)["file"])
    assert (spec.name, spec.own_labels, spec.architecture) == ("pets", LABELS, replace(SHAPE, family="deit"))
    assert (spec.preprocessing.resize, spec.preprocessing.mean) == (40, (0.1, 0.2, 0.3))
    assert {token for *_, token in hub.asked} == {None}
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["pets.safetensors"]


@pytest.mark.parametrize(
    "hub",
    [{"config": {"pretrained_cfg": TRAINED | {"crop_mode": "squash", "interpolation": "hamming", "crop_pct": 0.9}}}],
    indirect=True,
)
def test_a_model_that_was_trained_on_squashed_pictures_gets_squashed_pictures(
    hub: Hub, at_hub: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_hub(hub.url)
    assert main(["import", "hf-hub:somebody/pets", "--out", str(tmp_path / "models"), "--json"]) == 0
    how = load.find(json.loads(capsys.readouterr().out)["file"]).preprocessing
    assert (how.resize, how.crop, how.crop_mode, how.interpolation) == (35, 32, "squash", "hamming")


@pytest.mark.parametrize(
    ("hub", "name", "words"),
    [
        ({"announced": 10**12}, "hf-hub:somebody/pets", "model.safetensors of somebody/pets has 1000000 MB"),
        (
            {"config": {"architecture": "resnet50"}},
            "hf-hub:somebody/pets",
            "is 'resnet50', which is no plain ViT of timm",
        ),
        ({"without": ["model.safetensors"]}, "hf-hub:somebody/pets", "holds none of model.safetensors"),
        ({}, "hf-hub:../../etc/passwd", "not the name of a model on the Hub"),
    ],
    indirect=["hub"],
)
def test_what_is_not_taken_is_refused_before_it_is_downloaded(
    hub: Hub,
    name: str,
    words: str,
    at_hub: Callable[[str], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at_hub(hub.url)
    assert main(["import", name, "--out", str(tmp_path / "models"), "--json"]) == 2
    assert words in capsys.readouterr().err
    assert ("GET", "model.safetensors") not in {(method, file) for method, file, _ in hub.asked}

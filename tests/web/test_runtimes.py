"""The runtimes for browsers, fetched by a stand-in for npm."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

import streamlit_app
from pages.device import client
from tests.conftest import PROJECT
from web import runtimes

NPM = """#!/bin/sh
test -f package-lock.json -a -f package.json || exit 9
mkdir -p {folders}
for file in {files}; do echo '{{"name": "a", "version": "1"}}' > "$file"; done
echo "$@" > node_modules/asked
"""
FILES = [
    f"node_modules/{served.removeprefix('node_modules/').replace('*', 'x.wasm')}"
    for served in (*client.SERVED, *client.RUNTIMES)
    if served.startswith("node_modules")
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without runtimes, and a folder of commands with npm's stand-in."""
    shutil.copytree(PROJECT / "device", tmp_path / "device", ignore=shutil.ignore_patterns("node_modules"))
    monkeypatch.setattr(client, "FOLDER", tmp_path / "device")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    folders = " ".join(sorted({str(Path(file).parent) for file in FILES}))
    npm(tmp_path, NPM.format(folders=folders, files=" ".join(FILES)))
    return tmp_path


def npm(project: Path, script: str) -> None:
    (project / "bin").mkdir(exist_ok=True)
    (project / "bin" / "npm").write_text(script)
    (project / "bin" / "npm").chmod(0o755)


def test_the_app_fetches_them_at_its_start(project: Path) -> None:
    assert client.runtime() is None
    streamlit_app.fetch_runtimes()
    assert client.runtime() == "a 1, a 1"
    modules = project / "device" / "node_modules"
    assert "ci" in (modules / "asked").read_text()
    assert "--omit=dev" in (modules / "asked").read_text()
    packed = next(modules.glob("onnxruntime-web/dist/*.wasm.gz"))
    assert gzip.decompress(packed.read_bytes()) == packed.with_suffix("").read_bytes()
    assert not (project / ".cache" / "client").exists()


def test_without_npm_the_app_goes_on(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project / "nothing"))
    streamlit_app.fetch_runtimes()
    assert client.runtime() is None


def test_a_fetch_that_fails_keeps_the_old_ones(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    (project / "device" / "node_modules").mkdir()
    (project / "device" / "node_modules" / "older").touch()
    npm(project, "#!/bin/sh\nexit 1\n")
    with pytest.raises(subprocess.CalledProcessError):
        runtimes.fetch(project)
    streamlit_app.fetch_runtimes()
    assert "npm could not fetch the runtimes for browsers" in caplog.text
    assert [path.name for path in (project / "device" / "node_modules").iterdir()] == ["older"]

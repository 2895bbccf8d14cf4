"""The real server, as `make run` starts it, in a folder of its own and without a Hub."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from playwright.sync_api import ViewportSize

PROJECT = Path(__file__).parents[2]
START_SECONDS = 60
# Playwright counts in milliseconds.
SECONDS = 1000
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1360, "height": 900}


@dataclass(frozen=True)
class Server:
    """A running app: its address in a browser, its process, and where it keeps everything."""

    address: str
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def wrote_after(self, moment: float) -> bool:
        """Whether its log grew after this time, in seconds since 1970."""
        return (self.folder / "log").stat().st_mtime >= moment


# Every app that this process of pytest started, for the report of a failed test.
STARTED: list[Server] = []


@contextmanager
def serving(
    folder: Path,
    script: Path = PROJECT / "streamlit_app.py",
    base_path: str = "",
    settings: Mapping[str, str] | None = None,
    open_files: int | None = None,
) -> Iterator[Server]:
    """An app that keeps everything in ``folder``; its addresses begin with ``base_path``, as in ``/deit``.

    ``settings`` are environment variables beside the usual ones, ``open_files`` what the system lets it open.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "DEIT_DEPLOY_HOME": str(folder / "home"),
        "HF_HOME": str(folder / "hf"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "MALLOC_ARENA_MAX": "2",
        **(settings or {}),
    }
    command = ["prlimit", f"--nofile={open_files}:{open_files}"] if open_files else []
    command += [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    command += ["--server.headless", "true", "--server.address", "127.0.0.1", "--server.baseUrlPath", base_path]
    with (folder / "log").open("wb") as log:
        # In a session of its own, as a service is: Linux shares the processor between it and the tests' browser evenly.
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}{base_path}"
        server = Server(address, process, folder)
        STARTED.append(server)
        _wait_for(f"{address}/_stcore/health")
        yield server
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def serving_soundly(folder: Path) -> Iterator[Server]:
    """An app whose log holds no traceback at its end."""
    with serving(folder) as server:
        yield server
    assert "Traceback" not in server.log


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer within {START_SECONDS} seconds")

"""A home belongs to one app at a time, and is free again when that app has ended, however it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy_core.errors import HomeInUse, StorageFailed
from deploy_core.settings import Settings
from deploy_core.storage import home as homes
from tests.conftest import PROJECT

HOLD = """
import time
from deploy_core import settings
from deploy_core.storage import home
with home.held(settings.load()):
    print("held", flush=True)
    time.sleep(100)
"""


def test_the_second_is_told_who_holds_it(limits: Settings) -> None:
    with homes.held(limits), pytest.raises(HomeInUse) as refused, homes.held(limits):
        pytest.fail("it was held twice")
    assert refused.value.problem.startswith(f"{limits.home} is in use by another app (process {os.getpid()}, since 20")
    with homes.held(limits):
        pass


def test_an_app_that_was_killed_holds_nothing(limits: Settings, environment: dict[str, str]) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD], env=environment, stdout=subprocess.PIPE)
    assert holder.stdout
    with holder.stdout:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeInUse, match=f"process {holder.pid}"), homes.held(limits):
            pytest.fail("it was held twice")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with homes.held(limits):
        pass


def test_a_home_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="cannot be written"), homes.held(Settings(home=tmp_path / "file")):
        pytest.fail("a file was held")


def test_a_second_app_on_one_home_ends_with_status_2(limits: Settings, environment: dict[str, str]) -> None:
    theirs = limits.home / "visitors" / ("0" * 32)
    theirs.mkdir(parents=True)
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", "0"]
    with homes.held(limits):
        started = time.monotonic()
        found = subprocess.run(
            [*command, "--server.headless", "true", "--server.address", "127.0.0.1"],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert time.monotonic() - started < 30
    assert found.returncode == 2
    assert found.stderr.splitlines()[-1].startswith(f"deit_deploy: {limits.home} is in use by another app (process ")
    assert theirs.is_dir()

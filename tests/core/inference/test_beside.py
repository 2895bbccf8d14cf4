"""Files that a second process checks while the first converts."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy_core import build
from deploy_core.formats import FORMATS, Format, Workbench, in_build_order
from deploy_core.inference import beside
from deploy_core.models import load
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest, BuildResult, Event

TWO_CORES = Settings(cpu_threads=2)


@pytest.fixture
def request_(pets: Path, monkeypatch: pytest.MonkeyPatch) -> BuildRequest:
    monkeypatch.setattr(beside, "LEAST_EFFORT", 0.0)
    return BuildRequest(str(pets), "pretrained", ("scripted", "quantized"))


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[None]:
    yield
    assert children() == []


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children() if "deploy_core.worker.main" in child.cmdline()]


def on_converting(monkeypatch: pytest.MonkeyPatch, key: str, then: Callable[[], object]) -> None:
    """Does something when the format ``key`` is converted."""
    row = FORMATS[key]

    def convert(bench: Workbench) -> Any:
        then()
        return row.convert(bench)

    monkeypatch.setitem(FORMATS, key, dataclasses.replace(row, convert=convert))


def test_the_result_is_that_of_one_process(request_: BuildRequest, tmp_path: Path) -> None:
    events: list[Event] = []
    two = build.build_into(tmp_path / "two", request_, TWO_CORES, events.append)
    one = build.build_into(tmp_path / "one", request_, Settings(cpu_threads=1))
    assert untimed(two) == untimed(one)
    assert [artifact.format for artifact in two.artifacts] == ["original", "scripted", "quantized"]
    fractions = [event.fraction for event in events]
    assert fractions == sorted(set(fractions))
    told = [event.message for event in events]
    # A phone's file is first, and it is done before the next is made.
    assert told[1:4] == ["Building Scripted", "Checking Scripted", "Building Original"]
    assert told[-1] == "Done"


def untimed(result: BuildResult) -> list[tuple[str, str, int]]:
    return [(one.format, one.sha256, one.proof.pictures if one.proof else 0) for one in result.artifacts]


def test_where_the_second_process_is_killed_one_format_is_told_and_the_others_go_on(
    request_: BuildRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = beside.Beside.begin

    def begin(checks: beside.Beside, row: Format, path: Path, is_alone: bool) -> None:
        if row.key != "original":
            usual(checks, row, path, is_alone)
            return
        processes = children()
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        usual(checks, row, path, is_alone)
        # By now the process, which stands still, has been asked.
        time.sleep(1)
        for pid in processes:
            os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(beside.Beside, "begin", begin)
    result = build.build_into(tmp_path, request_, TWO_CORES)
    assert [artifact.format for artifact in result.artifacts] == ["scripted", "quantized"]
    (lost,) = result.unbuilt
    assert lost.format == "original"
    assert "The checking process ran out of memory or was killed" in lost.reason


def test_a_build_that_is_stopped_takes_the_second_process_with_it(
    request_: BuildRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    on_converting(monkeypatch, "quantized", stop)
    with pytest.raises(KeyboardInterrupt):
        build.build_into(tmp_path, request_, TWO_CORES)
    started = time.monotonic()
    while children() and time.monotonic() < started + 2:
        time.sleep(0.05)
    assert children() == []


def rows(*keys: str) -> tuple[Format, ...]:
    return in_build_order(keys)


def test_a_second_process_needs_cores_memory_and_something_to_do_meanwhile() -> None:
    spec = load.find("deit_base_patch16_224")
    enough = dataclasses.replace(TWO_CORES, memory_bytes=16 * 10**9)
    assert beside.is_worth_it(spec, rows("executorch"), enough)
    assert not beside.is_worth_it(spec, rows("lite", "scripted"), enough)
    assert not beside.is_worth_it(spec, rows("executorch"), dataclasses.replace(enough, cpu_threads=1))
    assert not beside.is_worth_it(spec, rows("executorch"), dataclasses.replace(enough, memory_bytes=4 * 10**9))

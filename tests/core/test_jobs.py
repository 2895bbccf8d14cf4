from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy_core import build
from deploy_core.jobs import Job, Jobs, State
from deploy_core.settings import Settings
from deploy_core.types import BuildRequest

REQUEST = dataclasses.asdict(BuildRequest("demo", "pretrained", ("scripted",)))


@pytest.fixture
def jobs(limits: Settings) -> Iterator[Jobs]:
    made = Jobs(limits)
    yield made
    made.close()


def request(folder: Path, **changes: Any) -> dict[str, Any]:
    return REQUEST | {"folder": str(folder)} | changes


def until(look: Callable[[], Job | None], *states: State, seconds: float = 60) -> Job:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = look()
        if job is not None and job.state in states:
            return job
        time.sleep(0.02)
    raise AssertionError(f"still {look()}")


def test_a_build_and_then_its_profile_run_in_the_order_they_came(jobs: Jobs, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    building = jobs.submit("build", "x", request(folder))
    profiling = jobs.submit("profile", "x", {"folder": str(folder), "build": None, "repeats": 1, "threads": 1})
    waiting = jobs.look(profiling)
    assert waiting is not None
    assert (waiting.state, waiting.ahead) == (State.WAITING, 1)
    assert until(lambda: jobs.look(profiling), State.DONE, State.FAILED).state is State.DONE
    done = jobs.look(building)
    assert done is not None
    assert done.state is State.DONE
    assert build.read_result(folder).model == "demo"
    assert (folder / "profile.json").exists()


def test_the_same_work_asked_for_twice_is_one_job(jobs: Jobs, tmp_path: Path) -> None:
    first = jobs.submit("build", "x", request(tmp_path))
    second = jobs.submit("build", "x", request(tmp_path))
    assert first == second
    jobs.cancel(first)
    assert until(lambda: jobs.look(first), State.CANCELLED, seconds=2)


def test_cancel_ends_a_running_and_a_waiting_job_and_leaves_nothing(jobs: Jobs, tmp_path: Path) -> None:
    running = jobs.submit("build", "a", request(tmp_path / "a", model="deit_small_patch16_224", weights="random"))
    waiting = jobs.submit("build", "b", request(tmp_path / "b"))
    until(lambda: jobs.look(running), State.RUNNING)
    deadline = time.monotonic() + 30
    while not list((tmp_path / "a").glob(".*.part")) and time.monotonic() < deadline:
        time.sleep(0.01)
    jobs.cancel(waiting)
    jobs.cancel(running)
    after = jobs.submit("build", "c", request(tmp_path / "c"))
    assert until(lambda: jobs.look(after), State.DONE, State.FAILED).state is State.DONE
    for name in (running, waiting):
        job = jobs.look(name)
        assert job is not None
        assert job.state is State.CANCELLED
    assert not list((tmp_path / "a").glob(".*.part"))
    assert not (tmp_path / "a" / build.MANIFEST).exists()
    assert not (tmp_path / "b").exists()


def test_a_mistake_is_told_in_its_own_words(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.submit("build", "x", request(tmp_path, engine="cuda"))
    job = until(lambda: jobs.look(name), State.FAILED)
    assert job.error is not None
    assert "engine 'cuda' is not available" in job.error.problem


def test_a_killed_worker_is_told_and_the_next_job_runs(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.submit("build", "x", request(tmp_path / "x"))
    until(lambda: jobs.look(name), State.RUNNING)
    process = None
    while process is None:
        time.sleep(0.01)
        process = jobs._attempts[name].process
    os.kill(process.pid, signal.SIGKILL)
    job = until(lambda: jobs.look(name), State.FAILED)
    assert job.error is not None
    assert "The worker was killed" in job.error.problem
    again = jobs.submit("build", "x", request(tmp_path / "x"))
    assert until(lambda: jobs.look(again), State.DONE, State.FAILED).state is State.DONE


def test_an_unknown_name_is_no_job(jobs: Jobs) -> None:
    assert jobs.look("build-nothing") is None
    jobs.cancel("build-nothing")


def test_a_job_asked_for_again_right_after_it_was_cancelled_runs(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.submit("build", "x", request(tmp_path / "x"))
    until(lambda: jobs.look(name), State.RUNNING)
    jobs.cancel(name)
    assert jobs.submit("build", "x", request(tmp_path / "x")) == name
    assert until(lambda: jobs.look(name), State.DONE, State.FAILED).state is State.DONE


def test_a_worker_ends_with_whoever_started_it(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "request.json").write_text('{"kind": "build", "request": {}}')
    slow = "import time, sys; from pathlib import Path; from deploy_core import worker; "
    slow += "worker.JOBS['build'] = lambda *_: time.sleep(60); worker.main(Path(sys.argv[1]))"
    started = time.monotonic()
    command = [sys.executable, "-c", slow, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)
    assert time.monotonic() - started < 30

"""The queue and the process behind it: small stages for the combinations, a real build for one of each."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy_core import documents
from deploy_core.build import Build
from deploy_core.errors import InvalidRequest, JobCancelled, JobFailed, QueueFull
from deploy_core.files import make_folder
from deploy_core.processes.job import Job, State
from deploy_core.processes.jobs import Jobs
from deploy_core.processes.local import WorkerProcess
from deploy_core.settings import Settings
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest, Event
from tests.core.processes.fake_worker import AloneStages, Passed, Stages, Threads

STAGES = ["Loading", "Exporting", "Checking"]
FAKE = "tests.core.processes.fake_worker"


class Gates:
    """What the stages wait for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def open(self, *stages: str) -> None:
        for stage in stages:
            (self.folder / stage).touch()

    def task(self, name: str = "", **more: Any) -> Stages:
        return Stages(tuple(STAGES), str(self.folder), name, **more)


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    return Gates(tmp_path / "gates")


@pytest.fixture
def process(limits: Settings) -> WorkerProcess:
    return WorkerProcess("worker", limits, module=FAKE)


@pytest.fixture
def jobs(limits: Settings, process: WorkerProcess) -> Iterator[Jobs]:
    made = Jobs(limits, [process])
    yield made
    made.close()


def until(look: Callable[[], Job | None], *states: State, stage: str = "", seconds: float = 60) -> Job:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = look()
        if job is not None and job.state in states and job.stage.startswith(stage):
            return job
        time.sleep(0.01)
    raise AssertionError(f"still {look()}")


def finished(jobs: Jobs, name: str) -> Job:
    return until(lambda: jobs.look(name), State.DONE, State.FAILED)


def test_jobs_run_in_the_order_they_came_and_tell_their_place(jobs: Jobs, gates: Gates) -> None:
    names = [jobs.submit(gates.task(name)) for name in "abc"]
    until(lambda: jobs.look(names[0]), State.RUNNING, stage="Loading")
    looks = [jobs.look(name) for name in names]
    assert [(job.state, job.ahead) for job in looks if job] == [
        (State.RUNNING, 0),
        (State.WAITING, 1),
        (State.WAITING, 2),
    ]
    gates.open(*STAGES)
    done = finished(jobs, names[2])
    assert (done.state, done.fraction, done.result) == (State.DONE, 1.0, Passed(tuple(STAGES), 0))
    assert [job.state for name in names if (job := jobs.look(name))] == [State.DONE] * 3


@pytest.fixture
def pair(limits: Settings) -> Iterator[Jobs]:
    """A queue that does two jobs at once."""
    made = Jobs(limits, [WorkerProcess("worker", limits, module=FAKE) for _ in range(2)])
    yield made
    made.close()


def places(jobs: Jobs, *names: str) -> list[tuple[State, int]]:
    return [(job.state, job.ahead) for name in names if (job := jobs.look(name))]


def test_two_at_once_run_beside_each_other_and_the_third_waits_for_either(pair: Jobs, tmp_path: Path) -> None:
    ways = [Gates(tmp_path / "ways" / name) for name in "abc"]
    names = [pair.submit(gates.task()) for gates in ways]
    for name in names[:2]:
        until(partial(pair.look, name), State.RUNNING, stage="Loading")
    assert places(pair, *names) == [(State.RUNNING, 0), (State.RUNNING, 0), (State.WAITING, 2)]
    ways[1].open(*STAGES)
    assert finished(pair, names[1]).state is State.DONE
    until(lambda: pair.look(names[2]), State.RUNNING, stage="Loading")
    assert places(pair, names[0]) == [(State.RUNNING, 0)]


def test_a_profile_waits_until_it_is_alone_and_nothing_overtakes_it(pair: Jobs, tmp_path: Path) -> None:
    before, measured, after = (Gates(tmp_path / "ways" / name) for name in "abc")
    names = [
        pair.submit(before.task()),
        pair.submit(AloneStages(tuple(STAGES), str(measured.folder))),
        pair.submit(after.task()),
    ]
    until(lambda: pair.look(names[0]), State.RUNNING, stage="Loading")
    assert places(pair, *names) == [(State.RUNNING, 0), (State.WAITING, 1), (State.WAITING, 2)]
    before.open(*STAGES)
    until(lambda: pair.look(names[1]), State.RUNNING, stage="Loading")
    assert places(pair, names[2]) == [(State.WAITING, 1)]
    measured.open(*STAGES)
    until(lambda: pair.look(names[2]), State.RUNNING, stage="Loading")


def test_a_profile_that_is_cancelled_while_it_waits_lets_the_next_one_begin(pair: Jobs, tmp_path: Path) -> None:
    ways = [Gates(tmp_path / "ways" / name) for name in "abc"]
    pair.submit(ways[0].task())
    waiting = pair.submit(AloneStages(tuple(STAGES), str(ways[1].folder)))
    last = pair.submit(ways[2].task())
    pair.cancel(waiting)
    until(lambda: pair.look(last), State.RUNNING, stage="Loading")


def test_what_a_failed_job_left_is_removed_when_nothing_else_is_being_written(limits: Settings, tmp_path: Path) -> None:
    cleaned: list[str] = []
    pair = Jobs(limits, [WorkerProcess("worker", limits, module=FAKE) for _ in range(2)], lambda: cleaned.append(""))
    cleaned.clear()
    failing, good = Gates(tmp_path / "ways" / "a"), Gates(tmp_path / "ways" / "b")
    failing.open(*STAGES)
    second = pair.submit(good.task())
    first = pair.submit(failing.task(bug=True))
    assert finished(pair, first).state is State.FAILED
    assert cleaned == []
    good.open(*STAGES)
    assert finished(pair, second).state is State.DONE
    assert cleaned == [""]
    pair.close()


def test_a_visitors_jobs_end_with_the_visitor_and_the_others_go_on(jobs: Jobs, gates: Gates) -> None:
    owner = "0123456789abcdef" * 2
    theirs = [jobs.submit(gates.task(f"/home/visitors/{owner}/{name}.safetensors")) for name in "ab"]
    other = jobs.submit(gates.task("demo"))
    until(lambda: jobs.look(theirs[0]), State.RUNNING, stage="Loading")
    attempt = jobs._attempts[theirs[0]]
    jobs.cancel_all(owner)
    assert attempt.future.done()
    assert [job.state for name in theirs if (job := jobs.look(name))] == [State.CANCELLED] * 2
    until(lambda: jobs.look(other), State.RUNNING, stage="Loading")


def test_the_same_work_asked_for_twice_is_one_job(jobs: Jobs, gates: Gates) -> None:
    assert jobs.submit(gates.task()) == jobs.submit(gates.task())
    assert jobs.submit(gates.task()) != jobs.submit(gates.task("other"))


@pytest.mark.parametrize("stage", STAGES)
def test_cancel_in_each_stage_takes_less_than_two_seconds_and_the_next_job_runs(
    stage: str, jobs: Jobs, gates: Gates, process: WorkerProcess
) -> None:
    gates.open(*STAGES[: STAGES.index(stage)])
    name = jobs.submit(gates.task())
    until(lambda: jobs.look(name), State.RUNNING, stage=stage)
    before, started = process.process_id, time.monotonic()
    jobs.cancel(name)
    until(lambda: jobs.look(name), State.CANCELLED)
    while before is not None and _lives(before):
        assert time.monotonic() - started < 2
        time.sleep(0.01)
    gates.open(*STAGES)
    assert finished(jobs, jobs.submit(gates.task())).state is State.DONE


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_killed_in_each_stage_is_told_and_the_next_job_runs(
    stage: str, jobs: Jobs, gates: Gates, process: WorkerProcess
) -> None:
    gates.open(*STAGES[: STAGES.index(stage)])
    name = jobs.submit(gates.task())
    until(lambda: jobs.look(name), State.RUNNING, stage=stage)
    assert process.process_id is not None
    os.kill(process.process_id, signal.SIGKILL)
    job = finished(jobs, name)
    assert job.error is not None
    assert job.error.problem == f"The worker ran out of memory or was killed while {stage.lower()}."
    gates.open(*STAGES)
    assert finished(jobs, jobs.submit(gates.task())).state is State.DONE


def test_a_worker_that_dies_by_itself_is_told_otherwise(jobs: Jobs, gates: Gates, process: WorkerProcess) -> None:
    name = jobs.submit(gates.task())
    until(lambda: jobs.look(name), State.RUNNING, stage="Loading")
    assert process.process_id is not None
    os.kill(process.process_id, signal.SIGSEGV)
    job = finished(jobs, name)
    assert job.error is not None
    assert job.error.problem == "The worker ended without a result while loading."


def test_a_waiting_job_is_cancelled_without_ever_running(jobs: Jobs, gates: Gates) -> None:
    running, waiting = jobs.submit(gates.task("a")), jobs.submit(gates.task("b"))
    jobs.cancel(waiting)
    job = jobs.look(waiting)
    assert job is not None
    assert job.state is State.CANCELLED
    gates.open(*STAGES)
    assert finished(jobs, running).state is State.DONE


def test_a_job_asked_for_again_right_after_it_was_cancelled_runs(jobs: Jobs, gates: Gates) -> None:
    name = jobs.submit(gates.task())
    until(lambda: jobs.look(name), State.RUNNING)
    jobs.cancel(name)
    gates.open(*STAGES)
    assert jobs.submit(gates.task()) == name
    assert finished(jobs, name).state is State.DONE


def test_a_mistake_is_told_in_its_own_words_and_a_bug_in_ours(jobs: Jobs, gates: Gates) -> None:
    gates.open(*STAGES)
    mistake = finished(jobs, jobs.submit(gates.task(mistake="Mend it."))).error
    assert (mistake.problem, mistake.remedy) == ("A mistake.", "Mend it.") if mistake else False
    bug = finished(jobs, jobs.submit(gates.task(bug=True))).error
    assert bug is not None
    assert "log has the details" in bug.remedy


def test_twenty_different_jobs_are_more_than_the_queue_takes(
    limits: Settings, process: WorkerProcess, gates: Gates
) -> None:
    jobs = Jobs(dataclasses.replace(limits, waiting_jobs=7), [process])
    names = [jobs.submit(gates.task(str(number))) for number in range(8)]
    for number in range(8, 20):
        with pytest.raises(QueueFull, match="7 jobs wait already"):
            jobs.submit(gates.task(str(number)))
    assert jobs.submit(gates.task("0")) == names[0]
    gates.open(*STAGES)
    assert [finished(jobs, name).state for name in names] == [State.DONE] * 8
    jobs.submit(gates.task("late"))
    jobs.close()


def test_work_that_an_app_before_had_begun_is_told_after_a_restart(limits: Settings, gates: Gates) -> None:
    program = (
        "import sys, json, time; from deploy_core import settings; from deploy_core.processes.jobs import Jobs; "
        "from deploy_core.processes.local import WorkerProcess; limits = settings.load(); "
        "from tests.core.processes.fake_worker import Stages; "
        f"process = WorkerProcess('worker', limits, module={FAKE!r}); jobs = Jobs(limits, [process]); "
        "name = jobs.submit(Stages(**json.loads(sys.argv[1])))\n"
        "while not (jobs.look(name).stage): time.sleep(0.01)\n"
        "print(name, process.process_id, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, json.dumps(documents.plain(gates.task()))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        name, worker = app.stdout.readline().split()
        app.kill()
    deadline = time.monotonic() + 10
    while _lives(int(worker)):
        assert time.monotonic() < deadline, "the worker outlives the app"
        time.sleep(0.02)
    cleaned: list[bool] = []
    jobs = Jobs(limits, [WorkerProcess("worker", limits, module=FAKE)], lambda: cleaned.append(True))
    job = jobs.look(name)
    assert job is not None
    assert job.error is not None
    assert "restarted before this was done" in job.error.problem
    assert cleaned
    gates.open(*STAGES)
    assert finished(jobs, jobs.submit(gates.task())).state is State.DONE
    jobs.close()
    after = Jobs(limits, [WorkerProcess("worker", limits, module=FAKE)])
    assert after.look(name) is None
    after.close()


def test_the_estimate_is_the_pace_so_far_and_says_nothing_where_it_knows_nothing(
    limits: Settings, process: WorkerProcess, gates: Gates
) -> None:
    now = [1000.0]
    jobs = Jobs(limits, [process], clock=lambda: now[0])
    name = jobs.submit(gates.task())
    first = until(lambda: jobs.look(name), State.RUNNING, stage="Loading")
    assert first.remaining_seconds is None
    now[0] += 10
    gates.open("Loading")
    second = until(lambda: jobs.look(name), State.RUNNING, stage="Exporting")
    assert second.elapsed_seconds == 10
    assert second.remaining_seconds == pytest.approx(20)
    now[0] += 5
    third = jobs.look(name)
    assert third is not None
    assert third.remaining_seconds == pytest.approx(15)
    now[0] += 100
    late = jobs.look(name)
    assert late is not None
    assert late.remaining_seconds is None
    jobs.close()


def test_a_clock_that_jumps_changes_no_job(jobs: Jobs, gates: Gates, monkeypatch: pytest.MonkeyPatch) -> None:
    name = jobs.submit(gates.task())
    until(lambda: jobs.look(name), State.RUNNING, stage="Loading")
    monkeypatch.setattr(time, "time", lambda: -1e9)
    gates.open(*STAGES)
    job = finished(jobs, name)
    assert job.state is State.DONE


def test_an_unknown_name_is_no_job(jobs: Jobs) -> None:
    assert jobs.look("build-nothing") is None
    jobs.cancel("build-nothing")


def test_an_idle_worker_is_let_go_and_another_comes_when_there_is_work(limits: Settings, gates: Gates) -> None:
    process = WorkerProcess("worker", dataclasses.replace(limits, idle_seconds=0.1), module=FAKE)
    gates.open(*STAGES)
    handle = process.submit(gates.task())
    first = process.process_id
    assert [event.message for event in handle.events()] == STAGES
    deadline = time.monotonic() + 10
    while process.process_id is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert first is not None
    while _lives(first):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert process.submit(gates.task()).result().stages == tuple(STAGES)
    process.close()


def test_a_process_that_has_grown_is_replaced_before_its_next_task(limits: Settings, gates: Gates) -> None:
    gates.open(*STAGES)
    process = WorkerProcess("worker", limits, module=FAKE, most_bytes=1e6)
    process.submit(gates.task()).result()
    first = process.process_id
    process.submit(gates.task()).result()
    assert process.process_id != first
    process.close()


def test_one_process_does_one_task_after_the_other(process: WorkerProcess, gates: Gates) -> None:
    gates.open(*STAGES)
    process.submit(gates.task()).result()
    first = process.process_id
    answer = process.submit(gates.task(), blob=b"x" * 3_000_000).result()
    assert answer.blob == 3_000_000
    assert process.process_id == first
    process.close()


def test_the_threads_of_a_process_are_a_setting(limits: Settings) -> None:
    process = WorkerProcess("worker", dataclasses.replace(limits, cpu_threads=1), module=FAKE)
    assert process.submit(Threads()).result() == [1, 1]
    process.close()


def test_a_handle_tells_of_a_cancel_and_of_a_death(process: WorkerProcess, gates: Gates) -> None:
    handle = process.submit(gates.task())
    assert next(handle.events()) == Event("Loading", 0.0)
    handle.cancel()
    with pytest.raises(JobCancelled):
        handle.result()
    handle = process.submit(gates.task())
    assert process.process_id is not None
    os.kill(process.process_id, signal.SIGKILL)
    with pytest.raises(JobFailed, match="The worker ran out of memory or was killed"):
        handle.result()
    process.close()


def test_a_late_cancel_does_not_hit_the_next_task(process: WorkerProcess, gates: Gates) -> None:
    gates.open(*STAGES)
    first = process.submit(gates.task())
    first.result()
    second = process.submit(gates.task())
    first.cancel()
    assert second.result().stages == tuple(STAGES)
    process.close()


def test_an_error_keeps_its_kind(process: WorkerProcess, gates: Gates) -> None:
    gates.open(*STAGES)
    with pytest.raises(InvalidRequest, match="A mistake"):
        process.submit(gates.task(mistake="Mend it.")).result()
    process.close()


def test_a_real_build_killed_in_the_middle_leaves_nothing_half_made_and_is_built_next_time(
    pets: Path, limits: Settings
) -> None:
    model = make_folder(limits.home / "visitors" / ("a" * 32)) / pets.name
    shutil.copyfile(pets, model)
    request = BuildRequest(str(model), "pretrained", ("scripted",))
    store, process = Store(limits), WorkerProcess("worker", limits)
    jobs = Jobs(limits, [process], store.sweep)
    task = Build(request)
    name = jobs.submit(task)
    until(lambda: jobs.look(name), State.RUNNING, stage="Checking")
    assert process.process_id is not None
    os.kill(process.process_id, signal.SIGKILL)
    error = finished(jobs, name).error
    assert error is not None
    assert "killed while" in error.problem
    whole = store.find(request)
    assert "scripted" not in whole
    assert list(store.root.iterdir()) == [stored.folder for stored in whole.values()], "nothing half-made is left"
    job = finished(jobs, jobs.submit(task))
    assert job.state is State.DONE
    assert list(store.find(request)) == ["original", "scripted"]
    started = time.monotonic()
    assert finished(jobs, jobs.submit(task)).state is State.DONE
    assert time.monotonic() - started < 2, "what is built is not built again"
    jobs.close()


def _lives(process_id: int) -> bool:
    try:
        return (Path("/proc") / str(process_id) / "stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_cancelling_takes_back_ones_own_request_alone(jobs: Jobs, gates: Gates) -> None:
    name = jobs.submit(gates.task(), "anna")
    assert jobs.submit(gates.task(), "bert") == name
    assert jobs.join(name, "carl")
    until(lambda: jobs.look(name), State.RUNNING, stage="Loading")
    assert not jobs.cancel(name, "nobody")
    assert not jobs.cancel(name, "anna")
    assert not jobs.join(name, "anna")
    assert jobs.join(name, "bert")
    jobs.leave("bert")
    assert jobs.look(name).state is State.RUNNING  # type: ignore[union-attr]
    assert jobs.cancel(name, "carl")
    assert jobs.look(name).state is State.CANCELLED  # type: ignore[union-attr]


def test_who_asks_again_after_cancelling_waits_with_the_others(jobs: Jobs, gates: Gates) -> None:
    name = jobs.submit(gates.task(), "anna")
    jobs.submit(gates.task(), "bert")
    assert not jobs.cancel(name, "anna")
    assert jobs.submit(gates.task(), "anna") == name
    assert jobs.join(name, "anna")
    assert not jobs.cancel(name, "bert")
    gates.open(*STAGES)
    assert finished(jobs, name).state is State.DONE


def test_a_job_goes_on_when_everybody_has_left(jobs: Jobs, gates: Gates) -> None:
    name = jobs.submit(gates.task(), "anna")
    jobs.leave("anna")
    gates.open(*STAGES)
    assert finished(jobs, name).state is State.DONE


def test_a_visitor_has_a_few_places_and_leaves_room_for_others(limits: Settings, tmp_path: Path) -> None:
    few = dataclasses.replace(limits, visitor_jobs=3, waiting_jobs=5)
    jobs = Jobs(few, [WorkerProcess("worker", few, module=FAKE)])
    try:
        gates = Gates(tmp_path / "shut")
        names = [jobs.submit(gates.task(name), "anna") for name in "abc"]
        with pytest.raises(QueueFull, match="You have asked for 3 jobs that are not done"):
            jobs.submit(gates.task("d"), "anna")
        assert jobs.submit(gates.task("b"), "anna") == names[1]
        jobs.submit(gates.task("d"), "bert")
        assert jobs.cancel(names[2], "anna")
        jobs.submit(gates.task("e"), "anna")
        # To want what another has asked for takes no place.
        jobs.submit(gates.task("d"), "anna")
    finally:
        jobs.close()

"""A process that hangs, dies or is stopped: whoever waits has a sentence soon, and the next task finds another one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from deploy_core.errors import JobFailed, TookTooLong
from deploy_core.processes import child
from deploy_core.processes.local import WorkerProcess
from deploy_core.processes.task import WithBytes
from deploy_core.settings import Settings
from tests.core.processes.fake_worker import Environment, Hurt, Length, Reverse, StartChild

FAKE = "tests.core.processes.fake_worker"
# Above the pulse of the tests' process, and short, so that the tests are.
STUCK_SECONDS = 1.0
SENTENCE_SECONDS = 8.0


@pytest.fixture
def process(limits: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerProcess]:
    monkeypatch.setattr(child, "STUCK_SECONDS", STUCK_SECONDS)
    monkeypatch.setattr(child, "DOUBT_SECONDS", 0.3)
    made = WorkerProcess("worker", limits, module=FAKE)
    yield made
    made.close()


def answers(process: WorkerProcess) -> bool:
    return "PYTHONPATH" in process.submit(Environment()).result()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGSTOP, "stopped answering, and was replaced"),
        (signal.SIGKILL, "ran out of memory or was killed"),
        (signal.SIGSEGV, "ended without a result"),
    ],
)
def test_a_process_that_is_hurt_costs_one_sentence(process: WorkerProcess, number: int, words: str) -> None:
    process.start()
    started = time.monotonic()
    with pytest.raises(JobFailed, match=words):
        process.submit(Hurt(number)).result()
    assert time.monotonic() - started < SENTENCE_SECONDS
    assert answers(process)


@pytest.mark.parametrize("loops", [True, False], ids=["computes", "waits"])
def test_a_task_without_an_end_is_ended_at_its_deadline(process: WorkerProcess, loops: bool) -> None:
    started = time.monotonic()
    handle = process.submit(Hurt(loops=loops), 1.0)
    with pytest.raises(TookTooLong, match="took longer than 1 seconds"):
        handle.result()
    assert time.monotonic() - started < SENTENCE_SECONDS
    assert answers(process)


def test_a_process_that_only_waits_is_not_stuck(process: WorkerProcess) -> None:
    handle = process.submit(Hurt(), STUCK_SECONDS + 1)
    with pytest.raises(TookTooLong):
        handle.result()


def test_a_process_that_takes_nothing_in_holds_up_nobody(process: WorkerProcess) -> None:
    """More than a socket holds, for a process that is stopped before it reads."""
    process.start()
    while not answers(process):
        pass
    assert process.process_id
    psutil.Process(process.process_id).suspend()
    started = time.monotonic()
    handle = process.submit(Reverse(), blob=b"x" * 20_000_000)
    assert time.monotonic() - started < 1
    with pytest.raises(JobFailed, match="stopped answering"):
        handle.result()
    assert answers(process)


def test_a_stopped_process_is_ended_before_the_next_task(process: WorkerProcess) -> None:
    assert answers(process)
    assert process.process_id
    psutil.Process(process.process_id).suspend()
    deadline = time.monotonic() + SENTENCE_SECONDS
    stopped = process.process_id
    while psutil.pid_exists(stopped) and psutil.Process(stopped).status() != psutil.STATUS_ZOMBIE:
        process.end_if_stuck()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answers(process)
    assert process.process_id != stopped


def test_what_a_process_started_ends_with_it(process: WorkerProcess) -> None:
    handle = process.submit(StartChild())
    child = psutil.Process(int(next(handle.events()).message))
    child.suspend()
    handle.cancel()
    with pytest.raises(JobFailed):
        handle.result()
    assert psutil.wait_procs([child], 5)[0]


def test_bytes_come_back_beside_the_result(process: WorkerProcess) -> None:
    blob = bytes(range(256)) * 4000
    assert process.submit(Reverse(), blob=blob).result() == WithBytes(Length(len(blob)), blob[::-1])


def test_a_bare_process_knows_no_secret(limits: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    bare, usual = (WorkerProcess("worker", limits, module=FAKE, is_bare=is_bare) for is_bare in (True, False))
    try:
        known = bare.submit(Environment()).result()
        assert not [name for name, value in known.items() if "secret" in value]
        assert {"PATH", "PYTHONPATH", "DEIT_DEPLOY_HOME"} <= set(known)
        assert "HF_TOKEN" in usual.submit(Environment()).result()
    finally:
        bare.close()
        usual.close()

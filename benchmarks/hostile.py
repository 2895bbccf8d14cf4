"""Measures how much a stranger with the link can harm other visitors: the bars of docs/security.md.

python -m benchmarks.hostile    about ten minutes
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figure import Figure, together
from deploy_core import embedded, settings
from deploy_core.build import Build
from deploy_core.errors import DeployError, InvalidPicture
from deploy_core.models.own.corrections import Corrections
from deploy_core.pictures.pool import Decoders
from deploy_core.processes.job import FINISHED, Job
from deploy_core.processes.jobs import Jobs
from deploy_core.processes.local import WorkerProcess
from deploy_core.processes.task import Task
from deploy_core.profile.measure.build_and_measure import Profile
from deploy_core.settings import Settings
from deploy_core.storage.visitors import Visitors, new_name
from deploy_core.types import BuildRequest, ModelChoice
from deploy_core.worker.client import Inference
from deploy_core.worker.intake import Intake, reader_process
from tests.browser.app import Server, serving
from tests.browser.visitor import SAMPLES, Visitor
from tests.hostile import crashing_heic, mutated, originals, scan_bomb

PICTURE = (embedded.SAMPLES / "chelsea.png").read_bytes()
MUTATIONS = 10_000
BOMB_SECONDS = 8.0
SIGNALS = (signal.SIGSTOP, signal.SIGKILL, signal.SIGSEGV)
SESSIONS, CLASSIFICATIONS = 60, 3
METADATA_KEYS = 6_000_000


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as place:
        limits = replace(settings.load(), home=Path(place) / "home")
        measured = [*_pictures(limits), *_header_bomb(limits), *_signal_children(limits)]
        with serving(Path(place)) as server:
            measured += [*_crowd(server), *_flood(server)]
    return measured


@contextmanager
def _answering(limits: Settings) -> Iterator[tuple[Inference, WorkerProcess, Decoders]]:
    """The inference process and the processes that read pictures, warm."""
    reading, process = Decoders(limits), WorkerProcess("inference process", limits)
    inference = Inference(process, reading, seconds=limits.answer_seconds)
    _ask(inference)
    try:
        yield inference, process, reading
    finally:
        inference.close()
        reading.close()


def _ask(inference: Inference, picture: bytes = PICTURE) -> float:
    """Seconds until a visitor gets an answer or an error message."""
    started = time.monotonic()
    try:
        inference.classify(ModelChoice("demo", "pretrained"), picture, "a picture")
    except DeployError as error:
        print(f"  {error}", file=sys.stderr)
    return time.monotonic() - started


def _pictures(limits: Settings) -> Iterator[Figure]:
    with _answering(limits) as (inference, process, _):
        serving_process = process.process_id
        _ask(inference, crashing_heic())
        yield Figure("next answer after a picture that crashes its reader", _ask(inference) * 1000, 2000, "ms")
        usual = statistics.median(_ask(inference) for _ in range(9))
        slow = threading.Thread(target=_ask, args=(inference, scan_bomb(7900, 1200)))
        slow.start()
        time.sleep(1)
        _ask(inference)
        others, until = list[float](), time.monotonic() + BOMB_SECONDS
        while time.monotonic() < until and slow.is_alive():
            others.append(_ask(inference))
        slow.join()
        yield Figure("answer beside a scan bomb, against the usual", statistics.median(others) / usual, 3, "x")
        slowest = _slowest_mutated(inference)
        yield Figure(
            f"slowest of {MUTATIONS} mutated pictures", slowest * 1000, (limits.picture_seconds + 2) * 1000, "ms"
        )
        ended = int(process.process_id != serving_process)
        yield Figure("processes that serve others, ended by pictures", ended, 0, "runs")


def _slowest_mutated(inference: Inference) -> float:
    chance, kinds = random.Random(11), originals()  # noqa: S311
    names = list(kinds)
    slowest = [0.0]

    def ask(data: bytes) -> None:
        started = time.monotonic()
        with suppress(InvalidPicture):
            inference.classify(ModelChoice("demo", "pretrained"), data, "a picture")
        slowest.append(time.monotonic() - started)

    pictures = (
        mutated(kinds[names[turn % len(names)]], kinds[chance.choice(names)], chance) for turn in range(MUTATIONS)
    )
    with ThreadPoolExecutor(2) as together:
        for _ in together.map(ask, pictures):
            pass
    return max(slowest)


def _header_bomb(limits: Settings) -> Iterator[Figure]:
    """A checkpoint whose header holds millions of metadata entries."""
    text = ('{"__metadata__":{' + ",".join(f'"{number:07}":""' for number in range(METADATA_KEYS)) + "}}").encode()
    bomb = len(text).to_bytes(8, "little") + text
    visitors, visitor = Visitors(limits, lambda _: None), new_name()
    intake = Intake(reader_process(limits))
    peak = _Peak(os.getpid())
    with peak, visitors.uploaded(visitor, bomb) as upload:
        try:
            intake.take_in(upload, "bomb.safetensors", Corrections())
        except DeployError as error:
            print(f"  {len(bomb) / 1e6:.0f} MB: {error}", file=sys.stderr)
    intake.close()
    yield Figure("growth of all processes under a header bomb", peak.growth, 600, "MB")


def _signal_children(limits: Settings) -> Iterator[Figure]:
    """Sends each signal to each child process in turn.

    Measures the slowest error message, and counts the next requests that fail.
    """
    slowest, failed = 0.0, 0
    with _answering(limits) as (inference, process, reading):
        for number in SIGNALS:
            bomb = threading.Thread(target=_ask, args=(inference, scan_bomb(3000, 3000)))
            bomb.start()
            time.sleep(0.5)
            _signal(reading.process_ids[0], number)
            started = time.monotonic()
            bomb.join()
            slowest = max(slowest, time.monotonic() - started)
            _signal(process.process_id, number)
            slowest = max(slowest, _ask(inference))
            failed += not _works(lambda: inference.classify(ModelChoice("demo", "pretrained"), PICTURE, "x"))
    build = BuildRequest("demo", "pretrained", ("scripted",))
    worker = WorkerProcess("worker", limits)
    jobs = Jobs(limits, [worker])
    try:
        untrained = replace(build, weights="random")
        for number in SIGNALS:
            slowest = max(slowest, _signal_job(jobs, worker, Build(untrained), number, is_below=False))
            failed += _end(jobs, jobs.submit(Build(build))).error is not None
        # This build comes first, so that the profiles below start to measure right away.
        _end(jobs, jobs.submit(Build(untrained)))
        for number in SIGNALS:
            below = Profile(untrained, 3.0 + number / 100)
            slowest = max(slowest, _signal_job(jobs, worker, below, number, is_below=True))
            itself = Profile(untrained, 4.0 + number / 100)
            slowest = max(slowest, _signal_job(jobs, worker, itself, number, is_below=False))
            failed += _end(jobs, jobs.submit(Build(build))).error is not None
    finally:
        jobs.close()
    yield Figure("slowest sentence after a child was stopped, killed or broken", slowest * 1000, 20_000, "ms")
    yield Figure("next requests that did not work", failed, 0, "runs")


def _signal_job(jobs: Jobs, worker: WorkerProcess, task: Task[Any], number: int, is_below: bool) -> float:
    """Seconds from the signal until the process that got it has ended."""
    name = jobs.submit(task)
    while worker.process_id is None or not (job := jobs.look(name)) or not job.stage:
        if jobs.look(name).state in FINISHED:  # type: ignore[union-attr]
            return 0.0
        time.sleep(0.01)
    target = worker.process_id
    if is_below:
        while not (below := psutil.Process(worker.process_id).children()):
            time.sleep(0.01)
        target = below[0].pid
    signalled = psutil.Process(target)
    _signal(target, number)
    started = time.monotonic()
    while signalled.is_running() and signalled.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    spent = time.monotonic() - started
    print(
        f"  {task.kind}, {signal.Signals(number).name}, child {'below' if is_below else ''}: {spent:.1f} s",
        file=sys.stderr,
    )
    job = _end(jobs, name)
    print(f"  {job.state}: {job.error}", file=sys.stderr)
    return spent


def _end(jobs: Jobs, name: str) -> Job:
    while (job := jobs.look(name)) is None or job.state not in FINISHED:
        time.sleep(0.05)
    return job


def _signal(process_id: int | None, number: int) -> None:
    try:
        if process_id:
            os.kill(process_id, number)
    except ProcessLookupError:
        print("  the process had ended already", file=sys.stderr)


def _works(request: Callable[[], object]) -> bool:
    try:
        request()
    except DeployError as error:
        print(f"  {error}", file=sys.stderr)
        return False
    return True


def _crowd(server: Server) -> Iterator[Figure]:
    errors: list[str] = []

    def visit(number: int) -> None:
        try:
            with Visitor(server, 600) as visitor:
                visitor.look()
                for step in range(CLASSIFICATIONS):
                    visitor.look(SAMPLES[(number + step) % len(SAMPLES)])
                errors.extend(visitor.errors)
        except Exception as error:
            errors.append(repr(error))

    visits = [threading.Thread(target=visit, args=[number]) for number in range(SESSIONS)]
    for one in visits:
        one.start()
    for one in visits:
        one.join()
    for error in errors[:5]:
        print(f"  {error}", file=sys.stderr)
    yield Figure(f"errors that {SESSIONS} visitors at once saw, {CLASSIFICATIONS} answers each", len(errors), 0, "runs")


def _flood(server: Server) -> Iterator[Figure]:
    """Fifteen uploads of 100 MB by one visitor, with the default limits."""
    peak = _Peak(server.process.pid)
    with Visitor(server) as visitor:
        visitor.look()
        with peak:
            taken = [visitor.upload(f"{number}.pth", bytes(100_000_000)).status_code for number in range(15)]
    print(f"  {taken.count(204)} of {len(taken)} uploads were taken", file=sys.stderr)
    time.sleep(30)
    yield Figure("growth of all processes under a flood of uploads", peak.growth, 600, "MB")
    yield Figure("what stays of it after 30 s", together(server.process.pid) - peak.before, 50, "MB")


class _Peak:
    """Watches the memory of a process and its descendants while a block runs."""

    def __init__(self, process_id: int) -> None:
        self._process_id, self._is_over = process_id, threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self.before = self.most = together(process_id)

    @property
    def growth(self) -> float:
        return self.most - self.before

    def __enter__(self) -> None:
        self.before = self.most = together(self._process_id)
        self._watcher.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.1):
            self.most = max(self.most, together(self._process_id))


if __name__ == "__main__":
    for figure in figures():
        print(figure.line(), flush=True)

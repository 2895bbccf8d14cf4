"""Where a build checks its files: in its own process, or in one beside it while it converts the next."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy_core import memory
from deploy_core.formats import FORMATS, Format
from deploy_core.inference import capacity
from deploy_core.inference.check import Checked, Checker
from deploy_core.models import load
from deploy_core.models.load import LoadedModel
from deploy_core.models.spec import ModelSpec
from deploy_core.processes.local import WorkerProcess
from deploy_core.processes.task import Task, WithBytes, Work
from deploy_core.settings import Settings
from deploy_core.types import ModelChoice

# What error messages call the process.
NAME = "checking process"
# A process of its own takes seconds to start, so conversions must take longer than the tutorial's four files.
LEAST_EFFORT = 6.0


@dataclass(frozen=True)
class Check(Task[WithBytes[Checked]]):
    """A request to check the file at ``path`` on ``threads`` of the ``cores``, as ``Checker.check`` does."""

    model: ModelChoice
    format: str
    path: str
    threads: int
    cores: int
    kind = "check"
    answer = Checked


@dataclass(frozen=True)
class PrepareChecks(Task[None]):
    """Imports what each check needs."""

    kind = "prepare_checks"
    answer = None


class Checks(Protocol):
    """Checks the files of a build."""

    def begin(self, row: Format, path: Path, is_alone: bool) -> None:
        """Takes a file. ``is_alone`` says that nothing is converted from now on until the next file comes."""

    def is_due(self, row: Format) -> bool:
        """Whether asking for the result holds nothing up."""

    def result(self, row: Format, path: Path) -> WithBytes[Checked]:
        """Waits for the result. Raises InvalidArtifact or JobFailed."""


class Here:
    """Checks each file in this process, when its result is asked for."""

    def __init__(self, model: LoadedModel, settings: Settings) -> None:
        self._checker = Checker(model, settings)

    def begin(self, row: Format, path: Path, is_alone: bool) -> None:
        pass

    def is_due(self, row: Format) -> bool:  # noqa: ARG002
        return True

    def result(self, row: Format, path: Path) -> WithBytes[Checked]:
        return self._checker.check(row, path)


class Beside:
    """Checks one file after another in a process of its own, which is replaced if it ends or hangs."""

    def __init__(self, process: WorkerProcess, queue: ThreadPoolExecutor, model: ModelChoice, cores: int) -> None:
        self._process, self._queue, self._model, self._cores = process, queue, model, cores
        self._is_alone = True
        self._futures: dict[str, Future[WithBytes[Checked]]] = {}
        queue.submit(lambda: process.submit(PrepareChecks()).result())

    def begin(self, row: Format, path: Path, is_alone: bool) -> None:
        self._is_alone = is_alone
        self._futures[row.key] = self._queue.submit(self._checked, row, path)

    def is_due(self, row: Format) -> bool:
        return self._futures[row.key].done()

    def result(self, row: Format, path: Path) -> WithBytes[Checked]:  # noqa: ARG002
        return self._futures[row.key].result()

    def _checked(self, row: Format, path: Path) -> WithBytes[Checked]:
        # The conversions take one core.
        threads = self._cores if self._is_alone else self._cores - 1
        return self._process.submit(Check(self._model, row.key, str(path), threads, self._cores)).result()


@contextmanager
def beside(model: ModelChoice, settings: Settings) -> Iterator[Beside]:
    """A process that checks files until the block ends, however it ends."""
    process = WorkerProcess(NAME, settings)
    queue = ThreadPoolExecutor(1)
    try:
        yield Beside(process, queue, model, capacity.cores(settings))
    finally:
        queue.shutdown(wait=False, cancel_futures=True)
        process.close()
        queue.shutdown()
        # What the queue began in between has started another one.
        process.close()


def is_worth_it(spec: ModelSpec, rows: Sequence[Format], settings: Settings) -> bool:
    """Whether there are two cores, memory for two processes, and enough to convert meanwhile."""
    effort = sum(row.effort for row in rows)
    return effort >= LEAST_EFFORT and capacity.cores(settings) > 1 and capacity.fits_two(spec, rows, settings)


def run_check(request: Check, work: Work) -> WithBytes[Checked]:
    import torch

    torch.set_num_threads(request.threads)
    checker = _checker(request.model, work.settings)
    try:
        return checker.check(FORMATS[request.format], Path(request.path), request.threads / request.cores)
    finally:
        memory.give_back()


def run_prepare_checks(_: PrepareChecks, __: Work) -> None:
    import timm  # noqa: F401


@functools.lru_cache(maxsize=1)
def _checker(model: ModelChoice, settings: Settings) -> Checker:
    return Checker(load.load(model.reference, model.weights, settings), settings)

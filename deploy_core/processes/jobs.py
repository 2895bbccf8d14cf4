"""The queue of heavy work that all visitors share: submit a job, look at it, cancel it.

Jobs start in the order they were submitted, one for each executor. One executor is usual, because jobs would only
compete for the cores; a job that measures time runs alone. Submitting the same task twice gives one job, and cancelling
ends it only when nobody else wants it. A file notes each unfinished job, so that after a restart the app can say which
jobs it lost.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from deploy_core import documents, files
from deploy_core.errors import UNEXPECTED, DeployError, JobFailed, QueueFull
from deploy_core.processes.job import Job, State, job_name
from deploy_core.processes.task import Executor, Handle, Task
from deploy_core.settings import Settings
from deploy_core.types import Event

log = logging.getLogger(__name__)

FINISHED_KEPT = 50
# Before this share of the work is done, an estimate of the rest would be a guess.
LEAST_FRACTION_FOR_ESTIMATE = 0.02


@dataclass(frozen=True)
class _Lost(Task[None]):
    """The task of a job that an earlier app did not finish. It never runs."""

    kind = "lost"


@dataclass(eq=False)
class _Attempt:
    """One submission. ``begun`` and ``updated`` are the times of its first and its latest event.

    ``medians`` are the newest that an event brought. ``asked_by`` is the visitor it counts for, ``wanted_by`` are the
    visitors who wait for it, ``left_by`` those who cancelled.
    """

    task: Task[Any]
    asked_by: str = ""
    wanted_by: set[str] = field(default_factory=set)
    left_by: set[str] = field(default_factory=set)
    future: Future[Any] = field(default_factory=Future)
    handle: Handle[Any] | None = None
    event: Event | None = None
    medians: Mapping[str, float] = field(default_factory=dict)
    begun: float = 0.0
    updated: float = 0.0
    is_cancelled: bool = False


class Jobs:
    """The queue of one application.

    ``clean_up`` runs after jobs that failed or were cancelled, when nothing else runs. ``clock`` gives seconds and
    never goes back.
    """

    def __init__(
        self,
        settings: Settings,
        executors: Sequence[Executor],
        clean_up: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notes = settings.home / "jobs"
        self._most_waiting, self._most_places = settings.waiting_jobs, settings.visitor_jobs
        self._executors, self._clean_up, self._clock = executors, clean_up, clock
        # Last in, first out: the executor that worked last is warm, and the others may become idle.
        self._free: queue.LifoQueue[Executor] = queue.LifoQueue()
        for executor in executors:
            self._free.put(executor)
        self._runner = ThreadPoolExecutor(max_workers=len(executors), thread_name_prefix="jobs")
        self._lock = threading.Lock()
        self._attempts: dict[str, _Attempt] = {}
        self._running: list[_Attempt] = []
        self._is_dirty = False
        self._report_lost_jobs()

    def submit(self, task: Task[Any], visitor: str = "") -> str:
        """Queues a task for a visitor and returns the name of its job. Raises QueueFull, StorageFailed.

        The app itself is the visitor without a name; it may submit any number.
        """
        name = job_name(task)
        with self._lock:
            unfinished = {other: attempt for other, attempt in self._attempts.items() if _is_unfinished(attempt)}
            if name in unfinished:
                unfinished[name].wanted_by.add(visitor)
                unfinished[name].left_by.discard(visitor)
                return name
            if len(unfinished) >= self._most_waiting + len(self._executors):
                raise QueueFull(f"{self._most_waiting} jobs wait already.", "Try again in a few minutes.")
            places = sum(visitor == one.asked_by and visitor in one.wanted_by for one in unfinished.values())
            if visitor and places >= self._most_places:
                raise QueueFull(
                    f"You have asked for {places} jobs that are not done.", "Wait until one is, or cancel one."
                )
            files.make_folder(self._notes)
            files.write_json(self._notes / f"{name}.json", {"kind": task.kind, "request": documents.plain(task)})
            # A new attempt goes to the end of the queue, even if an earlier one had the same name.
            self._attempts.pop(name, None)
            self._attempts[name] = _Attempt(task, visitor, {visitor})
            self._begin_next()
            self._forget_oldest()
        return name

    def join(self, name: str, visitor: str) -> bool:
        """Counts a visitor who sees the job's progress as one who wants it. False if they have cancelled it."""
        with self._lock:
            attempt = self._attempts.get(name)
            if attempt is None or visitor in attempt.left_by:
                return False
            attempt.wanted_by.add(visitor)
            return True

    def leave(self, visitor: str) -> None:
        """A visitor is gone. Their jobs still run, and others can cancel them."""
        with self._lock:
            for attempt in self._attempts.values():
                attempt.wanted_by.discard(visitor)

    def look(self, name: str) -> Job | None:
        """The job's state now; None for an unknown name."""
        with self._lock:
            attempt = self._attempts.get(name)
            if attempt is None:
                return None
            names = list(self._attempts)
            ahead = sum(not self._attempts[other].future.done() for other in names[: names.index(name)])
            if attempt.is_cancelled:
                return Job(name, State.CANCELLED)
            if attempt.future.done():
                error = attempt.future.exception()
                if error is None:
                    return Job(name, State.DONE, fraction=1.0, result=attempt.future.result())
                return Job(name, State.FAILED, error=_for_people(error))
            if not attempt.future.running():
                return Job(name, State.WAITING, ahead=ahead)
            return self._progress(name, attempt)

    def cancel(self, name: str, visitor: str = "") -> bool:
        """Takes back a visitor's request. The job ends at once if nobody else wants it. Returns whether it ends."""
        with self._lock:
            attempt = self._attempts.get(name)
            if attempt is None or not _is_unfinished(attempt):
                return False
            attempt.wanted_by.discard(visitor)
            attempt.left_by.add(visitor)
            if attempt.wanted_by:
                return False
            self._end(name, attempt)
            return True

    def _end(self, name: str, attempt: _Attempt) -> None:
        attempt.is_cancelled = True
        if attempt.future.cancel():
            self._forget_note(name)
            self._begin_next()
        if attempt.handle:
            attempt.handle.cancel()

    def cancel_all(self, owner: str) -> None:
        """Ends the jobs whose requests hold a visitor's secret name. Returns when they have ended."""
        with self._lock:
            requests = {name: json.dumps(documents.plain(job.task)) for name, job in self._attempts.items()}
            theirs = {name: self._attempts[name] for name, request in requests.items() if owner in request}
        self._end_all(theirs)
        wait([attempt.future for attempt in theirs.values() if attempt.future.running()])

    def close(self) -> None:
        """Ends all jobs, waits until they have ended, and closes the executors."""
        self._end_all(self._attempts)
        for executor in self._executors:
            executor.close()
        self._runner.shutdown()

    def _end_all(self, names: Iterable[str]) -> None:
        """Ends the jobs, even if somebody still wants them."""
        with self._lock:
            for name in list(names):
                attempt = self._attempts.get(name)
                if attempt and _is_unfinished(attempt):
                    self._end(name, attempt)

    def _begin_next(self) -> None:
        """Starts jobs in order while there is room. No job overtakes one that waits to run alone."""
        for name, attempt in self._attempts.items():
            if attempt.future.done() or attempt.future.running():
                continue
            if not self._has_room(attempt):
                return
            attempt.future.set_running_or_notify_cancel()
            self._running.append(attempt)
            self._runner.submit(self._run, name, attempt)

    def _has_room(self, attempt: _Attempt) -> bool:
        if attempt.task.runs_alone or any(other.task.runs_alone for other in self._running):
            return not self._running
        return len(self._running) < len(self._executors)

    def _run(self, name: str, attempt: _Attempt) -> None:
        executor = self._free.get()
        try:
            result, failure = self._done(executor, attempt), None
        except Exception as error:
            result, failure = None, error
            if not isinstance(error, DeployError):
                log.exception("The job %s failed", name)
        self._free.put(executor)
        with self._lock:
            self._running.remove(attempt)
            self._is_dirty |= failure is not None
            if self._is_dirty and not self._running:
                self._tidy()
            self._forget_note(name)
            if failure is None:
                attempt.future.set_result(result)
            else:
                attempt.future.set_exception(failure)
            self._begin_next()

    def _tidy(self) -> None:
        self._is_dirty = False
        try:
            self._clean_up()
        except Exception:
            log.exception("Files that failed jobs left behind could not be removed")

    def _done(self, executor: Executor, attempt: _Attempt) -> Any:
        handle = executor.submit(attempt.task)
        with self._lock:
            attempt.handle = handle
        if attempt.is_cancelled:
            handle.cancel()
        for event in handle.events():
            self._note_event(attempt, event)
        return handle.result()

    def _note_event(self, attempt: _Attempt, event: Event) -> None:
        now = self._clock()
        with self._lock:
            attempt.begun = attempt.begun if attempt.event else now
            attempt.event, attempt.updated = event, now
            attempt.medians = event.medians or attempt.medians

    def _progress(self, name: str, attempt: _Attempt) -> Job:
        event = attempt.event
        if event is None:
            return Job(name, State.RUNNING)
        now = self._clock()
        remaining = None
        if event.fraction >= LEAST_FRACTION_FOR_ESTIMATE:
            pace = (attempt.updated - attempt.begun) / event.fraction
            left = pace * (1 - event.fraction) - (now - attempt.updated)
            remaining = left if left > 0 else None
        return Job(
            name,
            State.RUNNING,
            stage=event.message,
            fraction=min(1.0, max(0.0, event.fraction)),
            elapsed_seconds=now - attempt.begun,
            remaining_seconds=remaining,
            medians=attempt.medians,
        )

    def _report_lost_jobs(self) -> None:
        """Notes the jobs that an earlier app did not finish as failed."""
        for note in sorted(self._notes.glob("*.json")):
            attempt = _Attempt(_Lost())
            attempt.future.set_exception(JobFailed("The app was restarted before this was done.", "Start it again."))
            self._attempts[note.stem] = attempt
            note.unlink(missing_ok=True)
        files.remove_leftovers(self._notes)
        self._tidy()

    def _forget_note(self, name: str) -> None:
        (self._notes / f"{name}.json").unlink(missing_ok=True)

    def _forget_oldest(self) -> None:
        finished = [name for name, attempt in self._attempts.items() if attempt.future.done()]
        for name in finished[:-FINISHED_KEPT]:
            del self._attempts[name]


def _is_unfinished(attempt: _Attempt) -> bool:
    return not attempt.future.done() and not attempt.is_cancelled


def _for_people(error: BaseException) -> DeployError:
    return error if isinstance(error, DeployError) else UNEXPECTED

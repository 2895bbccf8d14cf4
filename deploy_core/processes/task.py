"""Typed requests to another process, and the table that says which function answers each.

A request is a frozen dataclass: ``Build(request)``. The process that does the work has a table of them: ``table(
does(Build, run_build), ...)``. Requests and results travel as JSON; a request and a result may bring bytes along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from deploy_core.settings import Settings
from deploy_core.types import Event, Progress, silent

AnswerT = TypeVar("AnswerT")
AnswerT_co = TypeVar("AnswerT_co", covariant=True)


@dataclass(frozen=True)
class Task(Generic[AnswerT]):
    """A request to another process. Subclasses add fields of plain values and dataclasses.

    ``kind`` is its key in the process's table, ``answer`` the type that the result is read as. The queue runs a task
    that measures time while nothing else runs: ``runs_alone``.
    """

    kind: ClassVar[str]
    answer: ClassVar[Any]
    runs_alone: ClassVar[bool] = False


@dataclass(frozen=True)
class WithBytes(Generic[AnswerT]):
    """A result and bytes that go with it."""

    value: AnswerT
    blob: bytes = field(repr=False)


@dataclass(frozen=True)
class Work:
    """What a function gets beside its request: ``blob`` are the bytes that came with the request."""

    settings: Settings
    progress: Progress = silent
    blob: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class TableRow:
    """A kind of request and the function that answers it."""

    request: type[Task[Any]]
    function: Callable[[Any, Work], Any]


Table = Mapping[str, TableRow]
RequestT = TypeVar("RequestT", bound=Task[Any])


def does(request: type[RequestT], function: Callable[[RequestT, Work], Any]) -> TableRow:
    """A row of a table; the type checker compares the function with its request."""
    return TableRow(request, function)


def table(*entries: TableRow) -> dict[str, TableRow]:
    """The tasks of a process, by their kind."""
    return {entry.request.kind: entry for entry in entries}


class Handle(Protocol[AnswerT_co]):
    """A task that has begun."""

    def events(self) -> Iterator[Event]:
        """Yields each event as it happens, until the task ends."""

    def result(self) -> AnswerT_co:
        """Waits for the end. Raises the task's own DeployError, JobFailed if its process died, or JobCancelled."""

    def cancel(self) -> None:
        """Ends the task now. Any thread may call this."""


class Executor(Protocol):
    """Runs tasks. ``WorkerProcess`` runs them on this machine; a cluster can take its place."""

    def submit(self, task: Task[AnswerT]) -> Handle[AnswerT]: ...

    def close(self) -> None:
        """Ends what runs and frees its resources."""

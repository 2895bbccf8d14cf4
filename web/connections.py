"""Limits connections that do not finish their request: each gets a few seconds, and only so many may wait at once.

uvicorn waits for the end of a request's head without a limit. Since a process may open only a limited number of files,
a client that opens many connections and sends nothing would lock everybody else out.
"""

from __future__ import annotations

import asyncio
import functools
import resource
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
MOST_WAITING = 256


def take_all_files() -> None:
    """Raises this process's limit of open files and connections to the system's maximum."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Waiting:
    """The connections whose request has not arrived yet, the oldest first."""

    def __init__(self, seconds: float = HEAD_SECONDS, most: int = MOST_WAITING) -> None:
        self._seconds, self._most = seconds, most
        self._clocks: dict[H11Protocol, asyncio.TimerHandle] = {}

    def look(self, connection: H11Protocol) -> None:
        """Starts or stops the clock of a connection, according to its state."""
        if connection.transport.is_closing() or connection.conn.their_state is not h11.IDLE:
            self.forget(connection)
        elif connection not in self._clocks:
            self._clocks[connection] = connection.loop.call_later(self._seconds, self._cut, connection)
            if len(self._clocks) > self._most:
                self._cut(next(iter(self._clocks)))

    def forget(self, connection: H11Protocol) -> None:
        clock = self._clocks.pop(connection, None)
        if clock:
            clock.cancel()

    def _cut(self, connection: H11Protocol) -> None:
        self.forget(connection)
        connection.transport.abort()


def watch(waiting: Waiting) -> None:
    """Watches every connection of this process, by extending uvicorn's protocol, which has no setting for that."""

    def after(method: str, do: Any) -> None:
        original = getattr(H11Protocol, method)

        @functools.wraps(original)
        def extended(connection: H11Protocol, *arguments: Any) -> None:
            original(connection, *arguments)
            do(connection)

        setattr(H11Protocol, method, extended)

    after("connection_made", waiting.look)
    after("data_received", waiting.look)
    after("connection_lost", waiting.forget)

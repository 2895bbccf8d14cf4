"""Connections that never finish their request: each has a few seconds, and there are never many.

uvicorn waits for the end of a request's head without a limit, and a process may open so many files: who opens
enough connections and says nothing locks everybody out.
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
    """Lets this process open as many files and connections as the system allows it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Waiting:
    """The connections whose request has not arrived yet, the oldest first."""

    def __init__(self, seconds: float = HEAD_SECONDS, most: int = MOST_WAITING) -> None:
        self._seconds, self._most = seconds, most
        self._clocks: dict[H11Protocol, asyncio.TimerHandle] = {}

    def look(self, connection: H11Protocol) -> None:
        """After something happened on a connection: starts or stops its clock."""
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
    """Has every connection of this process watched. uvicorn has no setting for that, so its protocol is extended."""

    def after(method: str, do: Any) -> None:
        original = getattr(H11Protocol, method)

        @functools.wraps(original)
        def extended(connection: H11Protocol, *given: Any) -> None:
            original(connection, *given)
            do(connection)

        setattr(H11Protocol, method, extended)

    after("connection_made", waiting.look)
    after("data_received", waiting.look)
    after("connection_lost", waiting.forget)

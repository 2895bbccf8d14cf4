"""The waiting line in front of a process: first come, first served."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deploy_core.errors import QueueFull

MOST_WAITING = 100
LOOK_SECONDS = 0.2
# Called while somebody waits, with the number of those ahead of them.
Waiting = Callable[[int], None]


def unseen(ahead: int) -> None:
    """For callers that show nothing while they wait."""


class WaitingLine:
    """Lets ``at_once`` callers in at a time, in the order they came."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: list[object] = []
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, tell: Waiting) -> Iterator[None]:
        """Waits for a place and holds it until the block ends. Raises QueueFull, and anything that ``tell`` raises."""
        ticket = object()
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                raise QueueFull("Too many visitors wait for an answer now.", "Try again in a minute.")
            self._waiting.append(ticket)
        try:
            while (ahead := self._ahead(ticket)) is not None:
                tell(ahead)
        except BaseException:
            self._leave(ticket)
            raise
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _ahead(self, ticket: object) -> int | None:
        """None once it is this ticket's turn. Otherwise waits a moment and returns how many are ahead of it."""
        with self._changed:
            if self._waiting[0] is not ticket or not self._free:
                self._changed.wait(LOOK_SECONDS)
            if self._waiting[0] is ticket and self._free:
                self._waiting.pop(0)
                self._free -= 1
                self._changed.notify_all()
                return None
            return self._waiting.index(ticket) + 1

    def _leave(self, ticket: object) -> None:
        with self._changed:
            self._waiting.remove(ticket)
            self._changed.notify_all()

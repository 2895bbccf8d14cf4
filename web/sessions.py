"""Sessions whose browser has gone: what they hold is given back, soon where it is much.

Streamlit keeps a session for a while, so that a phone that was locked finds it again. It forgets it only when the next
one comes, with all that was uploaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from web.uploads import Held, held_bytes

# A session that holds much waits this long for its browser; the others as long as Streamlit's own setting says.
HEAVY_BYTES = 10_000_000
HEAVY_SECONDS = 15.0


class Runtime(Protocol):
    """What is asked of Streamlit."""

    def is_active_session(self, session_id: str) -> bool: ...

    def close_session(self, session_id: str) -> None: ...


class Departures:
    """The sessions that were seen, and since when their browser has been gone. ``clock`` counts seconds."""

    def __init__(self, light_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._light_seconds, self._clock = light_seconds, clock
        self._known: set[str] = set()
        self._gone_since: dict[str, float] = {}

    def note(self, session: str) -> None:
        """A session is here."""
        self._known.add(session)

    def look(self, runtime: Runtime, held: Held) -> int:
        """Closes the sessions whose time is over; returns how many. In the event loop's thread alone."""
        now, closed = self._clock(), 0
        for session in sorted(self._known | set(held)):
            if runtime.is_active_session(session):
                self._gone_since.pop(session, None)
                continue
            since = self._gone_since.setdefault(session, now)
            is_heavy = held_bytes(held, session) > HEAVY_BYTES
            if now - since >= (HEAVY_SECONDS if is_heavy else self._light_seconds):
                runtime.close_session(session)
                self._known.discard(session)
                del self._gone_since[session]
                closed += 1
        return closed

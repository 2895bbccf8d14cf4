"""Closes sessions whose browser has gone, so that their uploads are freed; sooner if they hold much.

Streamlit keeps a session for a while, so that a phone that was locked finds it again. By itself it frees the session
and its uploads only when the next session starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from web.uploads import Held, held_bytes

# A session that holds more than HEAVY_BYTES waits HEAVY_SECONDS for its browser, the others as long as Streamlit's
# setting says.
HEAVY_BYTES = 10_000_000
HEAVY_SECONDS = 15.0


class Runtime(Protocol):
    """The methods of Streamlit's runtime that are used here."""

    def is_active_session(self, session_id: str) -> bool: ...

    def close_session(self, session_id: str) -> None: ...


class Departures:
    """The known sessions, and since when their browser has been gone. ``clock`` counts seconds."""

    def __init__(self, light_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._light_seconds, self._clock = light_seconds, clock
        self._known: set[str] = set()
        self._gone_since: dict[str, float] = {}

    def note(self, session: str) -> None:
        """Remembers that a session exists."""
        self._known.add(session)

    def look(self, runtime: Runtime, held: Held) -> int:
        """Closes the sessions whose time is over and returns how many. Call it only in the event loop's thread."""
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

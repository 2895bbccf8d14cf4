"""Limits how much visitors may upload into the memory of the web process, while the bytes arrive.

Streamlit keeps each upload in memory until its session ends, and limits only the size of single files.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy_core.settings import Settings

PATH = re.compile(r"/_stcore/upload_file/(?P<session>[^/]+)/[^/]+$")
# Uploads of one session. A browser opens six connections to a host.
MOST_AT_ONCE = 12
# The longest pause within a body.
PAUSE_SECONDS = 30.0
YOURS = "You have uploaded as much as this app keeps for one visitor. Remove a file, or reload the page.\n"
EVERYBODYS = "Other visitors' uploads take all the room. Try again in a few minutes.\n"
MANY = "You upload too many files at once. Wait until some have arrived.\n"
SLOW = "The upload stopped arriving. Try again.\n"


class File(Protocol):
    """An upload as Streamlit holds it."""

    @property
    def data(self) -> bytes: ...


# The uploads that Streamlit holds, by session and file.
Held = Mapping[str, Mapping[str, File]]


def held_bytes(held: Held, session: str) -> int:
    """The bytes of one session's uploads."""
    return sum(len(file.data) for file in list(held.get(session, {}).values()))


class UploadLimits:
    """Refuses uploads beyond ``session_upload_bytes`` or ``all_upload_bytes`` of the settings with 413.

    More than ``MOST_AT_ONCE`` uploads of one session get 429, and a body that pauses for ``PAUSE_SECONDS`` gets 408.
    """

    def __init__(self, app: ASGIApp, settings: Settings, held: Callable[[], Held]) -> None:
        self._app, self._settings, self._held = app, settings, held
        self._arriving: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = PATH.search(scope["path"]) if scope["type"] == "http" and scope["method"] == "PUT" else None
        if match is None:
            await self._app(scope, receive, send)
            return
        session = match["session"]
        if self._under_way[session] >= MOST_AT_ONCE:
            await PlainTextResponse(MANY, status_code=429)(scope, receive, send)
            return
        announced = Request(scope).headers.get("Content-Length", "")
        refusal = self._refusal(session, int(announced) if announced.isdecimal() else 0)
        if refusal:
            await PlainTextResponse(refusal, status_code=413)(scope, receive, send)
            return
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            try:
                message = await asyncio.wait_for(receive(), PAUSE_SECONDS)
            except TimeoutError:
                raise HTTPException(408, SLOW) from None
            size = len(message.get("body", b""))
            refusal = self._refusal(session, size)
            if refusal:
                raise HTTPException(413, refusal)
            arrived += size
            self._arriving[session] += size
            return message

        self._under_way[session] += 1
        try:
            await self._app(scope, counted, send)
        finally:
            self._settle(self._under_way, session, 1)
            self._settle(self._arriving, session, arrived)

    def _refusal(self, session: str, more: int) -> str | None:
        held = self._held()
        mine = held_bytes(held, session) + self._arriving[session]
        if mine + more > self._settings.session_upload_bytes:
            return YOURS
        everybodys = sum(held_bytes(held, other) for other in list(held)) + self._arriving.total()
        return EVERYBODYS if everybodys + more > self._settings.all_upload_bytes else None

    @staticmethod
    def _settle(counter: Counter[str], session: str, amount: int) -> None:
        counter[session] -= amount
        if not counter[session]:
            del counter[session]

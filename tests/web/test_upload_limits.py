"""Uploads are limited while their bytes arrive: for each session and in total, with and without a Content-Length."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy_core.settings import Settings
from web import uploads
from web.sessions import HEAVY_BYTES, HEAVY_SECONDS, Departures
from web.uploads import MOST_AT_ONCE, UploadLimits

LIMITS = replace(Settings(), session_upload_bytes=1000, all_upload_bytes=1500)


@dataclass(frozen=True)
class Kept:
    data: bytes


class App:
    """The app behind the limits, which receives an upload as Streamlit does."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Kept]] = {}

        async def put(request: Request) -> Response:
            session, file = request.path_params["session"], request.path_params["file"]
            self.held.setdefault(session, {})[file] = Kept(await request.body())
            return Response(status_code=204)

        route = Route("/deit/_stcore/upload_file/{session}/{file}", put, methods=["PUT"])
        limited = Middleware(UploadLimits, settings=LIMITS, held=lambda: self.held)
        self.app = Starlette(routes=[route], middleware=[limited])

    async def put(
        self, session: str, file: str, chunks: list[bytes], announced: int | None = None, pause: float = 0
    ) -> tuple[int, str]:
        """The status and the text of the answer to an upload in these pieces."""
        headers = [] if announced is None else [(b"content-length", str(announced).encode())]
        path = f"/deit/_stcore/upload_file/{session}/{file}"
        scope = {"type": "http", "method": "PUT", "path": path, "headers": headers, "query_string": b""}
        coming: Iterator[bytes] = iter(chunks)
        left, sent = len(chunks), list[dict[str, Any]]()

        async def receive() -> dict[str, Any]:
            nonlocal left
            await asyncio.sleep(pause)
            left -= 1
            return {"type": "http.request", "body": next(coming, b""), "more_body": left > 0}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        text = b"".join(message.get("body", b"") for message in sent).decode()
        return sent[0]["status"], text


def test_each_session_and_all_together_have_a_budget() -> None:
    async def flood() -> None:
        app = App()
        assert await app.put("a", "1", [b"x" * 300, b"x" * 300]) == (204, "")
        assert await app.put("a", "2", [b"x" * 500]) == (413, uploads.YOURS)
        assert await app.put("a", "2", [b""], announced=500) == (413, uploads.YOURS)
        assert await app.put("b", "1", [b"x" * 900]) == (204, "")
        assert await app.put("c", "1", [b"x" * 10]) == (413, uploads.EVERYBODYS)
        del app.held["b"]
        assert await app.put("c", "1", [b"x" * 10]) == (204, "")
        assert await app.put("a", "2", [b"x" * 400], announced=400) == (204, "")

    asyncio.run(flood())


def test_what_is_still_arriving_counts() -> None:
    async def flood() -> None:
        app = App()
        answers = await asyncio.gather(*(app.put("a", str(n), [b"x" * 200] * 2, pause=0.01) for n in range(3)))
        assert sorted(status for status, _ in answers) == [204, 204, 413]
        # Refused bytes are not counted afterwards.
        app.held.clear()
        assert await app.put("a", "9", [b"x" * 1000]) == (204, "")

    asyncio.run(flood())


def test_few_uploads_of_one_session_arrive_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PAUSE_SECONDS", 0.05)

    async def flood() -> None:
        app = App()
        slow = [app.put("a", str(n), [b"x", b"x"], pause=0.2) for n in range(MOST_AT_ONCE + 1)]
        answers = await asyncio.gather(*slow)
        assert sorted(answers)[:MOST_AT_ONCE] == [(408, uploads.SLOW)] * MOST_AT_ONCE
        assert sorted(answers)[-1] == (429, uploads.MANY)

    asyncio.run(flood())


class Runtime:
    def __init__(self) -> None:
        self.here: set[str] = set()
        self.closed: list[str] = []

    def is_active_session(self, session_id: str) -> bool:
        return session_id in self.here

    def close_session(self, session_id: str) -> None:
        self.closed.append(session_id)


@pytest.fixture
def clock() -> tuple[list[float], Callable[[], float]]:
    now = [0.0]
    return now, lambda: now[0]


def test_a_session_that_holds_much_is_forgotten_soon_after_its_browser(
    clock: tuple[list[float], Callable[[], float]],
) -> None:
    now, read = clock
    runtime, departures = Runtime(), Departures(120, read)
    heavy = {"heavy": {"1": Kept(bytes(HEAVY_BYTES + 1))}, "unknown": {"1": Kept(bytes(HEAVY_BYTES + 1))}}
    for name in ("heavy", "light", "stays"):
        departures.note(name)
    runtime.here = {"heavy", "light", "stays"}
    assert departures.look(runtime, heavy) == 0
    runtime.here = {"stays"}
    departures.look(runtime, heavy)
    now[0] = HEAVY_SECONDS
    # One browser comes back in time.
    runtime.here = {"stays", "heavy"}
    assert departures.look(runtime, heavy) == 1
    runtime.here = {"stays"}
    departures.look(runtime, heavy)
    now[0] += HEAVY_SECONDS
    departures.look(runtime, heavy)
    assert runtime.closed == ["unknown", "heavy", "unknown"]
    now[0] = 120
    departures.look(runtime, {})
    assert runtime.closed[3:] == ["light"]
    now[0] = 500
    assert departures.look(runtime, {}) == 0

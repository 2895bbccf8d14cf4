"""The security headers of every response."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# With both, a browser lets threads share memory, which WebAssembly needs to run on more than one.
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
# Inline scripts and styles are Streamlit's, and the charts compile their expressions with eval. Nothing is loaded from
# another site or sent to one.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
# Here Streamlit would show its metrics to anyone.
CLOSED = "/_stcore/metrics"


class Headers:
    """Adds the headers to every response. ``framed_by``: comma-separated origins that may show the app in a frame."""

    def __init__(self, app: ASGIApp, framed_by: str = "") -> None:
        self._app = app
        ancestors = "".join(f" {origin.strip()}" for origin in framed_by.split(",") if origin.strip())
        self._headers = ISOLATION | {
            "Content-Security-Policy": f"{POLICY}{ancestors}",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        is_closed = scope["type"] == "http" and scope["path"].endswith(CLOSED)
        app = PlainTextResponse("There is nothing here.\n", status_code=404) if is_closed else self._app
        await app(scope, receive, with_headers)

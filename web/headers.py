"""What every answer tells the browser: whom to trust, and what not to guess."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# With both, a browser lets the page's threads share memory, which WebAssembly needs to use more than one.
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
# Streamlit writes scripts and styles into its page, and the charts compile their expressions. Nothing comes from, or
# goes to, another site.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
# Streamlit answers there with what it counts, to anyone.
CLOSED = "/_stcore/metrics"


class Headers:
    """Adds the headers to every answer. ``framed_by``: other sites that may show the app in a frame, as origins."""

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

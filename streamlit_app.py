"""The ASGI app: the Streamlit pages, and the routes that stream built files from disk.

streamlit run streamlit_app.py
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy_core import documents, logs
from deploy_core.errors import DamagedArtifact, DeployError, InvalidArtifact
from deploy_core.processes import Task
from deploy_core.store import Stored
from pages import _client, _parts

NOT_FOUND = "There is no such file. Build it again on the Build page.\n"
NO_TRACES = "There are no traces of this run. Measure again on the Profile page.\n"
RETRY_SECONDS = 60
# With both, a browser lets the page's threads share memory, which WebAssembly needs to use more than one.
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


class Isolated:
    """Tells browsers that the app's pages want nothing of other sites, and other sites' pages nothing of them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def isolated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(ISOLATION)
            await send(message)

        await self._app(scope, receive, isolated)


class HeldFile(FileResponse):
    """Streams a file of the store, with ranges; it is held against removal until the last byte is out."""

    def __init__(self, path: Path, etag: str, held: ExitStack) -> None:
        # Streamlit would gzip the stream otherwise, which is slow and breaks resumed downloads.
        headers = {"Content-Encoding": "identity", "ETag": f'"{etag}"'}
        super().__init__(path, filename=path.name, media_type="application/octet-stream", headers=headers)
        self._held = held

    async def __call__(self, *connection: Any) -> None:
        with self._held:
            await super().__call__(*connection)


def artifact(request: Request) -> Response:
    """A built file under its own name."""

    def choose(stored: Stored) -> tuple[Path, str]:
        return stored.path, stored.artifact.sha256

    return _stream(request, choose)


def bundle(request: Request) -> Response:
    """The bundle of a built file; it is zipped when it is asked for the first time."""

    def choose(stored: Stored) -> tuple[Path, str]:
        return _parts.store().bundle(stored), f"bundle-{stored.artifact.sha256}"

    return _stream(request, choose)


def traces(request: Request) -> Response:
    """What each operator did when, in the files of a run."""
    path = _parts.runs().traces(request.path_params["key"])
    if path is None:
        return PlainTextResponse(NO_TRACES, status_code=404)
    return FileResponse(path, filename=f"traces_{path.name}", media_type="application/zip")


def _stream(request: Request, choose: Callable[[Stored], tuple[Path, str]]) -> Response:
    key = request.path_params["key"]
    known = _parts.store().entry(key)
    try:
        with ExitStack() as held:
            path, etag = choose(held.enter_context(_parts.store().reading(key)))
            if path.name == request.path_params["file"]:
                return HeldFile(path, etag, held.pop_all())
    except DamagedArtifact as error:
        return _rebuild(known, error)
    except InvalidArtifact:
        pass
    except DeployError as error:
        return PlainTextResponse(f"{error}\n", status_code=503)
    return PlainTextResponse(NOT_FOUND, status_code=404)


def _rebuild(stored: Stored | None, damaged: DamagedArtifact) -> Response:
    text = f"{damaged.problem} It is being built again: try again in a minute.\n"
    try:
        if stored:
            _parts.jobs().submit(Task("build", {"build": documents.plain(stored.record.request)}))
    except DeployError as error:
        text = f"{damaged.problem} {error}\n"
    return PlainTextResponse(text, status_code=503, headers={"Retry-After": str(RETRY_SECONDS)})


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Removes what the app before this one knew of its visitors, and ends the other processes with the app."""
    # A setting that makes no sense is told on the page.
    with suppress(DeployError):
        _parts.visitors()
    yield
    _parts.jobs().close()
    _parts.inference().close()


logs.keep_discreet()
# Streamlit puts its own routes under the base path, and leaves ours to us.
BASE = f"/{st.get_option('server.baseUrlPath').strip('/')}".rstrip("/")

app = st.App(
    "pages/_shell.py",
    routes=[
        Route(f"{BASE}/artifacts/{{key}}/{{file}}", artifact),
        Route(f"{BASE}/bundles/{{key}}/{{file}}", bundle),
        Route(f"{BASE}/traces/{{key}}", traces),
        Mount(f"{BASE}/{_client.ADDRESS}", _client.Client()),
    ],
    middleware=[Middleware(Isolated)],
    lifespan=lifespan,
)

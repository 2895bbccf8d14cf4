"""The ASGI app: the Streamlit pages, and the route that streams built files from disk.

streamlit run streamlit_app.py
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy_core import settings
from deploy_core.store import Store
from pages import _parts

NOT_FOUND = "There is no such artifact. Build it again on the Build page.\n"


def artifact(request: Request) -> Response:
    """Streams a built file, with ranges; only files that a finished build lists are reachable."""
    path = Store(settings.load()).file(request.path_params["build"], request.path_params["file"])
    if path is None:
        return PlainTextResponse(NOT_FOUND, status_code=404)
    # Streamlit would gzip the stream otherwise, which is slow and breaks resumed downloads.
    return FileResponse(
        path, filename=path.name, media_type="application/octet-stream", headers={"Content-Encoding": "identity"}
    )


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Ends the worker with the app: Python would wait for it otherwise."""
    yield
    _parts.jobs().close()


app = st.App("pages/_shell.py", routes=[Route("/artifacts/{build}/{file}", artifact)], lifespan=lifespan)

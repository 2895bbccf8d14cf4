"""The ASGI app: the Streamlit pages, and the route that streams built files from disk.

streamlit run streamlit_app.py
"""

from __future__ import annotations

import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy_core import settings
from deploy_core.store import Store

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


app = st.App("pages/_shell.py", routes=[Route("/artifacts/{build}/{file}", artifact)])

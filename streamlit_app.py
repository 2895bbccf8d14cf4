"""The ASGI app: the Streamlit pages, the routes that stream files, and the middleware that protects both.

streamlit run streamlit_app.py
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import NoReturn
from urllib.parse import urlsplit

import streamlit as st
from starlette.formparsers import MultiPartParser
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from streamlit import config
from streamlit.runtime import Runtime

from deploy_core import logs, memory, settings
from deploy_core.errors import DeployError, HomeInUse
from deploy_core.settings import Settings
from deploy_core.storage import home
from pages.device import client
from pages.state import services
from web import connections, downloads, runtimes
from web.headers import Headers
from web.ready import ready
from web.uploads import Held, UploadLimits

LOOK_SECONDS = 2.0
EXIT_MISTAKE = 2
# The largest size of an upload's form around the file itself.
FORM_BYTES = 2**20

log = logging.getLogger("deit_deploy")


def held_uploads() -> Held:
    """The uploads that Streamlit holds, by session."""
    files: Held = Runtime.instance().uploaded_file_mgr.file_storage  # type: ignore[attr-defined]
    return files


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Locks the home, removes the data of former visitors, and ends the other processes at the end."""
    with ExitStack() as holding:
        # The pages report wrong settings and an unusable home.
        with suppress(DeployError):
            try:
                holding.enter_context(home.held(settings.load()))
            except HomeInUse as error:
                _refuse(error)
            services.visitors()
        looking = asyncio.create_task(_look_after())
        warming = asyncio.create_task(asyncio.to_thread(_warm_up))
        yield
        looking.cancel()
        warming.cancel()
        services.close()


async def _look_after() -> None:
    """Every ``LOOK_SECONDS``: closes sessions that visitors left, and ends stuck processes so that new ones start."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            if services.departures().look(Runtime.instance(), held_uploads()):
                await asyncio.to_thread(memory.give_back)
            await asyncio.to_thread(services.end_what_hangs)
        except DeployError:
            continue
        except Exception:
            log.exception("Looking after the sessions failed")


def _warm_up() -> None:
    """Does beforehand what the first visitor would wait for: imports what pages draw with, and starts the inference."""
    for module in ("altair", "pandas"):
        importlib.import_module(module)
    # The visitor is told what is wrong.
    with suppress(DeployError):
        services.inference().abilities()
    fetch_runtimes()


def fetch_runtimes() -> None:
    """Fetches the browsers' runtimes, if something else than ``make`` started the app and npm is here."""
    if client.runtime() is None and shutil.which("npm"):
        try:
            runtimes.fetch(client.FOLDER.parent, "--omit=dev")
        except (OSError, subprocess.CalledProcessError) as error:
            log.warning("npm could not fetch the runtimes for browsers: %s", error)


def _refuse(error: HomeInUse) -> NoReturn:
    """Ends the app with status ``EXIT_MISTAKE``. uvicorn would turn an exception into another status."""
    print(f"deit_deploy: {error}", file=sys.stderr, flush=True)
    os._exit(EXIT_MISTAKE)


def _limits() -> Settings:
    try:
        return settings.load()
    except DeployError:
        return Settings()


def _allow_hosts(limits: Settings) -> None:
    """Accepts websockets only under the app's public name, unless Streamlit's configuration names other hosts."""
    name = urlsplit(limits.public_url).hostname
    if name and not st.get_option("server.allowedHosts"):
        config.set_option("server.allowedHosts", [name, "localhost", "127.0.0.1", "::1"])


LIMITS = _limits()
logs.keep_discreet()
# A core dump would write visitors' pictures to the disk.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
connections.take_all_files()
connections.watch(connections.Waiting())
# Pictures up to the largest accepted size stay in memory; larger uploads go through an unnamed temporary file.
MultiPartParser.spool_max_size = LIMITS.picture_bytes + FORM_BYTES
_allow_hosts(LIMITS)
# Streamlit puts only its own routes under the base path.
BASE = f"/{st.get_option('server.baseUrlPath').strip('/')}".rstrip("/")

app = st.App(
    "pages/_shell.py",
    routes=[
        Route(f"{BASE}/artifacts/{{key}}/{{file}}", downloads.artifact),
        Route(f"{BASE}/bundles/{{key}}/{{file}}", downloads.bundle),
        Route(f"{BASE}/archives/{{keys}}/files.zip", downloads.archive),
        Route(f"{BASE}/traces/{{key}}", downloads.traces),
        Route(f"{BASE}/ready", ready),
        Mount(f"{BASE}/{client.ADDRESS}", client.Client()),
    ],
    middleware=[
        Middleware(Headers, framed_by=LIMITS.framed_by),
        Middleware(UploadLimits, settings=LIMITS, held=held_uploads),
    ],
    lifespan=lifespan,
)

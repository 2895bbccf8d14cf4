"""The route that says whether the app can answer, for load balancers, monitors and restarts."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deploy_core import settings
from deploy_core.errors import DeployError
from deploy_core.storage import home
from pages.state import services


def ready(_: Request) -> Response:
    """Answers 200 if the app can answer, or 503 with the reasons."""
    problems = list(_problems())
    return JSONResponse({"ready": not problems, "problems": problems}, status_code=503 if problems else 200)


def _problems() -> Iterator[str]:
    try:
        home.require(settings.load())
    except DeployError as error:
        yield str(error)
        return
    if services.decoders().are_stuck:
        yield "The processes that read pictures do nothing."
    if services.inference().is_stuck:
        yield "The inference process does nothing."

"""Routes that stream files from disk: built files, alone or all in a zip, their bundles, and the traces of a run."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from deploy_core.build import Build
from deploy_core.errors import DamagedArtifact, DeployError, InvalidArtifact
from deploy_core.formats import FORMATS
from deploy_core.storage.entry import OWNED, Stored
from pages.state import services

NOT_FOUND = "There is no such file. Build it again on the Build page.\n"
NO_TRACES = "There are no traces of this run. Measure again on the Profile page.\n"
RETRY_SECONDS = 60
PIECE_BYTES = 2**20


class HeldFile(FileResponse):
    """Streams a file of the store, with ranges, and prevents its removal until the last byte is sent."""

    def __init__(self, path: Path, headers: dict[str, str], held: ExitStack) -> None:
        # Streamlit would gzip the stream otherwise, which is slow and breaks resumed downloads.
        headers = headers | {"Content-Encoding": "identity"}
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
    """The bundle of a built file, zipped at the first request."""

    def choose(stored: Stored) -> tuple[Path, str]:
        return services.store().bundle(stored), f"bundle-{stored.artifact.sha256}"

    return _stream(request, choose)


def archive(request: Request) -> Response:
    """A zip of several built files, whose keys stand in the address with commas between them."""
    keys = list(dict.fromkeys(request.path_params["keys"].split(",")))
    try:
        with ExitStack() as held:
            if len(keys) > len(FORMATS):
                raise InvalidArtifact("These are too many files.", "Ask for fewer.")
            paths = [held.enter_context(services.store().reading(key)).path for key in keys]
            headers = {
                "Content-Disposition": 'attachment; filename="files.zip"',
                "Content-Encoding": "identity",
                "Cache-Control": "private, no-cache",
            }
            return StreamingResponse(zipped(paths, held.pop_all()), headers=headers, media_type="application/zip")
    except InvalidArtifact:
        return PlainTextResponse(NOT_FOUND, status_code=404)
    except DeployError as error:
        return PlainTextResponse(f"{error}\n", status_code=503)


def zipped(paths: Sequence[Path], held: ExitStack) -> Iterator[bytes]:
    """The pieces of a zip of these files, not compressed; ``held`` prevents their removal until the last piece."""
    pieces = Pieces()
    with held, zipfile.ZipFile(pieces, "w") as archive:
        for path in paths:
            with path.open("rb") as file, archive.open(path.name, "w", force_zip64=True) as entry:
                while piece := file.read(PIECE_BYTES):
                    entry.write(piece)
                    yield pieces.take()
    yield pieces.take()


class Pieces(io.RawIOBase):
    """A stream that cannot seek, and hands out what was written since the last time."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


def traces(request: Request) -> Response:
    """The traces of a run: when each operator of its files ran."""
    try:
        path = services.runs().traces(request.path_params["key"])
    except DeployError as error:
        return PlainTextResponse(f"{error}\n", status_code=503)
    if path is None:
        return PlainTextResponse(NO_TRACES, status_code=404)
    headers = {"Cache-Control": "private, no-cache"}
    return FileResponse(path, filename=f"traces_{path.name}", media_type="application/zip", headers=headers)


def _stream(request: Request, choose: Callable[[Stored], tuple[Path, str]]) -> Response:
    key = request.path_params["key"]
    known = None
    try:
        known = services.store().entry(key)
        with ExitStack() as held:
            path, etag = choose(held.enter_context(services.store().reading(key)))
            if path.name == request.path_params["file"]:
                headers = {"ETag": f'"{etag}"', "Cache-Control": _sharing(key)}
                if _has_already(request, headers["ETag"]):
                    return Response(status_code=304, headers=headers)
                return HeldFile(path, headers, held.pop_all())
    except DamagedArtifact as error:
        return _rebuild(known, error)
    except InvalidArtifact:
        pass
    except DeployError as error:
        return PlainTextResponse(f"{error}\n", status_code=503)
    return PlainTextResponse(NOT_FOUND, status_code=404)


def _sharing(key: str) -> str:
    """Keeps files of a visitor's own model out of shared caches. All files are revalidated by their ETag."""
    return "private, no-cache" if OWNED.match(key) else "no-cache"


def _has_already(request: Request, etag: str) -> bool:
    known = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    return etag in known or "*" in known


def _rebuild(stored: Stored | None, damaged: DamagedArtifact) -> Response:
    text = f"{damaged.problem} It is being built again: try again in a minute.\n"
    try:
        if stored:
            services.jobs().submit(Build(stored.record.request))
    except DeployError as error:
        text = f"{damaged.problem} {error}\n"
    return PlainTextResponse(text, status_code=503, headers={"Retry-After": str(RETRY_SECONDS)})

"""The real server against attacks and failures: floods, silent connections, stopped processes, foreign host names."""

from __future__ import annotations

import io
import os
import resource
import shutil
import socket
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from deploy_core import embedded
from deploy_core.settings import Settings
from deploy_core.storage.entry import EXPECTED, Stored
from deploy_core.storage.store import Store
from deploy_core.types import BuildRequest
from tests.browser.app import Server, serving
from tests.browser.visitor import Visitor

HALF_OPEN = 1100
UPLOAD = bytes(10_000_000)
LIMITS = {
    "DEIT_DEPLOY_PUBLIC_URL": "https://deit.example/deit",
    "DEIT_DEPLOY_SESSION_UPLOAD_BYTES": "65000000",
    "DEIT_DEPLOY_ALL_UPLOAD_BYTES": "100000000",
    "DEIT_DEPLOY_FRAMED_BY": "https://huggingface.co",
}
OWNED = f"{'0123' * 8}-onnx_int8-0123456789abcdef"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), settings=LIMITS, open_files=1024) as served:
        yield served
    assert "Traceback" not in served.log


@pytest.fixture(scope="module")
def stored(server: Server) -> Stored:
    """A built file in the app's store."""
    store = Store(Settings(home=server.folder / "home"))
    store.adopt(embedded.ARTIFACTS)
    return store.find(BuildRequest("demo", "pretrained", ("onnx_int8",)))["onnx_int8"]


def web_megabytes(server: Server) -> float:
    return psutil.Process(server.process.pid).memory_info().rss / 1e6


def child(server: Server, module: str) -> psutil.Process:
    children = psutil.Process(server.process.pid).children(recursive=True)
    return next(one for one in children if module in one.cmdline() and one.nice() == 0)


def end(process: psutil.Process) -> None:
    """Kills a process, and waits until the system has taken its memory back."""
    process.kill()
    with suppress(psutil.NoSuchProcess):
        # Its parent can collect it only when its last thread has ended.
        while process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1:
            time.sleep(0.01)


def test_a_picture_is_never_on_the_disk_and_a_larger_file_under_no_name(server: Server) -> None:
    """Starlette spools large uploads into unnamed temporary files while they arrive."""

    def spooled() -> int:
        """Bytes in files without a name that the web process holds open."""
        held = Path(f"/proc/{server.process.pid}/fd")
        return sum(one.stat().st_size for one in held.iterdir() if str(_target(one)).endswith("(deleted)"))

    with Visitor(server) as visitor:
        visitor.look()
        for megabytes, is_on_disk in ((19, False), (30, True)):
            seen = list[int]()

            def pieces(megabytes: int = megabytes, seen: list[int] = seen) -> Iterator[bytes]:
                for _ in range(megabytes):
                    yield bytes(1_000_000)
                time.sleep(0.3)
                seen.append(spooled())

            assert visitor.upload_in_pieces("a file", pieces()).status_code == 204
            assert (seen[0] > 0) == is_on_disk
            visitor.discard("a file")


def test_all_files_come_in_one_zip(server: Server, stored: Stored) -> None:
    whole = requests.get(f"{server.address}/archives/{stored.key}/files.zip", timeout=60)
    with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
        assert archive.namelist() == [stored.artifact.file]
        assert archive.read(stored.artifact.file) == stored.path.read_bytes()
    for keys in ("nothing", f"{stored.key},nothing", "..%2F..%2Fetc", ",".join(str(number) for number in range(100))):
        assert requests.get(f"{server.address}/archives/{keys}/files.zip", timeout=60).status_code in (400, 404)


@dataclass(frozen=True)
class Flood:
    """The responses to two visitors who uploaded all they could, the web process's memory, and when they left."""

    one: list[tuple[int, str]]
    other: list[tuple[int, str]]
    megabytes_before: float
    megabytes_more: float
    left_at: float


@pytest.fixture(scope="module")
def flood(server: Server) -> Flood:
    with Visitor(server) as visitor, Visitor(server) as other:
        visitor.look()
        other.look()
        before = web_megabytes(server)
        first = [visitor.upload(f"{number}.png", UPLOAD) for number in range(15)]
        second = [other.upload(f"{number}.png", UPLOAD) for number in range(4)]
        more = web_megabytes(server) - before

    def told(answers: list[requests.Response]) -> list[tuple[int, str]]:
        return [(answer.status_code, answer.text.partition(".")[0]) for answer in answers]

    return Flood(told(first), told(second), before, more, time.monotonic())


def test_what_visitors_upload_is_bounded(flood: Flood) -> None:
    taken = (204, "")
    assert flood.one == [taken] * 6 + [(413, "You have uploaded as much as this app keeps for one visitor")] * 9
    assert flood.other == [taken] * 3 + [(413, "Other visitors' uploads take all the room")]
    assert flood.megabytes_more < 150


def test_a_stranger_who_opens_connections_and_says_nothing_locks_nobody_out(server: Server) -> None:
    address = urlsplit(server.address)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    with ExitStack() as opened:
        for _ in range(HALF_OPEN):
            silent = opened.enter_context(socket.create_connection((address.hostname, address.port), 10))
            silent.sendall(b"GET / HTTP/1.1\r\nHost: deit.example\r\nX-Slow: ")
        started = time.monotonic()
        assert requests.get(f"{server.address}/_stcore/health", timeout=10).text == "ok"
        with Visitor(server) as visitor:
            visitor.look()
            assert visitor.errors == []
        assert time.monotonic() - started < 10


def test_a_stopped_inference_process_is_a_sentence_and_the_next_answer_comes(server: Server) -> None:
    with Visitor(server, 30) as visitor:
        visitor.look()
        # The answers of the included weights to the samples ship with the project.
        visitor.choose("Weights", "Random")
        child(server, "deploy_core.worker.main").suspend()
        assert visitor.look("Guitar") < 20
        assert any("stopped answering" in error for error in visitor.errors)
        visitor.errors.clear()
        assert visitor.look("Coffee") < 20
        end(child(server, "deploy_core.worker.main"))
        # The app notices that the process is gone before it sends it anything.
        assert visitor.look("Guitar") < 20
        assert visitor.errors == []
    assert requests.get(f"{server.address}/ready", timeout=10).json() == {"ready": True, "problems": []}


@pytest.mark.parametrize("host", ["evil.test", "deit.example.evil.test", "169.254.1.1"])
def test_a_websocket_under_a_foreign_name_is_refused(server: Server, host: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        websocket(server, host)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("host", ["deit.example", "localhost"])
def test_a_websocket_under_the_apps_own_name_is_taken(server: Server, host: str) -> None:
    websocket(server, host)


def websocket(server: Server, host: str) -> None:
    address = urlsplit(server.address)
    assert address.port
    name = f"{host}:{address.port}"
    opened = socket.create_connection(("127.0.0.1", address.port), 10)
    with (
        opened,
        connect(
            f"ws://{name}/_stcore/stream",
            sock=opened,
            origin=Origin(f"http://{name}"),
            subprotocols=[Subprotocol("streamlit")],
        ),
    ):
        pass


def test_a_path_sent_for_a_choice_is_not_opened(server: Server, tmp_path: Path) -> None:
    """Streamlit passes on any text that a visitor sends for a choice."""
    canary = tmp_path / "canary.safetensors"
    canary.write_bytes(embedded.WEIGHTS.read_bytes())
    os.utime(canary, ns=(10**18, 2 * 10**18))
    with Visitor(server) as visitor:
        visitor.look()
        for label in ("Model", "Weights", "Sample"):
            visitor.choose(label, str(canary))
            assert visitor.errors == []
    assert canary.stat().st_atime_ns == 10**18


def test_every_answer_tells_the_browser_whom_to_trust(server: Server, stored: Stored) -> None:
    for path in ("/", "/ready", "/client/src/main.js", f"/artifacts/{stored.key}/{stored.artifact.file}", "/nothing"):
        headers = requests.get(f"{server.address}{path}", timeout=10).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["frame-ancestors"] == "'self' https://huggingface.co"
        assert policy["default-src"] == "'self'"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_what_streamlit_counts_is_nobodys(server: Server) -> None:
    assert requests.get(f"{server.address}/_stcore/metrics", timeout=10).status_code == 404


def test_a_file_that_the_browser_has_is_not_sent_again(server: Server, stored: Stored) -> None:
    url = f"{server.address}/artifacts/{stored.key}/{stored.artifact.file}"
    etag = f'"{stored.artifact.sha256}"'
    first = requests.get(url, timeout=30)
    assert (first.status_code, first.headers["ETag"], first.headers["Cache-Control"]) == (200, etag, "no-cache")
    for known in (etag, f'"other", W/{etag}', "*"):
        again = requests.get(url, headers={"If-None-Match": known}, timeout=30)
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    assert requests.get(url, headers={"If-None-Match": '"other"'}, timeout=30).status_code == 200


def test_what_is_a_visitors_own_is_for_no_shared_cache(server: Server, stored: Stored) -> None:
    shutil.copytree(stored.folder, stored.folder.with_name(OWNED))
    found = requests.get(f"{server.address}/artifacts/{OWNED}/{stored.artifact.file}", timeout=30)
    assert (found.status_code, found.headers["Cache-Control"]) == (200, "private, no-cache")


def test_an_entry_that_is_not_whole_is_not_there(server: Server, stored: Stored) -> None:
    copy = stored.folder.with_name(f"{stored.key[:-4]}beef")
    shutil.copytree(stored.folder, copy)
    url = f"{server.address}/artifacts/{copy.name}/{stored.artifact.file}"
    store = Store(Settings(home=server.folder / "home"))
    (copy / EXPECTED).write_text("{")
    assert requests.get(url, timeout=30).status_code == 503
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(stored.folder, copy)
    (copy / EXPECTED).unlink()
    assert store.entry(copy.name) is None
    found = requests.get(url, timeout=30)
    assert (found.status_code, found.text) == (404, "There is no such file. Build it again on the Build page.\n")


def test_what_visitors_uploaded_is_given_back(server: Server, flood: Flood) -> None:
    while (stays := web_megabytes(server) - flood.megabytes_before) > 50:
        assert time.monotonic() - flood.left_at < 30, f"{stays:.0f} MB stay"
        time.sleep(0.5)


def _target(link: Path) -> Path:
    try:
        return link.readlink()
    except OSError:
        return Path()

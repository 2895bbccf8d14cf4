"""The real nginx with ``hosting/nginx.conf``, in front of the real app, and what strangers do to it."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.browser.app import PROJECT, Server, serving
from tests.browser.proxy import HOST, certificate

BASE_PATH = "/deit"
NEIGHBOUR = "127.0.0.2"
HALF_OPEN = 1100
MEBI = 1 << 20
OF_A_CONNECTION = ("connection", "date", "server", "transfer-encoding")
# What docs/hosting.md says about the main nginx.conf. Nothing is written outside of the test's folder.
MAIN = """
{user}
pid {folder}/pid;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/deit-deploy.conf;
}}
"""


@dataclass(frozen=True)
class Hosted:
    """The app, and the certificate of the host that it is on."""

    server: Server
    certificate: Path

    @property
    def port(self) -> int:
        port = urlsplit(self.server.address).port
        assert port
        return port

    def connections(self) -> int:
        """How many the web process holds."""
        process = psutil.Process(self.server.process.pid)
        held = process.net_connections("tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == self.port for one in held)


@dataclass(frozen=True)
class Front:
    """A running nginx: its ports, its certificate, and who trusts that."""

    port: int
    port_without_tls: int
    certificate: Path
    trusting: ssl.SSLContext

    def get(self, path: str) -> requests.Response:
        return requests.get(f"https://127.0.0.1:{self.port}{path}", verify=str(self.certificate), timeout=10)

    def connection(self, visitor: str = "127.0.0.1") -> ssl.SSLSocket:
        """A connection on which nothing was said, from the address ``visitor``."""
        opened = socket.create_connection(("127.0.0.1", self.port), 10, (visitor, 0))
        return self.trusting.wrap_socket(opened, server_hostname=HOST)

    def websocket(self, visitor: str = "127.0.0.1") -> ClientConnection:
        """What the page opens in a browser, which knows nothing but the host's name."""
        return connect(
            f"ws://{HOST}:{self.port}{BASE_PATH}/_stcore/stream",
            sock=self.connection(visitor),
            origin=Origin(f"https://{HOST}:{self.port}"),
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
        )


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    signed = certificate(tmp_path_factory.mktemp("tls"))
    # More than nginx lets through, so that each answers for itself.
    room = {"DEIT_DEPLOY_SESSION_UPLOAD_BYTES": "450000000"}
    with serving(tmp_path_factory.mktemp("server"), base_path=BASE_PATH, settings=room) as server:
        yield Hosted(server, signed)


@contextmanager
def nginx(folder: Path, hosted: Hosted, was: str = "", becomes: str = "") -> Iterator[Front]:
    """nginx with the host's file, in which ``was`` becomes something else."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "no nginx: run `make test`, or install Debian's package"
    port, port_without_tls = free_ports()
    here = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "listen [::]:443 ssl;": "",
        "listen 80;": f"listen 127.0.0.1:{port_without_tls};",
        "listen [::]:80;": "",
        "server 127.0.0.1:8501 ": f"server 127.0.0.1:{hosted.port} ",
        "/etc/letsencrypt/live/deit.example/fullchain.pem": str(hosted.certificate),
        "/etc/letsencrypt/live/deit.example/privkey.pem": str(hosted.certificate),
        "/var/log/nginx/error.log": str(folder / "log"),
        was: becomes,
    }
    written = (PROJECT / "hosting" / "nginx.conf").read_text()
    for old, new in here.items():
        assert old in written, f"hosting/nginx.conf has no {old!r}"
        written = written.replace(old, new) if old else written
    (folder / "deit-deploy.conf").write_text(written)
    # Its processes give up root for a user who cannot read the folders of tests.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(user=user, folder=folder))
    command = [program, "-e", str(folder / "log"), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            wait_for(port, folder / "log")
            trusting = ssl.create_default_context(cafile=hosted.certificate)
            # The websockets' client reads and writes in two threads; OpenSSL bears that only where the server sends
            # nothing of its own, as TLS 1.3 does after its handshake.
            trusting.maximum_version = ssl.TLSVersion.TLSv1_2
            yield Front(port, port_without_tls, hosted.certificate, trusting)
        finally:
            process.terminate()


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def wait_for(port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def first_page(websocket: ClientConnection) -> list[ForwardMsg]:
    """The messages that a browser gets when it opens the first page."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    websocket.send(message.SerializeToString())
    messages: list[ForwardMsg] = []
    while not messages or messages[-1].WhichOneof("type") != "script_finished":
        received = websocket.recv(timeout=60)
        assert isinstance(received, bytes)
        messages.append(ForwardMsg.FromString(received))
    return messages


def is_classified(messages: list[ForwardMsg]) -> bool:
    return any(message.delta.new_element.metric.body == "zebra" for message in messages)


def test_a_websocket_passes_and_the_app_answers(tmp_path: Path, hosted: Hosted) -> None:
    with nginx(tmp_path, hosted) as front, front.websocket() as websocket:
        assert is_classified(first_page(websocket))


def test_headers_of_the_app_arrive(tmp_path: Path, hosted: Hosted) -> None:
    with nginx(tmp_path, hosted) as front:
        through = front.get(f"{BASE_PATH}/").headers
    straight = requests.get(f"{hosted.server.address}/", timeout=10).headers
    assert "cross-origin-opener-policy" in straight
    assert {name: through.get(name) for name in straight if name not in OF_A_CONNECTION} == {
        name: value for name, value in straight.items() if name not in OF_A_CONNECTION
    }
    assert through["server"] == "nginx"


def test_a_base_path_is_all_that_is_served(tmp_path: Path, hosted: Hosted) -> None:
    with nginx(tmp_path, hosted, "location / {", "location /deit/ {") as front:
        assert front.get(f"{BASE_PATH}/_stcore/health").text == "ok"
        assert "Streamlit" in front.get(f"{BASE_PATH}/build").text
        assert front.get("/_stcore/health").status_code == 404
        with front.websocket() as websocket:
            assert is_classified(first_page(websocket))


def test_http_leads_to_https(tmp_path: Path, hosted: Hosted) -> None:
    with nginx(tmp_path, hosted) as front:
        address = f"http://127.0.0.1:{front.port_without_tls}/deit/build?model=demo"
        answer = requests.get(address, headers={"Host": HOST}, allow_redirects=False, timeout=10)
    assert answer.status_code == 301
    assert answer.headers["location"] == f"https://{HOST}/deit/build?model=demo"


@pytest.mark.parametrize(("size", "answer"), [(401 * MEBI, "403"), (401 * MEBI + 1, "413")])
def test_what_no_upload_may_be_is_refused_before_the_app(
    size: int, answer: str, tmp_path: Path, hosted: Hosted
) -> None:
    with nginx(tmp_path, hosted) as front, front.connection() as upload:
        upload.sendall(begun_upload("nobody", f"Content-Length: {size}"))
        assert upload.recv(4096).decode().split()[1] == answer


def test_an_upload_that_goes_silent_is_let_go(tmp_path: Path, hosted: Hosted) -> None:
    with nginx(tmp_path, hosted, "client_body_timeout 30s;", "client_body_timeout 3s;") as front:
        token = front.get(f"{BASE_PATH}/_stcore/health").cookies["_streamlit_xsrf"]
        allowed = (f"Cookie: _streamlit_xsrf={token}", f"X-Xsrftoken: {token}")
        sizes = ("Content-Type: multipart/form-data; boundary=x", "Content-Length: 1000")
        with front.websocket() as websocket, front.connection() as upload:
            new_session = next(one for one in first_page(websocket) if one.WhichOneof("type") == "new_session")
            before = hosted.connections()
            upload.sendall(begun_upload(new_session.new_session.initialize.session_id, *allowed, *sizes))
            upload.settimeout(0.5)
            with pytest.raises(TimeoutError):
                upload.recv(1)
            assert hosted.connections() == before + 1
            upload.settimeout(10)
            assert is_closed(upload)
            deadline = time.monotonic() + 5
            while hosted.connections() > before:
                assert time.monotonic() < deadline


def begun_upload(session: str, *headers: str) -> bytes:
    lines = (f"PUT {BASE_PATH}/_stcore/upload_file/{session}/file HTTP/1.1", f"Host: {HOST}", *headers)
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def test_who_never_finishes_a_header_is_let_go_and_the_app_hears_nothing(tmp_path: Path, hosted: Hosted) -> None:
    before = hosted.connections()
    with nginx(tmp_path, hosted, "client_header_timeout 15s;", "client_header_timeout 1s;") as front:
        plain = socket.create_connection(("127.0.0.1", front.port_without_tls))
        with front.connection() as slow, plain:
            for connection in (slow, plain):
                started = time.monotonic()
                connection.settimeout(0.2)
                connection.sendall(f"GET {BASE_PATH}/ HTTP/1.1\r\nX-Slow: ".encode())
                while not is_closed(connection):
                    assert time.monotonic() - started < 5
                    assert hosted.connections() == before
                    with suppress(ConnectionError):
                        connection.sendall(b"x")


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.fixture
def many_files() -> Iterator[None]:
    """The usual 1,024 are too few for the strangers' ends of the connections."""
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))


def test_a_thousand_half_open_requests_leave_the_app_to_others(
    tmp_path: Path, hosted: Hosted, many_files: None
) -> None:
    before = hosted.connections()
    # Long enough for slow machines to open all of them.
    with (
        nginx(tmp_path, hosted, "client_header_timeout 15s;", "client_header_timeout 120s;") as front,
        ExitStack() as stack,
    ):
        silent = [stack.enter_context(front.connection()) for _ in range(HALF_OPEN)]
        for connection in silent:
            connection.sendall(f"GET {BASE_PATH}/ HTTP/1.1\r\nX-Slow: ".encode())
        assert hosted.connections() == before
        with front.websocket(NEIGHBOUR) as websocket:
            assert is_classified(first_page(websocket))
        assert front.get(f"{BASE_PATH}/_stcore/health").text == "ok"
        for connection in (silent[0], silent[-1]):
            connection.settimeout(0.2)
            assert not is_closed(connection)


def test_an_address_has_its_share_of_connections(tmp_path: Path, hosted: Hosted) -> None:
    with (
        nginx(tmp_path, hosted, "limit_conn deit_deploy 250;", "limit_conn deit_deploy 20;") as front,
        ExitStack() as stack,
    ):
        for _ in range(20):
            stack.enter_context(front.websocket())
        with pytest.raises(InvalidStatus, match="429"):
            front.websocket()
        with front.websocket(NEIGHBOUR) as websocket:
            assert is_classified(first_page(websocket))

from __future__ import annotations

import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests.adapters

from deploy_core.errors import InvalidPicture, PictureUnreachable
from deploy_core.pictures import fetch as fetching
from deploy_core.pictures.decode import decode
from deploy_core.pictures.fetch import fetch, is_public
from deploy_core.settings import Settings

LIMIT = 100_000
SETTINGS = Settings(picture_bytes=LIMIT, fetch_seconds=5)
HURRIED = Settings(picture_bytes=LIMIT, fetch_seconds=0.4)
OVER = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Answers /NAME with the method ``NAME``, and records the path and headers of every request."""

    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        try:
            getattr(self, self.path.strip("/").split("?")[0])()
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def redirect(self, location: str) -> None:
        self.answer(b"", 302, Location=location)

    def ok(self) -> None:
        self.answer(b"bytes")

    def missing(self) -> None:
        self.answer(b"no", 404)

    def partial(self) -> None:
        self.answer(b"half", 206)

    def empty(self) -> None:
        self.answer(b"")

    def page(self) -> None:
        self.answer(b"<html>not a picture</html>", Content_Type="image/png")

    def limit(self) -> None:
        self.answer(bytes(LIMIT))

    def huge(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(10**12))
        self.end_headers()

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(bytes(8192))

    def endless_chunks(self) -> None:
        self.chunked()
        while True:
            self.wfile.write(b"1000\r\n" + bytes(4096) + b"\r\n")

    def chunks(self) -> None:
        self.chunked()
        self.wfile.write(b"2\r\nby\r\n3\r\ntes\r\n0\r\n\r\n")

    def broken_chunks(self) -> None:
        self.chunked()
        self.wfile.write(b"2\r\nby\r\nzz\r\n")

    def endless_chunk_size(self) -> None:
        self.chunked()
        while True:
            self.wfile.write(b"0" * 8192)

    def chunked(self) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def short(self) -> None:
        self.answer(b"bytes", Content_Length="50")

    def zipped(self) -> None:
        self.answer(gzip.compress(bytes(10**7)), Content_Encoding="gzip")

    def lying(self) -> None:
        self.answer(b"bytes", Content_Encoding="gzip")

    def drip_body(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not OVER.wait(0.05):
            self.wfile.write(b"x")

    def drip_headers(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\n")
        while not OVER.wait(0.05):
            self.wfile.write(b"X-More: y\r\n" if self.path.endswith("?lines") else b"x")

    def silent(self) -> None:
        OVER.wait(5)

    def garbage(self) -> None:
        self.wfile.write(b"\0\1\2 what is this\r\n\r\n")

    def many_headers(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n")

    def once(self) -> None:
        self.redirect("/ok")

    def loop(self) -> None:
        self.redirect("/loop")

    def five(self) -> None:
        left = int(self.path.partition("?")[2])
        self.redirect(f"/five?{left - 1}" if left > 1 else "/ok")

    def to(self) -> None:
        self.redirect(unquote(self.path.partition("?")[2]))

    def endless_redirect(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/ok")
        self.end_headers()
        while True:
            self.wfile.write(bytes(8192))

    def zipped_redirect(self) -> None:
        self.answer(gzip.compress(bytes(10**7)), 302, Location="/ok", Content_Encoding="gzip")

    def nowhere(self) -> None:
        self.answer(b"", 302)

    def cookie(self) -> None:
        self.answer(b"", 302, Location="/ok", Set_Cookie="a=b")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on 127.0.0.1, which counts as public in the test. No other local address does."""
    monkeypatch.setattr(fetching, "is_public", lambda address: address == "127.0.0.1" or is_public(address))
    OVER.clear()
    with Server() as running:
        monkeypatch.setattr(fetching, "PORTS", (80, running.port))
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        OVER.set()
        running.shutdown()


def refused(url: str, settings: Settings = SETTINGS) -> str:
    with pytest.raises(PictureUnreachable) as caught:
        fetch(url, settings)
    assert caught.value.remedy
    return caught.value.problem


# is_public


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.216.34",
        "2606:4700:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "2001:0:808:808::f7f7:f7f7",
    ],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::808:808",
        "100::1",
        "2001:db8::1",
        "2001:0:808:808::80ff:fffe",
        "2001:0:a00:1::f7f7:f7f7",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "2002:c058:6301::1",
        "3fff::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


# Addresses that are refused before a request


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "http://127.1",
        "http://localhost",
        "http://LOCALHOST.",
        "http://2130706433",
        "http://0x7f000001",
        "http://0177.0.0.1",
        "http://[::1]",
        "http://[::]",
        "http://[::ffff:127.0.0.1]",
        "http://[::ffff:7f00:1]",
        "http://[64:ff9b::7f00:1]",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://0",
        "https://127.0.0.1",
        "HTTPS://192.168.1.1:8443/x.png",
        "http://127.0.0.1#@example.org",
        "http://127.0.0.1?@example.org",
        "http://0x7f.1",
        "http://017700000001",
        "http://0x7f.0x0.0x0.0x1",
        "http://127.0.1",
        "http://[0:0:0:0:0:0:0:1]:80/",
        "http://[2002:7f00:1::1]/",
        "http://[2001:0:a00:1::f7f7:f7f7]/",
        "http://[fec0::1]/",
        "http://[::ffff:169.254.169.254]/latest",
        "http://127.0.0.1:8080/%0d%0aFLUSHALL",
        "http://127%2e0%2e0%2e1/",
    ],
)
def test_addresses_inside_are_never_connected_to(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    def connect(*_: object) -> None:
        pytest.fail("connected")

    monkeypatch.setattr(fetching._Connections, "_connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", only_addresses(socket.getaddrinfo))
    assert "points into this machine or a private network" in refused(url)


def only_addresses(lookup: object) -> object:
    """getaddrinfo without a name server: numeric addresses and localhost only."""

    def looked_up(host: str, *rest: object, **options: object) -> object:
        if host.rstrip(".").lower() == "localhost":
            host = "127.0.0.1"
        return lookup(host, *rest, flags=socket.AI_NUMERICHOST, **options)  # type: ignore[operator]

    return looked_up


def test_the_message_says_that_the_address_points_inside() -> None:
    assert refused("http://127.0.0.1") == "127.0.0.1 points into this machine or a private network."


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a.png",
        "data:image/png;base64,AAAA",
        "gopher://x",
        "javascript:x",
        "dict://127.0.0.1:11211/stat",
        "jar:http://127.0.0.1!/",
        "//127.0.0.1/",
        "unix:/run/docker.sock",
        "blob:http://127.0.0.1/x",
        "//x/y",
        "x.png",
        "",
    ],
)
def test_other_schemes_are_refused(url: str) -> None:
    assert "http:// or https://" in refused(url)


@pytest.mark.parametrize("url", ["http://user:pw@127.0.0.1", "http://user@example.org", "https://1.1.1.1@127.0.0.1/"])
def test_user_names_and_passwords_are_refused(url: str) -> None:
    assert "user name or a password" in refused(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///path",
        "http://?x",
        "http://[::1",
        "http://::1]",
        "http://[]",
        "http://[x]/",
        "http://example.org:99999",
        "http://example.org:-1",
        "http://example.org:port",
        "http://[fe80::1%25lo]",
        "http://example.org\\@127.0.0.1",
        "http://①②⑦.0.0.1",
        "http://exa mple.org",
        "http://example.org/a b.png",
        " http://example.org",
        "http://example.org\n",
        "http://example.org/\r\nX-Injected: 1",
        "http://exam\0ple.org",
        "http://*.example.org",
        "http://.example.org",
        f"http://{'a' * 64}ä.org",
        "http://xn--\u00e4.org",
        "http://%zz/",
        f"http://example.org/{'a' * 100_000} b",
        "http://\ud800.org/",
        "http://example.org/\ud800",
    ],
)
def test_malformed_addresses_are_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", only_addresses(socket.getaddrinfo))
    assert "well-formed" in refused(url) or "no host" in refused(url)


# Answers


def test_the_bytes_are_returned(server: Server) -> None:
    assert fetch(server.url("ok"), SETTINGS) == b"bytes"
    _, headers = server.seen[0]
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("empty", b""),
        ("chunks", b"bytes"),
        ("lying", b"bytes"),
        ("limit", bytes(LIMIT)),
        ("zipped", gzip.compress(bytes(10**7))),
    ],
)
def test_bodies_come_as_they_are_sent(server: Server, path: str, expected: bytes) -> None:
    data = fetch(server.url(path), SETTINGS)
    assert data[:3] + data[10:] == expected[:3] + expected[10:]  # a gzip header holds the time


def test_what_is_no_picture_is_refused_by_decode(server: Server) -> None:
    with pytest.raises(InvalidPicture):
        decode(fetch(server.url("page"), SETTINGS), SETTINGS)


@pytest.mark.parametrize(("path", "status"), [("missing", 404), ("partial", 206), ("nowhere", 302)])
def test_other_statuses_are_named(server: Server, path: str, status: int) -> None:
    assert str(status) in refused(server.url(path))


@pytest.mark.parametrize("path", ["huge", "endless", "endless_chunks"])
def test_too_many_bytes_are_refused_at_the_limit(server: Server, path: str) -> None:
    with pytest.raises(InvalidPicture, match="larger than"):
        fetch(server.url(path), SETTINGS)


@pytest.mark.parametrize("path", ["short", "broken_chunks", "endless_chunk_size", "garbage", "many_headers"])
def test_broken_answers(server: Server, path: str) -> None:
    assert "failed or was interrupted" in refused(server.url(path))


@pytest.mark.parametrize("path", ["drip_body", "drip_headers", "drip_headers?lines", "silent"])
def test_the_deadline_holds_whatever_drips(server: Server, path: str) -> None:
    started = time.monotonic()
    problem = refused(server.url(path), HURRIED)
    assert time.monotonic() - started < 1
    assert "0.4 seconds" in problem or "too long" in problem
    wait_for_fetches_to_end()


def wait_for_fetches_to_end() -> None:
    for thread in threading.enumerate():
        if thread.name == "fetch":
            thread.join(1)
            assert not thread.is_alive()


def test_the_deadline_holds_for_a_slow_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()

    def slow(*_: object, **__: object) -> list[object]:
        answers.wait(5)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 80))]

    opened = []
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: opened.append(address))
    assert "0.4 seconds" in refused("http://pictures.test/", HURRIED)
    answers.set()
    wait_for_fetches_to_end()
    assert not opened


def test_a_port_that_nobody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetching, "is_public", lambda address: address == "127.0.0.1")
        patch.setattr(fetching, "PORTS", (port,))
        assert "failed or was interrupted" in refused(f"http://127.0.0.1:{port}/")


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", only_addresses(socket.getaddrinfo))
    assert refused("http://nowhere.test/") == "There is no host named nowhere.test."


@pytest.mark.parametrize("path", ["ok", "missing", "endless", "once", "drip_body"])
def test_no_socket_stays_open(server: Server, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    connect, opened = fetching._Connections._connect, []

    def noted(*arguments: Any) -> socket.socket:
        opened.append(connect(*arguments))
        return opened[-1]

    monkeypatch.setattr(fetching._Connections, "_connect", noted)
    with suppress(InvalidPicture, PictureUnreachable):
        fetch(server.url(path), HURRIED)
    wait_for_fetches_to_end()
    assert opened
    assert all(each.fileno() == -1 for each in opened)


def test_the_environment_has_no_effect(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert fetch(server.url("ok"), SETTINGS) == b"bytes"
    assert "Authorization" not in server.seen[0][1]


# Redirects


@pytest.mark.parametrize("path", ["once", "five?5", "endless_redirect", "zipped_redirect", "cookie"])
def test_redirects_are_followed(server: Server, path: str) -> None:
    assert fetch(server.url(path), SETTINGS) == b"bytes"
    assert "Cookie" not in server.seen[-1][1]


@pytest.mark.parametrize("path", ["loop", "five?6"])
def test_at_most_five_redirects(server: Server, path: str) -> None:
    assert "more than 5 times" in refused(server.url(path))
    assert len(server.seen) == 6


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.2/", "http://10.0.0.1/", "http://[::1]/", "//127.0.0.2/", "http://2130706434/", "https://0/"],
)
def test_a_redirect_inside_is_refused(server: Server, location: str) -> None:
    assert "private network" in refused(server.url(f"to?{location}"))


PORT = "Pictures are fetched from the ports 80, 443, 8080, 8443 only."


@pytest.mark.parametrize(
    "url", ["http://example.org:22/", "http://127.0.0.1:6379/x", "https://example.org:8000/", "http://x:0/"]
)
def test_other_ports_are_not_tried(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked"))
    assert refused(url) == PORT


def test_a_redirect_to_another_port_is_refused(server: Server) -> None:
    assert "from the ports" in refused(server.url("to?http://127.0.0.1:22/"))


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://example.org/", "data:image/png,x"])
def test_a_redirect_to_another_scheme_is_refused(server: Server, location: str) -> None:
    assert "http:// or https://" in refused(server.url(f"to?{location}"))


@pytest.mark.parametrize("location", ["http://[::1", "http://", "http://u:p@127.0.0.1/", "http://x:99999/"])
def test_a_malformed_redirect_is_refused(server: Server, location: str) -> None:
    assert refused(server.url(f"to?{location}"))


# Names


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Names resolve to each of ``answers`` in turn; returns the list of names that were looked up."""
    asked: list[str] = []

    def looked_up(host: str, port: int, *_: object, **__: object) -> list[object]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return asked


def test_only_the_checked_address_is_connected_to(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    connect, connected = socket.socket.connect, []

    def noted(opened: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address)
        connect(opened, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    assert fetch(f"http://pictures.test:{server.port}/ok", SETTINGS) == b"bytes"
    assert asked == ["pictures.test"]
    assert connected == [("127.0.0.1", server.port)]
    assert server.seen[0][1]["Host"] == f"pictures.test:{server.port}"


def test_a_redirect_is_checked_again_though_its_name_was_good_before(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    assert "private network" in refused(f"http://pictures.test:{server.port}/once")
    assert asked == ["pictures.test", "pictures.test"]


def test_one_address_inside_refuses_the_name(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["127.0.0.1", "10.0.0.1"])
    assert "private network" in refused(f"http://pictures.test:{server.port}/ok")
    assert not server.seen


def test_the_next_address_is_tried(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "is_public", lambda address: address in ("127.0.0.1", "127.0.0.3"))
    resolving(monkeypatch, ["127.0.0.3", "127.0.0.1"])
    assert fetch(f"http://pictures.test:{server.port}/ok", SETTINGS) == b"bytes"


# TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a self-signed certificate for pictures.test, in one file."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("there is no openssl")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=pictures.test "
        f"-addext subjectAltName=DNS:pictures.test -keyout {folder}/key -out {folder}/cert"
    )
    subprocess.run([openssl, *command.split()], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return both


@pytest.fixture
def secure(server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Makes the server speak TLS; returns the list of names that clients ask it for."""
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    resolving(monkeypatch, ["127.0.0.1"])
    return names


def trust(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(certificate))


def test_tls_is_checked_against_the_name(
    server: Server, secure: list[str | None], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(certificate, monkeypatch)
    assert fetch(f"https://pictures.test:{server.port}/ok", SETTINGS) == b"bytes"
    assert secure == ["pictures.test"]
    assert "No secure connection" in refused(f"https://other.test:{server.port}/ok")


@pytest.mark.usefixtures("secure")
def test_unknown_certificates_are_refused(server: Server) -> None:
    assert "No secure connection" in refused(f"https://pictures.test:{server.port}/ok")


@pytest.mark.usefixtures("secure")
def test_the_deadline_holds_over_tls(server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(certificate, monkeypatch)
    started = time.monotonic()
    refused(f"https://pictures.test:{server.port}/drip_body", HURRIED)
    assert time.monotonic() - started < 1
    wait_for_fetches_to_end()


def test_the_deadline_holds_for_a_handshake_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "is_public", lambda address: address == "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        refused(f"https://127.0.0.1:{silent.getsockname()[1]}/", HURRIED)
        assert time.monotonic() - started < 1
        wait_for_fetches_to_end()


# The log


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/secret.png?token=hidden",
        "http://secret.test/hidden.png",
        "http://1.1.1.1@secret.test/hidden",
        "http://127.0.0.1:{port}/missing?hidden",
        "http://127.0.0.1:{port}/short?hidden",
        "http://127.0.0.1:{port}/garbage?hidden",
        "https://127.0.0.1:{port}/hidden",
    ],
)
def test_the_log_says_nothing_of_what_a_visitor_fetches(
    server: Server, url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", only_addresses(socket.getaddrinfo))
    with caplog.at_level("INFO"):
        error = refused(url.format(port=server.port))
    assert "hidden" not in error
    assert not caplog.records

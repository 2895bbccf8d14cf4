"""Addresses of every hostile kind, against servers on this machine."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest

from deploy_core import embedded, fetch, images
from deploy_core.errors import InvalidPicture, PictureUnreachable
from deploy_core.settings import Settings

LIMITS = dataclasses.replace(Settings(), fetch_seconds=1.0, picture_bytes=2**20)
CAT = (embedded.SAMPLES / "chelsea.png").read_bytes()


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name, _, target = self.path[1:].partition("?")
        getattr(self, f"answer_{name}", self.answer_missing)(target)

    def send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_cat(self, _: str) -> None:
        self.send(200, {"Content-Length": str(len(CAT)), "Content-Type": "text/html"}, CAT)

    def answer_page(self, _: str) -> None:
        self.send(200, {"Content-Type": "image/png"}, b"<html>not a picture</html>")

    def answer_missing(self, _: str) -> None:
        self.send(404, {})

    def answer_to(self, target: str) -> None:
        self.send(302, {"Location": unquote(target)})

    def answer_loop(self, _: str) -> None:
        self.send(301, {"Location": "/loop"})

    def answer_announced(self, _: str) -> None:
        self.send(200, {"Content-Length": str(10**12)})

    def answer_endless(self, _: str) -> None:
        self.send(200, {})
        self.drip(b"x" * 65536, 0)

    def answer_slow(self, _: str) -> None:
        self.send(200, {"Content-Length": "100000"})
        self.drip(b"x", 0.05)

    def answer_headers(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self.drip(b"X-A: b\r\n", 0.05)

    def answer_gzip(self, _: str) -> None:
        self.send(200, {"Content-Encoding": "gzip"}, CAT)

    def drip(self, piece: bytes, pause: float) -> None:
        try:
            for _ in range(1000):
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(pause)
        except OSError:
            return

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def local_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the tests' own server through, and nothing else of this machine."""
    really = fetch.is_public
    monkeypatch.setattr(fetch, "is_public", lambda address: address == "127.0.0.1" or really(address))


@pytest.mark.usefixtures("local_is_public")
def test_a_picture_is_fetched_and_judged_by_its_bytes(site: str) -> None:
    assert fetch.fetch(f"{site}/cat", LIMITS) == CAT
    assert images.read(f"{site}/cat", LIMITS) == CAT
    assert fetch.fetch(f"{site}/to?/cat", LIMITS) == CAT
    assert fetch.fetch(f"{site}/gzip", LIMITS) == CAT
    with pytest.raises(InvalidPicture, match="not a picture"):
        images.decode(fetch.fetch(f"{site}/page", LIMITS), LIMITS)


@pytest.mark.usefixtures("local_is_public")
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing", "status 404"),
        ("loop", "redirects more than 5 times"),
        ("to?file:///etc/passwd", "does not begin with http"),
        ("to?ftp://127.0.0.1/x", "does not begin with http"),
        ("to?http://127.0.0.2/", "private network"),
        ("to?http://10.0.0.1/", "private network"),
        ("to?http://[::1]/", "private network"),
        ("to?//192.168.0.1/", "private network"),
        ("slow", "did not answer within 1 seconds"),
        ("headers", "did not answer within 1 seconds"),
    ],
)
def test_what_gives_no_picture_is_told(site: str, path: str, words: str) -> None:
    started = time.monotonic()
    with pytest.raises(PictureUnreachable, match=words):
        fetch.fetch(f"{site}/{path}", LIMITS)
    assert time.monotonic() - started < 5


@pytest.mark.usefixtures("local_is_public")
@pytest.mark.parametrize("path", ["announced", "endless"])
def test_a_huge_answer_is_cut_off(site: str, path: str) -> None:
    with pytest.raises(InvalidPicture, match="larger than 1 MB"):
        fetch.fetch(f"{site}/{path}", LIMITS)


@pytest.mark.usefixtures("local_is_public")
def test_a_port_where_nobody_listens_is_told() -> None:
    with pytest.raises(PictureUnreachable, match="cannot be reached"):
        fetch.fetch("http://127.0.0.1:9/", LIMITS)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.1.1:8080/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://public.example@127.0.0.1/",
        "https://127.0.0.1/",
        "HTTP://127.0.0.1/",
    ],
)
def test_an_address_that_points_inside_is_refused(url: str) -> None:
    with pytest.raises(PictureUnreachable, match="points into this machine or a private network"):
        fetch.fetch(url, LIMITS)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1/",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "",
        "cat.png",
        "//127.0.0.1/",
    ],
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(PictureUnreachable, match="does not begin with http"):
        fetch.fetch(url, LIMITS)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///x",
        "http://[::1",
        "http://[::1]:99999/",
        "http://a b/",
        "http://.../",
        "http://" + "a" * 300,
        "http://host:port/",
        "http://\u2025.com/",
        "https://",
        "http://no-such-host.invalid/",
    ],
)
def test_a_malformed_address_is_told(url: str) -> None:
    with pytest.raises(PictureUnreachable):
        fetch.fetch(url, LIMITS)


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is checked, and points inside when it is asked again."""
    answers = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1"])
    connected: list[Any] = []

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        connected.append(address)
        raise TimeoutError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(fetch, "create_connection", connect)
    with pytest.raises(PictureUnreachable):
        fetch.fetch("http://rebinding.example/", LIMITS)
    assert connected == [("93.184.216.34", 80)]


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]
    resolve: Callable[..., Any] = lambda *_, **__: found  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(PictureUnreachable, match="private network"):
        fetch.fetch("http://mixed.example/", LIMITS)


@pytest.mark.usefixtures("local_is_public")
def test_proxies_of_the_environment_are_not_used(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert fetch.fetch(f"{site}/cat", LIMITS) == CAT


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("fe80::1%eth0", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert fetch.is_public(address) is public

"""A picture from an address on the public internet, within limits of time and bytes.

The address that is checked is the address that is connected to, for the first request and for every redirect, so a
name that resolves differently the second time gets nowhere.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from deploy_core.errors import PictureUnreachable
from deploy_core.images import too_large
from deploy_core.settings import Settings

REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5
CHUNK = 64 * 1024
# Bytes are judged as they are: a compressed answer is no picture, and no bomb either.
HEADERS = {"User-Agent": "deit-deploy", "Accept": "image/*", "Accept-Encoding": "identity"}
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def fetch(url: str, settings: Settings) -> bytes:
    """The bytes behind an http(s) URL. Raises PictureUnreachable, or InvalidPicture for too many bytes."""
    watch = _Watch(settings.fetch_seconds)
    with watch, requests.Session() as session:
        session.trust_env = False
        session.mount("http://", _PublicOnly(watch))
        session.mount("https://", _PublicOnly(watch))
        try:
            data = _followed(session, url, settings)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if watch.is_over:
                raise _too_slow(settings) from error
            raise PictureUnreachable(
                "The address cannot be reached.", "Check it, or download the picture and give the file."
            ) from error
        # A socket that the watch shut can look like the end of an answer.
        if watch.is_over:
            raise _too_slow(settings)
        return data


def is_public(address: str) -> bool:
    """Whether an IP address, and any IPv4 address inside it, lies on the public internet."""
    parsed = ipaddress.ip_address(address.split("%")[0])
    inner: list[Any] = [parsed]
    if isinstance(parsed, ipaddress.IPv6Address):
        inner += [parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ())]
        if parsed in NAT64:
            inner.append(ipaddress.IPv4Address(parsed.packed[-4:]))
        if parsed.ipv4_mapped:
            inner.remove(parsed)
    return all(one.is_global and not one.is_multicast for one in inner if one is not None)


def _followed(session: requests.Session, url: str, settings: Settings) -> bytes:
    for _ in range(MOST_REDIRECTS + 1):
        if urlsplit(url).scheme.lower() not in ("http", "https"):
            raise PictureUnreachable("The address does not begin with http:// or https://.", "Give one that does.")
        with session.get(
            url, headers=HEADERS, stream=True, allow_redirects=False, timeout=settings.fetch_seconds
        ) as answer:
            if answer.status_code in REDIRECTS and "location" in answer.headers:
                url = urljoin(url, answer.headers["location"])
                continue
            if answer.status_code != 200:
                raise PictureUnreachable(
                    f"The address answered with status {answer.status_code}.", "Check it in a browser."
                )
            return _body(answer, settings)
    raise PictureUnreachable(f"The address redirects more than {MOST_REDIRECTS} times.", "Give the final address.")


def _body(answer: requests.Response, settings: Settings) -> bytes:
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length) > settings.picture_bytes:
        raise too_large(settings)
    data = bytearray()
    while chunk := answer.raw.read(CHUNK, decode_content=False):
        data += chunk
        if len(data) > settings.picture_bytes:
            raise too_large(settings)
    return bytes(data)


def _too_slow(settings: Settings) -> PictureUnreachable:
    return PictureUnreachable(
        f"The address did not answer within {settings.fetch_seconds:g} seconds.",
        "Try again later, or download the picture and give the file.",
    )


def _public_addresses(host: str, port: int) -> list[str]:
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise PictureUnreachable(f"There is no host named '{host}'.", "Check the address.") from error
    if not all(is_public(address) for address in found):
        raise PictureUnreachable(
            "The address points into this machine or a private network.", "Give a picture on the public internet."
        )
    return found


class _Watch:
    """Shuts every socket of one fetch when its time is over, whatever the other side drips."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._deadline

    @property
    def left(self) -> float:
        return max(0.01, self._deadline - time.monotonic())

    def connect(self, host: str, port: int) -> socket.socket:
        error: OSError = OSError(f"{host} has no address")
        for address in _public_addresses(host, port):
            try:
                connected: socket.socket = create_connection((address, port), self.left)
            except OSError as failure:
                error = failure
                continue
            self._sockets.append(connected)
            return connected
        raise urllib3.exceptions.NewConnectionError(None, str(error))  # type: ignore[arg-type]

    def _shut(self) -> None:
        for connected in self._sockets:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


class _PublicOnly(HTTPAdapter):
    """Connects through the watch, and so only to public addresses; TLS still checks the name."""

    def __init__(self, watch: _Watch) -> None:
        self._watch = watch
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        watch = self._watch

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return watch.connect(self._dns_host, self.port)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return watch.connect(self._dns_host, self.port)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

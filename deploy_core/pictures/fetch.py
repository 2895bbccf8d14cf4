"""Fetches a picture from an http(s) address that a visitor typed.

The request comes from this machine, which may reach hosts that the visitor cannot. So only public addresses are
fetched, and the address that is checked is the address connected to: a name is resolved once, in
``_Connections.open``, and each redirect goes through it again. A slow or endless server cannot exceed the limits on
size and time.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as HTTPTimeout
from urllib3.util import parse_url

from deploy_core.errors import PictureUnreachable
from deploy_core.pictures.decode import too_large
from deploy_core.settings import Settings

CONNECT_SECONDS = 5.0
MAX_REDIRECTS = 5
CHUNK = 64 * 1024
HEADERS = {"User-Agent": "deit-deploy", "Accept": "image/*", "Accept-Encoding": "identity"}
NAT64 = IPv6Network("64:ff9b::/96")
# Reserved by IANA, but public to Python 3.11: protocol assignments, 6to4 relays, documentation.
RESERVED = tuple(ip_network(network) for network in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20"))
# Ports of web servers. With any port, a visitor could scan the services of other hosts.
PORTS = (80, 443, 8080, 8443)
DOWNLOAD_IT = "Download the picture yourself and give the file."


def fetch(url: str, settings: Settings) -> bytes:
    """The bytes at the public http(s) address ``url``, after at most five redirects.

    Raises PictureUnreachable if the address is malformed or not public, if the request fails, or if it takes longer
    than ``settings.fetch_seconds`` in total. Raises InvalidPicture above ``settings.picture_bytes``.
    """
    if settings.offline:
        raise PictureUnreachable("This app works without a network and fetches nothing.", DOWNLOAD_IT)
    connections = _Connections(min(CONNECT_SECONDS, settings.fetch_seconds))
    outcome: Future[bytes] = Future()

    def work() -> None:
        try:
            outcome.set_result(_download(url, connections, settings))
        except BaseException as error:
            outcome.set_exception(error)

    # In a thread, because nothing can interrupt a name lookup.
    threading.Thread(target=work, name="fetch", daemon=True).start()
    try:
        return outcome.result(settings.fetch_seconds)
    except TimeoutError as error:
        raise PictureUnreachable(
            f"The picture did not arrive within {settings.fetch_seconds:g} seconds.", DOWNLOAD_IT
        ) from error
    finally:
        connections.close()


def is_public(address: str) -> bool:
    """Whether the IP address is public. For an IPv6 address that contains an IPv4 address, that one counts."""
    return all(
        ip.is_global
        and not (ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False))
        and not any(ip in network for network in RESERVED)
        for ip in _destinations(ip_address(address))
    )


def _destinations(ip: IPv4Address | IPv6Address) -> tuple[IPv4Address | IPv6Address, ...]:
    """The addresses to which packets for ``ip`` are delivered."""
    if isinstance(ip, IPv4Address):
        return (ip,)
    if ip.teredo:
        return ip.teredo
    if ip in NAT64:
        return (IPv4Address(ip.packed[-4:]),)
    return (ip.ipv4_mapped or ip.sixtofour or ip,)


def _download(url: str, connections: _Connections, settings: Settings) -> bytes:
    with closing(_Adapter(connections)) as adapter:
        for _ in range(MAX_REDIRECTS + 1):
            request, host = _request(url)
            timeout = (connections.connect_seconds, settings.fetch_seconds)
            with _as_unreachable(host), adapter.send(request, stream=True, timeout=timeout) as response:
                if not response.is_redirect:
                    return _body(response, host, settings)
                url = _redirect(response)
    raise PictureUnreachable(f"The address redirects more than {MAX_REDIRECTS} times.", DOWNLOAD_IT)


def _request(url: str) -> tuple[requests.PreparedRequest, str]:
    """A request for ``url``, and its host. Raises PictureUnreachable if it is not a plain http(s) address."""
    try:
        parts = parse_url(url)
        if parts.scheme not in ("http", "https"):
            raise PictureUnreachable(
                "Only addresses that start with http:// or https:// are fetched.", "Give such an address, or a file."
            )
        if parts.auth:
            raise PictureUnreachable(
                "The address holds a user name or a password.", "Give an address that needs neither."
            )
        if parts.port not in (None, *PORTS):
            raise PictureUnreachable(
                f"Pictures are fetched from the ports {', '.join(map(str, PORTS))} only.", DOWNLOAD_IT
            )
        if not parts.host or " " in url or not url.isprintable():
            raise ValueError("no host, or white space")
        return requests.Request("GET", url, headers=HEADERS).prepare(), parts.host
    except ValueError as error:
        raise PictureUnreachable(
            "The address is not a well-formed http(s) address.", "Copy it again from the browser's address bar."
        ) from error


def _redirect(response: requests.Response) -> str:
    """The address that the response redirects to; ``_request`` refuses it if it is malformed."""
    location = response.headers["location"].encode("latin-1").decode("utf-8", "replace")
    try:
        return urljoin(response.url, location)
    except ValueError:
        return location


def _body(response: requests.Response, host: str, settings: Settings) -> bytes:
    if response.status_code != 200:
        raise PictureUnreachable(f"{host} answers with status {response.status_code}.", "Check the address.")
    if (response.raw.length_remaining or 0) > settings.picture_bytes:
        raise too_large(settings)
    data = bytearray()
    # read(), not stream(): urllib3's reader of chunked bodies has no limit on the length of a line.
    while chunk := response.raw.read(CHUNK, decode_content=False):
        data += chunk
        if len(data) > settings.picture_bytes:
            raise too_large(settings)
    return bytes(data)


@contextmanager
def _as_unreachable(host: str) -> Iterator[None]:
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise PictureUnreachable(f"No secure connection to {host} could be made.", DOWNLOAD_IT) from error
    except (requests.Timeout, HTTPTimeout) as error:
        raise PictureUnreachable(f"{host} takes too long to answer.", DOWNLOAD_IT) from error
    except (requests.RequestException, HTTPError, OSError) as error:
        raise PictureUnreachable(
            f"The connection to {host} failed or was interrupted.", "Check the address, and try again."
        ) from error


class _Connections:
    """The sockets of one fetch, all of them to public addresses."""

    def __init__(self, connect_seconds: float) -> None:
        self.connect_seconds = connect_seconds
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._is_closed = False

    def open(self, host: str, port: int) -> socket.socket:
        """A socket connected to ``host``. Raises PictureUnreachable if any of its addresses is not public."""
        try:
            addresses = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise PictureUnreachable(f"There is no host named {host}.", "Check the address.") from error
        if not all(is_public(str(address[0])) for *_, address in addresses):
            raise PictureUnreachable(
                f"{host} points into this machine or a private network.", "Give a public address, or a file."
            )
        failure = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in addresses:
            try:
                return self._connect(socket.socket(family, kind, protocol), address)
            except OSError as error:
                failure = error
        raise failure

    def close(self) -> None:
        """Closes all sockets, which ends what waits for them, and allows no new one."""
        with self._lock:
            self._is_closed = True
            for handle in self._handles:
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
                handle.close()

    def _connect(self, opened: socket.socket, address: Any) -> socket.socket:
        try:
            opened.settimeout(self.connect_seconds)
            self._register(opened)
            opened.connect(address)
        except OSError:
            opened.close()
            raise
        return opened

    def _register(self, opened: socket.socket) -> None:
        """Keeps a duplicate, which can still close the connection after TLS has taken over the socket."""
        with self._lock:
            if self._is_closed:
                raise OSError("the fetch is over")
            self._handles.append(opened.dup())


class _Adapter(HTTPAdapter):
    """The transport of requests, which opens its sockets with ``_Connections``.

    It is used without a Session: no proxies, netrc or cookies, and the body of a redirect is not read.
    """

    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self.poolmanager.pool_classes_by_scheme = _pools(connections)


def _pools(connections: _Connections) -> dict[str, type[HTTPConnectionPool]]:
    class Http(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connections.open(self._dns_host, self.port)

    class Https(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connections.open(self._dns_host, self.port)

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    return {"http": HttpPool, "https": HttpsPool}

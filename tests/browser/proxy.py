"""A reverse proxy like that of ``hosting/nginx.conf``: TLS ends here; path, host name and websockets pass."""

from __future__ import annotations

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

HOST = "deit.example"
VISITOR = "203.0.113.77"
CHUNK = 1 << 16


class _Connection(socketserver.StreamRequestHandler):
    """One request, or one websocket."""

    server: _Proxy

    def handle(self) -> None:
        with suppress(OSError):
            self.request.do_handshake()
            # Browsers also open connections in reserve and close them without a word.
            head = list(takewhile(lambda line: line != b"\r\n", self.rfile))
            if head:
                self._pass_on(head)

    def _pass_on(self, head: list[bytes]) -> None:
        """Connects to the app only now, as nginx does.

        The app cuts connections that bring no request in ten seconds. On a busy machine that was less than a browser
        took, and a module of the page then never came.
        """
        with socket.create_connection(("127.0.0.1", self.server.behind)) as upstream:
            upstream.sendall(b"".join(self._forwarded(head)))
            answers = threading.Thread(target=_pump, args=(upstream.recv, self.wfile.write), daemon=True)
            answers.start()
            threading.Thread(target=_pump, args=(self.rfile.read1, upstream.sendall), daemon=True).start()
            answers.join()

    def _forwarded(self, head: list[bytes]) -> Iterator[bytes]:
        is_websocket = any(line.lower().startswith(b"upgrade:") for line in head)
        for line in head:
            if is_websocket or not line.lower().startswith(b"connection:"):
                yield line
        if not is_websocket:
            yield b"Connection: close\r\n"
        for name, value in {"Proto": "https", "For": VISITOR}.items():
            yield f"X-Forwarded-{name}: {value}\r\n".encode()
        yield b"\r\n"


def _pump(receive: Callable[[int], bytes], send: Callable[[bytes], object]) -> None:
    with suppress(OSError, ValueError):
        while data := receive(CHUNK):
            send(data)


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, behind: int, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.behind = behind
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # Each connection shakes hands in its own thread.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_: object) -> None: ...


@contextmanager
def proxied(behind: int, certificate: Path) -> Iterator[int]:
    """The port of a proxy in front of the local port ``behind``."""
    with _Proxy(behind, certificate) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield int(proxy.server_address[1])
        proxy.shutdown()


def certificate(folder: Path) -> Path:
    """A key and a self-signed certificate for ``HOST`` and this machine, in one file."""
    openssl = shutil.which("openssl")
    assert openssl, "no openssl"
    command = (
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={HOST} "
        f"-addext subjectAltName=DNS:{HOST},IP:127.0.0.1 -keyout {folder}/key -out {folder}/cert"
    )
    subprocess.run([openssl, *command.split()], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return both

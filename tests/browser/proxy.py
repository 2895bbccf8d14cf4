"""A small reverse proxy, as nginx stands before an app: it passes on the host's name, and says for whom it asks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

VISITOR = "203.0.113.7"
FORWARDED = f"X-Forwarded-For: {VISITOR}\r\nX-Forwarded-Proto: https\r\nX-Real-IP: {VISITOR}\r\n".encode()
END_OF_HEAD = b"\r\n\r\n"


@contextmanager
def proxying(port: int) -> Iterator[int]:
    """Passes requests and websockets on to ``port`` of this machine; gives the port it listens on."""

    class Visit(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as upstream:
                upstream.sendall(_marked(self.request))
                answering = threading.Thread(target=_pipe, args=(upstream, self.request), daemon=True)
                answering.start()
                _pipe(self.request, upstream)
                answering.join()

    class Proxy(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 100

    with Proxy(("127.0.0.1", 0), Visit) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield int(proxy.server_address[1])
        proxy.shutdown()


def _marked(visitor: socket.socket) -> bytes:
    """What came first, with the headers of a proxy."""
    data = b""
    while END_OF_HEAD not in data and (more := visitor.recv(65536)):
        data += more
    head, _, body = data.partition(END_OF_HEAD)
    if b"upgrade: websocket" not in head.lower():
        # One request a connection, so that each gets its own headers.
        head = head.replace(b"Connection: keep-alive", b"Connection: close")
    return head + b"\r\n" + FORWARDED + b"\r\n" + body


def _pipe(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)

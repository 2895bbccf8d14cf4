"""A visitor's side of a session, over the websocket and the addresses that browsers use, without a browser."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType

import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from deploy_core import embedded
from tests.browser.app import Server

# The samples that the page Classify offers, under the names that it gives them.
SAMPLES = tuple(sample.title for sample in embedded.samples() if not sample.is_mistaken)
XSRF = "_streamlit_xsrf"
ERROR = 1
EDGE = "edge-of-a-part"


class Visitor:
    """Opens the Classify page, with ``query`` in its address, picks samples, and uploads files."""

    def __init__(self, server: Server, seconds: float = 120, query: str = "") -> None:
        self._server, self._seconds, self._query = server, seconds, query
        address = server.address.replace("http", "ws", 1)
        self._opened = ExitStack()
        opening = connect(f"{address}/_stcore/stream", subprotocols=["streamlit"], max_size=None)  # type: ignore[list-item]
        self._socket = self._opened.enter_context(opening)
        # The widgets on the page, by label.
        self._widgets: dict[str, str] = {}
        self.session = ""
        # Seconds from the last request to the answer, which comes before the rest of the page.
        self.answered_after = 0.0
        self.errors: list[str] = []

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._opened.close()

    def look(self, sample: str | None = None) -> float:
        """Seconds until the page is whole again; with ``sample``, after that one was picked."""
        message = BackMsg()
        message.rerun_script.query_string = self._query
        return self.choose("Sample", sample) if sample else self._run(message)

    def choose(self, label: str, text: str) -> float:
        """As ``look``, after any text was sent for a choice, whether the page offers it or not."""
        message = BackMsg()
        message.rerun_script.query_string = self._query
        state = message.rerun_script.widget_states.widgets.add()
        state.id = self._widgets[label]
        if label == "Model":
            state.string_value = text
        else:
            state.string_array_value.data.append(text)
        return self._run(message)

    def _run(self, message: BackMsg) -> float:
        started = time.perf_counter()
        self._socket.send(message.SerializeToString())
        answered = False
        while True:
            received = self._socket.recv(timeout=self._seconds)
            assert isinstance(received, bytes)
            told = ForwardMsg.FromString(received)
            kind = told.WhichOneof("type")
            if kind == "script_finished":
                break
            if kind == "new_session":
                self.session = told.new_session.initialize.session_id
            if kind == "delta" and told.delta.WhichOneof("type") == "new_element":
                element = told.delta.new_element
                if element.WhichOneof("type") in ("button_group", "selectbox"):
                    widget = getattr(element, str(element.WhichOneof("type")))
                    self._widgets[widget.label] = widget.id
                if element.WhichOneof("type") == "metric" and not answered:
                    answered, self.answered_after = True, time.perf_counter() - started
                if element.WhichOneof("type") == "exception" or element.alert.format == ERROR:
                    self.errors.append(element.alert.body or str(element))
        if not answered:
            self.errors.append("no answer")
        return time.perf_counter() - started

    def upload(self, name: str, data: bytes) -> requests.Response:
        """What the app answers to an upload into this session."""
        return self.upload_in_pieces(name, [data])

    def upload_in_pieces(self, name: str, pieces: Iterable[bytes]) -> requests.Response:
        """As ``upload``, of a file whose length is not announced."""

        def form() -> Iterator[bytes]:
            yield f'--{EDGE}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
            yield from pieces
            yield f"\r\n--{EDGE}--\r\n".encode()

        return self._ask("PUT", name, form())

    def discard(self, name: str) -> requests.Response:
        """What the app answers when an upload is taken back."""
        return self._ask("DELETE", name)

    def _ask(self, method: str, name: str, body: Iterator[bytes] | None = None) -> requests.Response:
        token = requests.get(f"{self._server.address}/_stcore/health", timeout=30).cookies[XSRF]
        return requests.request(
            method,
            f"{self._server.address}/_stcore/upload_file/{self.session}/{name}",
            data=body,
            headers={"X-Xsrftoken": token, "Content-Type": f"multipart/form-data; boundary={EDGE}"},
            cookies={XSRF: token},
            timeout=60,
        )

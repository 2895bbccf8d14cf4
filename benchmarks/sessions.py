"""Twenty visitors at once, each looking at ten pictures with a few seconds of thought between them.

python -m benchmarks.sessions    through the real server, over the websockets that browsers use
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from benchmarks.figure import Figure
from tests.browser.app import Server, serving

VISITORS = 20
PICTURES = 10
THOUGHT_SECONDS = (2.0, 5.0)
MOST_SLOWER = 20.0
MOST_MB = 15.0
SAMPLES = ("Coffee", "Rocket", "Astronaut", "Cat")
# How long Streamlit keeps a session whose browser has gone, and some more.
FORGOTTEN_SECONDS = 150


class Visitor:
    """A browser's side of a session on the Classify page: it opens the page, and picks samples."""

    def __init__(self, server: Server) -> None:
        address = server.address.replace("http", "ws", 1)
        self._opened = ExitStack()
        opening = connect(f"{address}/_stcore/stream", subprotocols=["streamlit"], max_size=None)  # type: ignore[list-item]
        self._socket = self._opened.enter_context(opening)
        self._sample = ""
        self.errors: list[str] = []

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._opened.close()

    def look(self, sample: str | None = None) -> float:
        """Seconds until the page is whole again; with ``sample``, after that one was picked."""
        message = BackMsg()
        message.rerun_script.query_string = ""
        if sample:
            state = message.rerun_script.widget_states.widgets.add()
            state.id = self._sample
            state.string_array_value.data.append(sample)
        started = time.perf_counter()
        self._socket.send(message.SerializeToString())
        answered = False
        while True:
            told = ForwardMsg.FromString(self._socket.recv(timeout=120))
            kind = told.WhichOneof("type")
            if kind == "script_finished":
                break
            if kind == "delta" and told.delta.WhichOneof("type") == "new_element":
                element = told.delta.new_element
                if element.WhichOneof("type") == "button_group" and element.button_group.label == "Sample":
                    self._sample = element.button_group.id
                if element.WhichOneof("type") == "metric":
                    answered = True
                if element.WhichOneof("type") in ("exception", "alert") and element.alert.format == 1:
                    self.errors.append(str(element))
        if not answered:
            self.errors.append("no answer")
        return time.perf_counter() - started


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as place, serving(Path(place)) as server:
        with Visitor(server) as alone:
            alone.look()
            single = statistics.median(alone.look(SAMPLES[number % 4]) for number in range(PICTURES))
        before = _megabytes(server)
        times: list[float] = []
        errors: list[str] = []
        visits = [threading.Thread(target=_visit, args=(server, number, times, errors)) for number in range(VISITORS)]
        for visit in visits:
            visit.start()
        peak = before
        while any(visit.is_alive() for visit in visits):
            peak = max(peak, _megabytes(server))
            time.sleep(0.2)
        time.sleep(FORGOTTEN_SECONDS)
        # Streamlit forgets those who left when somebody comes.
        with Visitor(server) as last:
            last.look()
            time.sleep(5)
            after = _megabytes(server)
    slowest = statistics.quantiles(times, n=20)[-1]
    print(
        f"alone {single:.2f} s; {VISITORS} at once: median {statistics.median(times):.2f} s, p95 {slowest:.2f} s; "
        f"{before:.0f} MB before, {peak:.0f} MB at most, {after:.0f} MB after",
        file=sys.stderr,
    )
    for error in errors[:5]:
        print(error, file=sys.stderr)
    return [
        Figure(f"errors that {VISITORS} visitors at once saw", len(errors), 0, "runs"),
        Figure(
            f"p95 of {VISITORS} visitors at once, against the median of one alone", slowest / single, MOST_SLOWER, "x"
        ),
        Figure("memory that a visitor takes", (peak - before) / VISITORS, MOST_MB, "MB"),
        Figure("memory that stays when all have left", after - before, MOST_MB, "MB"),
    ]


def _visit(server: Server, number: int, times: list[float], errors: list[str]) -> None:
    thought = random.Random(number)  # noqa: S311
    time.sleep(thought.uniform(0, THOUGHT_SECONDS[1]))
    try:
        with Visitor(server) as visitor:
            times.append(visitor.look())
            for step in range(PICTURES - 1):
                time.sleep(thought.uniform(*THOUGHT_SECONDS))
                times.append(visitor.look(SAMPLES[(number + step) % 4]))
            errors.extend(visitor.errors)
    except (OSError, TimeoutError) as error:
        errors.append(repr(error))


def _megabytes(server: Server) -> float:
    """Of the web process and its children, each page of memory counted once."""
    web = psutil.Process(server.process.pid)
    total = 0.0
    for process in (web, *web.children(recursive=True)):
        try:
            total += process.memory_full_info().pss / 1e6
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    for figure in figures():
        print(figure.line())
